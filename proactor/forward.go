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
// Bytes are not copied: each received buffer is sent while the next is being received.
// In bulk they do not pass through memory of the process at all, but through a pipe
// (splice(2)) that holds 1 MiB at most, which WithMemoryBudget does not count. A loop has
// 64 such pipes at once; what does not get one goes by buffers.
//
// No more is in flight, so a slow dst slows down c's peer. dst may be on
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
	f := &forward{from: c, to: dst}
	for _, o := range opts {
		o(f)
	}
	return f.begin()
}

// begin runs f as a task on the loop of from.
func (f *forward) begin() futures.Future[int64] {
	ctx, cancel := context.WithCancelCause(context.Background())
	answer := futures.NewPromise[int64]()
	answer.SetCanceler(futures.CancelFunc(func() { cancel(nil) }))
	f.cancel = cancel
	f.from.loop.Go(ctx, f.run).Then(func(_ struct{}, err error) {
		cancel(nil)
		if errors.Is(err, ErrIdle) && context.Cause(ctx) == ErrIdle {
			err = f.from.opError("forward", ErrIdle)
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
	over     bool // run has returned, or is about to
	cancel   context.CancelCauseFunc

	withoutPipe bool // there was none to be had
}

// run moves the data. It is called on the loop of from.
func (f *forward) run(ctx context.Context) error {
	l := f.from.loop
	if f.patience > 0 {
		f.idle.set(l, f.patience, func() { l.engine.Later(f.judgeIdle) })
		defer f.stopIdle()
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
		if err := awaitSend(ctx, f, sent); err != nil {
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

// judgeIdle is called when the idle timeout has passed, behind those who have become ready in
// this turn: if the loop stood still for so long, run is about to take what has come.
func (f *forward) judgeIdle() {
	l := f.from.loop
	switch {
	case f.over:
	case l.engine.Now()-f.idle.last < f.idle.after:
		f.idle.arm(l)
	default:
		f.cancel(ErrIdle)
	}
}

func (f *forward) stopIdle() {
	f.over = true
	f.from.loop.engine.StopTimer(&f.idle.timer)
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
		err = awaitSend(ctx, f, f.to.sendPipe(p))
		f.from.loop.pipes.put(p)
		if err != nil {
			return err
		}
	}
	f.from.recv.bulk = false
	return nil
}

// awaitSend waits for a send of f's.
func awaitSend[N int | int64](ctx context.Context, f *forward, sent futures.Future[N]) error {
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
