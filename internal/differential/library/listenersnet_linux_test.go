package library

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// netListeners are the calls of package net.
type netListeners struct {
	ctx      context.Context
	stop     context.CancelFunc // ends the dials under way
	ended    bool
	listened []*standardListener
}

func standardListeners(dir string) (*listenerPlayer, error) {
	l := &netListeners{}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return newListenerPlayer(context.Background(), dir, l)
}

func (l *netListeners) listen(network, address string) (accepting, error) {
	if l.ended {
		return nil, net.ErrClosed
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	s := &standardListener{ln: ln}
	l.listened = append(l.listened, s)
	return s, nil
}

func (l *netListeners) dial(ctx context.Context, _ *Step, d *proactor.Dialer, network, address string) func() (named, func(), error) {
	dialer := net.Dialer{Timeout: d.Timeout, LocalAddr: d.LocalAddr}
	return connecting(func() (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(l.ctx, cancel)()
		if l.ctx.Err() != nil {
			return nil, net.ErrClosed
		}
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil && l.ctx.Err() != nil {
			err = net.ErrClosed
		}
		return c, err
	})
}

// connecting runs a call that waits.
func connecting(call func() (net.Conn, error)) func() (named, func(), error) {
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, 1)
	go func() {
		c, err := call()
		results <- result{c, err}
	}()
	return func() (named, func(), error) {
		select {
		case r := <-results:
			results <- r // it may be asked for again
			if r.err != nil {
				return nil, nil, r.err
			}
			return r.conn, func() { r.conn.Close() }, nil
		case <-time.After(patience):
			return nil, nil, errHang
		}
	}
}

// shutdown does what there is of one.
func (l *netListeners) shutdown() error {
	l.ended = true
	for _, ln := range l.listened {
		ln.close()
	}
	l.stop()
	return nil
}

func (l *netListeners) end() { l.stop() }

// standardListener is a net.Listener, of either player.
type standardListener struct {
	ln        net.Listener
	canceling atomic.Bool
}

func (s *standardListener) accept(_ *Step, p *planned) (await func() (named, func(), error), cancel func()) {
	if p.ended {
		return func() (named, func(), error) { return nil, nil, errCanceled }, nil
	}
	await = connecting(func() (net.Conn, error) {
		c, err := s.ln.Accept()
		if err != nil && s.canceling.Load() {
			err = errCanceled
		}
		return c, err
	})
	return await, func() {
		s.canceling.Store(true)
		s.setDeadline(time.Unix(1, 0))
		await()
		s.setDeadline(time.Time{})
		s.canceling.Store(false)
	}
}

func (s *standardListener) setDeadline(t time.Time) error {
	return s.ln.(interface{ SetDeadline(time.Time) error }).SetDeadline(t)
}

func (s *standardListener) close() error   { return s.ln.Close() }
func (s *standardListener) addr() net.Addr { return s.ln.Addr() }
