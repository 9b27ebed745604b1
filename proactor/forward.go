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

var errForwardNowhere = errors.New("forwarding to a nil connection")

// Forward sends everything that c receives to dst until the end of c's stream, and
// then shuts down the sending side of dst, as CloseWrite does. The future
// resolves then, with the number of bytes moved; an error, of either side, comes
// with the number of bytes that dst's socket has taken. Neither connection is closed.
// Two calls, one in each direction, make a proxy:
//
//	up, down := client.Forward(server), server.Forward(client)
//
// Bytes are not copied: each received buffer is sent while the next is being
// received. No more is in flight, so a slow dst slows down c's peer. dst may be on
// another loop, at the cost of a post between the loops in each direction for each
// buffer; Move avoids that. Other sends on dst may go out between two buffers. While a
// Forward runs nothing else may receive on c.
//
// A cancel loses what was received and not sent. If a send was under way and part of
// it went out, dst cannot send any more.
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

// ForwardOption changes how Conn.Forward works.
type ForwardOption func(*forward)

// ForwardIdleTimeout ends the Forward with ErrIdle, as a cancel does, when it has
// neither received nor sent a byte for d. The other direction does not count; see
// Conn.SetIdleTimeout for a timeout of both. The connections stay open. Zero or less
// means never.
func ForwardIdleTimeout(d time.Duration) ForwardOption {
	return func(f *forward) { f.patience = max(0, d) }
}

// ForwardProgress has the Forward add to p what it moves. Several may add to one.
func ForwardProgress(p *Progress) ForwardOption {
	return func(f *forward) { f.progress = p }
}

// Progress counts the bytes that a Forward has moved. The zero Progress is ready for use.
type Progress struct{ moved atomic.Int64 }

// Moved is the number of bytes that the socket of dst has taken. Any goroutine may
// call it at any time.
func (p *Progress) Moved() int64 { return p.moved.Load() }

// forward is a Forward under way.
type forward struct {
	from, to *Conn
	open     bool // do not shut down to at the end
	moved    int64
	progress *Progress // may be nil
	patience time.Duration
	idle     idleTimeout
	cancel   context.CancelCauseFunc
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
		if err == io.EOF && f.open {
			return nil
		}
		if err == io.EOF {
			_, err = f.to.CloseWrite().Await(ctx)
			return err
		}
		if err != nil {
			return err
		}
		f.idle.touch(l)
		sent := f.to.Send(b)
		next = f.from.Recv() // while that is being sent
		if err := f.await(ctx, sent); err != nil {
			abandon(ctx, next)
			return err
		}
	}
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

// abandon ends a receive whose data is not forwarded any more.
func abandon(ctx context.Context, f futures.Future[Buffer]) {
	f.Cancel()
	if b, err := f.Await(ctx); err == nil {
		b.Release()
	}
}
