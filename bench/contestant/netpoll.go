package contestant

import (
	"context"
	"io"
	"sync"

	"github.com/cloudwego/netpoll"
)

// One poller; handlers run on netpoll's own goroutine pool, as its guide says.
// The bytes are handed on by slice: WriteBinary keeps a reference above 4 KiB
// and copies below, and the input is released once Flush has returned.
var _ = register(Contestant{
	Name:       "netpoll",
	Family:     Peer,
	About:      "CloudWeGo netpoll 0.7.2, one poller and its goroutine pool",
	Serve:      serveNetpoll,
	DropsOnEOF: true,
	MultiLoop:  true,
})

func serveNetpoll(o Options) error {
	if err := netpoll.Configure(netpoll.Config{PollerNum: max(o.Loops, 1), LoggerOutput: io.Discard}); err != nil {
		return err
	}
	l, err := netpoll.CreateListener("tcp", o.Addr)
	if err != nil {
		return err
	}
	room := &netpollRoom{conns: make(map[netpoll.Connection]bool)}
	handle, options := echoNetpoll, []netpoll.Option(nil)
	if o.Broadcast {
		handle = room.handle
		options = append(options, netpoll.WithOnPrepare(room.open))
	}
	loop, err := netpoll.NewEventLoop(handle, options...)
	if err != nil {
		return err
	}
	o.Listening(l.Addr().String())
	return loop.Serve(l)
}

func echoNetpoll(_ context.Context, c netpoll.Connection) error {
	r, w := c.Reader(), c.Writer()
	p, err := r.Next(r.Len())
	if err != nil {
		return err
	}
	if _, err := w.WriteBinary(p); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return r.Release()
}

// netpollRoom sends what one connection says to all.
type netpollRoom struct {
	mu    sync.Mutex
	conns map[netpoll.Connection]bool
}

func (r *netpollRoom) open(c netpoll.Connection) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = true
	c.AddCloseCallback(func(c netpoll.Connection) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, c)
		return nil
	})
	return context.Background()
}

func (r *netpollRoom) handle(_ context.Context, c netpoll.Connection) error {
	p, err := c.Reader().Next(c.Reader().Len())
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for other := range r.conns {
		other.Writer().WriteBinary(p)
		other.Writer().Flush()
	}
	return c.Reader().Release()
}
