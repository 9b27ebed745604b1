package proactor_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// TestConformanceCallback shows that a callback may end its connection, while the library
// is still at work on the completion that the callback is told of.
func TestConformanceCallback(t *testing.T) {
	for _, result := range resultsOfConn {
		for _, call := range callsInCallback {
			name := fmt.Sprintf("%s in the callback of %s", call.name, result.name)
			conform(t, []behaviour{{name: name, show: func(t *testing.T, rt *proactor.Runtime) {
				s := newCallbackScene(t, rt)
				result.begin(s, func() { s.run(func() { call.make(s) }) })
				require.Nil(t, s.wait(), "the call has panicked")
				call.check(s)
			}}})
		}
	}
}

// callbackScene is a connection and what happens to it in a callback.
type callbackScene struct {
	*testing.T
	rt       *proactor.Runtime
	c        *proactor.Conn
	peer     io.ReadWriteCloser
	panicked chan any
	read     chan string // all that the peer has read
	behind   []futures.Future[int64]
	moving   futures.Future[*proactor.Conn]
	shut     futures.Future[struct{}]
}

func newCallbackScene(t *testing.T, rt *proactor.Runtime) *callbackScene {
	c, peer := acceptedOn(t, rt, 0)
	// Whatever the machine's sockets hold by default, these hold less than what is queued behind.
	require.NoError(t, errors.Join(peer.SetReadBuffer(1<<20), c.SetWriteBuffer(1<<20)))
	s := &callbackScene{T: t, rt: rt, c: c, peer: peer, panicked: make(chan any, 1), read: make(chan string, 1)}
	t.Cleanup(func() { c.Abort() })
	return s
}

// run makes the call in a callback.
func (s *callbackScene) run(call func()) {
	defer func() { s.panicked <- recover() }()
	call()
}

// wait lets the peer read, until it can read no more, and waits for the callback.
func (s *callbackScene) wait() any {
	v := <-s.panicked
	go func() {
		all, _ := io.ReadAll(s.peer)
		s.read <- string(all)
	}()
	return v
}

// onLoop starts operations of the connection in one turn.
func (s *callbackScene) onLoop(start func()) { require.True(s, s.c.Loop().Do(start)) }

// closed waits for the end of the connection.
func (s *callbackScene) closed(c *proactor.Conn) {
	require.NoError(s, errorOf(c.Closed().Await(s.Context())))
}

// sends shows that c sends and ends in good order.
func (s *callbackScene) sends(c *proactor.Conn) {
	n, err := c.SendBytes([]byte("more")).Await(s.Context())
	require.NoError(s, err)
	require.Equal(s, 4, n)
	require.NoError(s, c.Close())
	s.closed(c)
	require.Contains(s, <-s.read, "more")
}

// behindFails shows the error of what was queued behind.
func (s *callbackScene) behindFails(want error) {
	for _, f := range s.behind {
		require.ErrorIs(s, errorOf(f.Await(s.Context())), want)
	}
}

// callsInCallback are what a callback may call, with what follows.
var callsInCallback = []struct {
	name  string
	make  func(s *callbackScene)
	check func(s *callbackScene)
}{
	{"Abort", func(s *callbackScene) { s.c.Abort() }, func(s *callbackScene) {
		s.closed(s.c)
		<-s.read
		s.behindFails(proactor.ErrClosed)
	}},
	{"Close", func(s *callbackScene) { s.c.Close() }, func(s *callbackScene) {
		s.closed(s.c)
		<-s.read
		s.behindFails(nil)
	}},
	{"SetWriteDeadline", func(s *callbackScene) { s.c.SetWriteDeadline(time.Unix(1, 0)) }, func(s *callbackScene) {
		s.behindFails(os.ErrDeadlineExceeded)
		require.ErrorIs(s, errorOf(s.c.SendBytes([]byte("x")).Await(s.Context())), os.ErrDeadlineExceeded)
		require.NoError(s, s.c.SetWriteDeadline(time.Time{}))
		s.sends(s.c)
	}},
	{"SetDeadline", func(s *callbackScene) { s.c.SetDeadline(time.Unix(1, 0)) }, func(s *callbackScene) {
		s.behindFails(os.ErrDeadlineExceeded)
		require.ErrorIs(s, errorOf(s.c.Recv().Await(s.Context())), os.ErrDeadlineExceeded)
		require.NoError(s, s.c.SetDeadline(time.Time{}))
		s.sends(s.c)
	}},
	{"CloseWrite", func(s *callbackScene) { s.shut = s.c.CloseWrite() }, func(s *callbackScene) {
		require.NoError(s, errorOf(s.shut.Await(s.Context())))
		s.behindFails(nil)
		<-s.read
		closedDown(s.T, s.c)
	}},
	{"CloseRead", func(s *callbackScene) { s.shut = s.c.CloseRead() }, func(s *callbackScene) {
		require.NoError(s, errorOf(s.shut.Await(s.Context())))
		s.behindFails(nil)
		s.sends(s.c)
	}},
	{"Move", func(s *callbackScene) { s.moving = s.c.Move(s.rt.Loops()[1]) }, func(s *callbackScene) {
		c, err := s.moving.Await(s.Context())
		require.NoError(s, err)
		s.behindFails(nil)
		s.sends(c)
	}},
}

// thenOf has then called when f has a result, which is no error.
func thenOf[V any](s *callbackScene, f futures.Future[V], then func()) {
	f.Then(func(_ V, err error) {
		if err != nil {
			s.panicked <- err
			return
		}
		then()
	})
}

// resultsOfConn are completions that a callback is told of. What is left of the same send
// then is in behind.
var resultsOfConn = []struct {
	name  string
	begin func(s *callbackScene, then func())
}{
	{"a SendBytes", func(s *callbackScene, then func()) {
		s.onLoop(func() { thenOf(s, s.c.SendBytes([]byte("one")), then) })
	}},
	{"the first of several SendBytes", func(s *callbackScene, then func()) {
		s.onLoop(func() {
			thenOf(s, s.c.SendBytes([]byte("one")), then)
			s.c.SendBytes([]byte("two"))
			s.c.SendBytes([]byte("three"))
		})
	}},
	{"the last of several SendBytes", func(s *callbackScene, then func()) {
		s.onLoop(func() {
			s.c.SendBytes([]byte("one"))
			s.c.SendBytes([]byte("two"))
			thenOf(s, s.c.SendBytes([]byte("three")), then)
		})
	}},
	{"a SendBytes with a large one behind it", func(s *callbackScene, then func()) {
		s.onLoop(func() {
			thenOf(s, s.c.SendBytes([]byte("one")), then)
			s.behind = append(s.behind, futures.Map(s.c.SendBytes(make([]byte, plenty)), func(n int) (int64, error) { return int64(n), nil }))
		})
	}},
	{"a SendBytes with a file behind it", func(s *callbackScene, then func()) {
		f := sparseFile(s.T, plenty)
		s.onLoop(func() {
			thenOf(s, s.c.SendBytes([]byte("one")), then)
			s.behind = append(s.behind, s.c.SendFile(f, 0, plenty))
		})
	}},
	{"a SendBytes with a chain behind it", func(s *callbackScene, then func()) {
		s.onLoop(func() {
			thenOf(s, s.c.SendBytes([]byte("one")), then)
			chain := s.rt.Chain(s.c.SendStep(make([]byte, plenty)))
			s.behind = append(s.behind, futures.Map(chain, func(r []proactor.StepResult) (int64, error) { return int64(r[0].N), nil }))
		})
	}},
	{"a SendVector", func(s *callbackScene, then func()) {
		s.onLoop(func() { thenOf(s, s.c.SendVector([]byte("one"), []byte("two")), then) })
	}},
	{"a SendZeroCopy", func(s *callbackScene, then func()) {
		s.onLoop(func() { thenOf(s, s.c.SendZeroCopy(make([]byte, 100)), then) })
	}},
	{"a SendFile", func(s *callbackScene, then func()) {
		f := sparseFile(s.T, 100)
		s.onLoop(func() { thenOf(s, s.c.SendFile(f, 0, 100), then) })
	}},
	{"a chain", func(s *callbackScene, then func()) {
		s.onLoop(func() { thenOf(s, s.rt.Chain(s.c.SendStep([]byte("one"))), then) })
	}},
	{"a Recv", func(s *callbackScene, then func()) {
		s.onLoop(func() {
			s.c.Recv().Then(func(b proactor.Buffer, err error) {
				b.Release()
				if err != nil {
					s.panicked <- err
					return
				}
				then()
			})
		})
		wrote(s.T, s.peer, "in")
	}},
	{"a RecvInto", func(s *callbackScene, then func()) {
		s.onLoop(func() { thenOf(s, s.c.RecvInto(make([]byte, 2)), then) })
		wrote(s.T, s.peer, "in and more")
	}},
}

// sparseFile makes a file of n zero bytes.
func sparseFile(t *testing.T, n int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	require.NoError(t, f.Truncate(n))
	return f
}
