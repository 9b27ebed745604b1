package proactor

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
)

var errForwardNowhere = errors.New("forwarding to no connection")

// Forward sends everything that c receives to dst until c's peer is done, and
// then passes that on: dst is shut down for writing, as by CloseWrite. The future
// resolves then, with the number of bytes moved; an error, of either side, comes
// with the number that dst's socket has taken. Neither connection is closed.
// Forwarding there and back at once makes a proxy of two calls:
//
//	up, down := client.Forward(server), server.Forward(client)
//
// Bytes stay in the buffers that they came in: what is received as a lease is
// sent as one, while the next is being received. In bulk they do not pass through memory
// of the process at all, but through a pipe (splice(2)) that holds 1 MiB at most, which
// WithMemoryBudget does not count; a loop has 64 such at once, and what comes beyond goes
// by leases. No more is in flight, so a slow
// dst holds up c's peer. dst may be on another loop, at the cost of a message
// between the loops each way and lease; Move brings them together. It takes its
// place among dst's sends, and others may send on dst between two leases. While
// it runs nothing else may receive on c.
//
// A cancel loses what was received and not sent; dst's sending ends if that was
// part of a send.
func (c *Conn) Forward(dst *Conn, opts ...ForwardOption) futures.Future[int64] {
	if dst == nil {
		return futures.Failed[int64](c.opError("forward", errors.Join(errForwardNowhere, syscall.EINVAL)))
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	answer := futures.NewPromise[int64]()
	answer.SetCanceler(futures.CancelFunc(func() { cancel(nil) }))
	f := &forward{from: c, to: dst, cancel: cancel}
	for _, o := range opts {
		o(f)
	}
	c.loop.Go(ctx, f.run).Then(func(_ struct{}, err error) {
		cancel(nil)
		if errors.Is(err, ErrIdle) && context.Cause(ctx) == ErrIdle {
			err = c.opError("forward", ErrIdle)
		} else if errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
			err = futures.ErrCanceled
		}
		answer.Settle(f.moved, err)
	})
	return answer.Future()
}

// ForwardOption changes how Conn.Forward goes about it.
type ForwardOption func(*forward)

// ForwardIdleTimeout ends the Forward with ErrIdle when no byte was received or sent by
// it for d. It looks at its own direction only: see also Conn.SetIdleTimeout, which
// looks at both. The connections stay open, but for what a cancel does. Zero or less
// means never.
func ForwardIdleTimeout(d time.Duration) ForwardOption {
	return func(f *forward) { f.patience = max(0, d) }
}

// ForwardProgress has the Forward add to p what it moves. Several may add to one.
func ForwardProgress(p *Progress) ForwardOption {
	return func(f *forward) { f.progress = p }
}

// Progress is how far a Forward is. The zero Progress has moved nothing.
type Progress struct{ moved atomic.Int64 }

// Moved is the number of bytes that the socket sent to has taken. Any goroutine may
// call it at any time.
func (p *Progress) Moved() int64 { return p.moved.Load() }

// forward is one under way.
type forward struct {
	from, to *Conn
	open     bool // to is not shut down at the end
	moved    int64
	progress *Progress // may be nil
	patience time.Duration
	idle     idleTimeout
	cancel   context.CancelCauseFunc

	withoutPipe bool // there was none to be had
}

func (f *forward) run(ctx context.Context) error {
	l := f.from.loop
	if f.patience > 0 {
		f.idle.set(l, f.patience, func() { f.cancel(ErrIdle) })
		defer l.engine.StopTimer(&f.idle.timer)
	}
	next := f.from.Recv()
	for {
		b, err := next.Await(ctx)
		if err != nil {
			return f.ended(ctx, err)
		}
		f.idle.touch(l)
		bulk := f.from.recv.bulk && f.splices()
		sent := f.to.Send(b)
		if !bulk {
			next = f.from.Recv() // while that is being sent
		}
		if err := f.await(ctx, sent); err != nil {
			if !bulk {
				abandon(ctx, next)
			}
			return err
		}
		if bulk {
			if err := f.splice(ctx); err != nil {
				return f.ended(ctx, err)
			}
			next = f.from.Recv()
		}
	}
}

// ended handles what a receive failed with: the end is passed on.
func (f *forward) ended(ctx context.Context, err error) error {
	if err != io.EOF {
		return err
	}
	if f.open {
		return nil
	}
	_, err = f.to.CloseWrite().Await(ctx)
	return err
}

// splices reports whether what comes next can go through a pipe: nothing else is on its
// way into memory. A multishot receive that is armed is ended for that, and until it has
// ended the answer is no.
func (f *forward) splices() bool {
	r := &f.from.recv
	if f.withoutPipe || f.from.medium != stream || f.to.medium != stream || r.filesCome {
		return false
	}
	if r.armed && !r.pausing {
		r.pausing = true
		r.stop()
	}
	return !r.armed && r.err == nil && r.in.unread.Len() == 0 && r.in.line.Len() == 0
}

// splice moves bytes through a pipe as long as they come in bulk. io.EOF is the end of
// what comes.
func (f *forward) splice(ctx context.Context) error {
	few := f.from.loop.buffers.Size()
	for short := 0; short < shortReceives; {
		var p *pipe
		n, err := f.from.recvIntoPipe(&p).Await(ctx)
		if err == errNoPipe {
			f.withoutPipe = true
			return nil
		}
		if err != nil {
			if p != nil { // a cancel came behind what it has
				f.from.loop.pipes.put(p)
			}
			return err
		}
		if short++; n >= few {
			short = 0
		}
		f.idle.touch(f.from.loop)
		err = f.await(ctx, f.to.sendPipe(p))
		f.from.loop.pipes.put(p)
		if err != nil {
			return err
		}
	}
	f.from.recv.bulk = false
	return nil
}

// await waits for a send.
func (f *forward) await(ctx context.Context, sent futures.Future[int]) error {
	n, err := sent.Await(ctx)
	f.moved += int64(n)
	if f.progress != nil {
		f.progress.moved.Add(int64(n))
	}
	if n > 0 {
		f.idle.touch(f.from.loop)
	}
	return err
}

// abandon ends a receive whose data nobody wants any more.
func abandon(ctx context.Context, f futures.Future[Buffer]) {
	f.Cancel()
	if b, err := f.Await(ctx); err == nil {
		b.Release()
	}
}
