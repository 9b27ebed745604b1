package proactor_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
)

// span is what a tracing library has for one operation. In a program it is that
// library's own.
type span struct {
	name  string
	peer  string
	begun time.Time
}

// spans makes a span of each send and receive. It keeps what it has to know of an
// operation in its State, and takes it from a pool: tracing need not allocate.
type spans struct {
	pool  sync.Pool
	mu    sync.Mutex
	bytes map[string]int
}

func (s *spans) Begin(o *proactor.TracedOperation) {
	c, ok := o.Subject.(*proactor.Conn)
	if !ok || o.Kind != ring.OpRecv && o.Kind != ring.OpSend {
		return // State stays nil
	}
	p := s.pool.Get().(*span)
	*p = span{name: o.Kind.String(), peer: c.RemoteAddr().String(), begun: time.Now()}
	o.State = p
}

func (s *spans) End(o *proactor.TracedOperation, r proactor.TracedResult) {
	p, ok := o.State.(*span)
	if !ok {
		return
	}
	s.export(p, time.Since(p.begun), r)
	if r.More { // a multishot: the next span begins here
		p.begun = time.Now()
		return
	}
	s.pool.Put(p)
}

// export is where a program ends the span of its tracing library.
func (s *spans) export(p *span, took time.Duration, r proactor.TracedResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes[p.name] += r.Bytes
}

// A span for each send and receive: with the operation, the peer, the time it took and
// the bytes it moved.
func ExampleWithTracer() {
	trace := &spans{pool: sync.Pool{New: func() any { return new(span) }}, bytes: map[string]int{}}
	rt := must(proactor.New(proactor.WithLoops(1), proactor.WithTracer(trace)))
	ln := echoing(rt)
	peer := must(net.Dial("tcp", ln.Addr().String()))
	fmt.Fprint(peer, "hello")
	must(io.ReadFull(peer, make([]byte, 5)))
	peer.Close()
	rt.Close()
	fmt.Println(trace.bytes["IORING_OP_RECV"], trace.bytes["IORING_OP_SEND"])
	// Output: 5 5
}

// How long turns take: what waits may have to wait so long.
func ExampleWithTurnLatency() {
	rt := must(proactor.New(proactor.WithLoops(1), proactor.WithTurnLatency()))
	defer rt.Close()
	must(rt.Go(context.Background(), func(context.Context) error {
		for begun := time.Now(); time.Since(begun) < time.Millisecond; { // a handler that computes
		}
		return nil
	}).Await(context.Background()))
	must(rt.Sleep(time.Millisecond).Await(context.Background()))
	turns := rt.Stats().Total().TurnLatency
	fmt.Println(turns.Quantile(1) > time.Millisecond, turns.Count() > 0)
	// Output: true true
}
