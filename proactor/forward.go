package proactor

import (
	"context"
	"errors"
	"io"
	"syscall"

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
// sent as one, while the next is being received. No more is in flight, so a slow
// dst holds up c's peer. dst may be on another loop, at the cost of a message
// between the loops each way and lease; Move brings them together. It takes its
// place among dst's sends, and others may send on dst between two leases. While
// it runs nothing else may receive on c.
//
// A cancel loses what was received and not sent; dst's sending ends if that was
// part of a send.
func (c *Conn) Forward(dst *Conn) futures.Future[int64] {
	if dst == nil {
		return futures.Failed[int64](c.opError("forward", errors.Join(errForwardNowhere, syscall.EINVAL)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	answer := futures.NewPromise[int64]()
	answer.SetCanceler(forwardCancel(cancel))
	f := &forward{from: c, to: dst}
	c.loop.Go(ctx, f.run).Then(func(_ struct{}, err error) {
		cancel()
		if errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
			err = futures.ErrCanceled
		}
		answer.Settle(f.moved, err)
	})
	return answer.Future()
}

type forwardCancel context.CancelFunc

func (cancel forwardCancel) Cancel() { cancel() }

// forward is one under way.
type forward struct {
	from, to *Conn
	open     bool // to is not shut down at the end
	moved    int64
	sending  bool
	sent     futures.Future[int] // if sending
}

func (f *forward) run(ctx context.Context) error {
	for {
		b, err := f.from.Recv().Await(ctx)
		if err == nil {
			if err = f.flush(ctx); err != nil {
				b.Release()
				return err
			}
			f.send(b)
			continue
		}
		if failure := f.flush(ctx); failure != nil && err == io.EOF {
			return failure
		}
		switch {
		case err == io.EOF && f.open:
			err = nil
		case err == io.EOF:
			_, err = f.to.CloseWrite().Await(ctx)
		}
		return err
	}
}

// send sends a lease.
func (f *forward) send(b Buffer) {
	f.sending = true
	f.sent = f.to.Send(b)
}

// flush waits for the send under way.
func (f *forward) flush(ctx context.Context) error {
	if !f.sending {
		return nil
	}
	f.sending = false
	n, err := f.sent.Await(ctx)
	f.moved += int64(n)
	return err
}
