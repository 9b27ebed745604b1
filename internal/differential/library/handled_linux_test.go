package library

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// handledEnd is a Conn that receives with OnRecv. A read takes what the handler has got.
type handledEnd struct {
	*libraryEnd
	readsOver, closed bool

	mu     sync.Mutex // of what the handler uses
	inbox  []byte
	last   error // with which the handler was called for the last time
	read   *futures.Promise[int]
	readID int
	into   []byte
}

func newHandledEnd(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) *handledEnd {
	e := &handledEnd{libraryEnd: newLibraryEnd(ctx, rt, c)}
	c.OnRecv(e.handle)
	return e
}

func (e *handledEnd) handle(b proactor.Buffer, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last != nil {
		panic("the handler of OnRecv is called after its last call")
	}
	e.inbox = append(e.inbox, b.Bytes()...)
	b.Release()
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		e.last = err
	case e.readsOver && e.read != nil:
		e.answer(0, err)
	}
	e.serve()
}

// serve answers the read that waits, if it can be.
func (e *handledEnd) serve() {
	if e.read == nil || len(e.inbox) < len(e.into) && e.last == nil {
		return
	}
	n := copy(e.into, e.inbox)
	e.inbox = e.inbox[n:]
	if n == len(e.into) {
		e.answer(n, nil)
		return
	}
	e.answer(n, e.last)
}

func (e *handledEnd) answer(n int, err error) {
	read := e.read
	e.read = nil
	read.Settle(n, err)
}

func (e *handledEnd) begin(s *Step, p *planned) func() Outcome {
	switch s.Verb {
	case Read:
		return e.receive(s, p)
	case Cancel:
		e.cancel(s.Target)
	case Close, Abort:
		e.closed = true
	case EndReads, MoveDeadlines:
		e.mu.Lock()
		e.readsOver = s.Verb == EndReads
		e.mu.Unlock()
	case Move, Detach: // a handler is not taken along
		return at(nil)
	case Write:
		if s.Way%8 == 7 && len(e.under) > 0 {
			// Queue behind a large write puts the connection above its high-water mark:
			// the handler is not called until the peer has read.
			one := *s
			one.Way = 0
			s = &one
		}
	}
	return e.libraryEnd.begin(s, p)
}

func (e *handledEnd) receive(s *Step, pl *planned) func() Outcome {
	switch {
	case pl.ended:
		return at(errCanceled)
	case e.closed:
		return at(os.ErrClosed)
	case e.readsOver:
		return at(os.ErrDeadlineExceeded)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p, read := make([]byte, s.N), futures.NewPromise[int]()
	e.into, e.read, e.readID = p, read, s.ID
	future := read.Future()
	e.serve()
	return func() Outcome {
		n, err := patiently(e.ctx, future.Await)
		return received(p[:n], err)
	}
}

func (e *handledEnd) cancel(id int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read != nil && e.readID == id {
		e.answer(0, futures.ErrCanceled)
	}
}
