package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// callbacks are the places where nothing may wait. Each runs fn there.
var callbacks = map[string]func(t *testing.T, rt *proactor.Runtime, fn func()){
	"Do": func(t *testing.T, rt *proactor.Runtime, fn func()) {
		require.True(t, rt.Loops()[0].Do(fn))
	},
	"Then": func(t *testing.T, rt *proactor.Runtime, fn func()) {
		require.True(t, rt.Loops()[0].Do(func() {
			rt.Sleep(1).Then(func(struct{}, error) { fn() })
		}))
	},
	"OnRecv": func(t *testing.T, rt *proactor.Runtime, fn func()) {
		c, peer := accepted(t, rt)
		c.OnRecv(func(b proactor.Buffer, err error) {
			b.Release()
			if err == nil {
				fn()
			}
		})
		wrote(t, peer, "now")
	},
}

// awaitingInCallback calls an operation and awaits its future in a callback, and
// returns the error.
func awaitingInCallback[T any](t *testing.T, rt *proactor.Runtime, callback func(*testing.T, *proactor.Runtime, func()), call func() futures.Future[T]) error {
	t.Helper()
	err := make(chan error, 1)
	callback(t, rt, func() {
		failure := errors.New("not on the loop")
		defer func() { err <- failure }()
		if rt.Loops()[0].Inside() {
			_, failure = call().Await(context.Background())
		}
	})
	return <-err
}

// plenty is more than a connection's sockets take.
const plenty = 12 << 20

// quiet are operations that have to wait. In a callback Await ends them instead;
// afterwards neither is the memory written to nor what is in it read.
var quiet = []struct {
	name string
	show func(t *testing.T, rt *proactor.Runtime, await func(call func() futures.Future[int]))
}{
	{"RecvInto", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		c, peer := accepted(t, rt)
		p := untouched(64)
		await(func() futures.Future[int] { return c.RecvInto(p) })
		wrote(t, peer, "for the next")
		require.Equal(t, "for the next", receivedAll(t, t.Context(), c, 12))
		require.Equal(t, untouched(64), p)
	}},
	{"RecvInto in line", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		c, peer := accepted(t, rt)
		first, p := make([]byte, 3), untouched(64)
		f := c.RecvInto(first)
		await(func() futures.Future[int] { return c.RecvInto(p) })
		wrote(t, peer, "one and more")
		n, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "one", string(first[:n]))
		require.Equal(t, " and more", receivedAll(t, t.Context(), c, 9))
		require.Equal(t, untouched(64), p)
	}},
	{"RecvFiles", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		c, other, err := rt.SocketPair("unix")
		require.NoError(t, err)
		p := untouched(64)
		await(func() futures.Future[int] {
			return futures.Map(c.RecvFiles(p, 1), func(r proactor.Received) (int, error) { return r.N, nil })
		})
		_, err = other.SendBytes([]byte("for the next")).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "for the next", receivedAll(t, t.Context(), c, 12))
		require.Equal(t, untouched(64), p)
	}},
	{"a chain that receives", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		c, peer := accepted(t, rt)
		p, q := untouched(64), untouched(64)
		await(func() futures.Future[int] {
			chain := rt.Chain(c.SendStep([]byte("question")), c.RecvStep(p), c.RecvStep(q))
			return futures.Map(chain, func(r []proactor.StepResult) (int, error) { return len(r), nil })
		})
		wrote(t, peer, "for the next")
		require.Equal(t, "for the next", receivedAll(t, t.Context(), c, 12))
		require.Equal(t, untouched(64), p)
		require.Equal(t, untouched(64), q)
	}},
	{"SendBytes", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		c, peer := accepted(t, rt)
		p := bytes.Repeat([]byte{'s'}, plenty)
		await(func() futures.Future[int] { return c.SendBytes(p) })
		copy(p, bytes.Repeat([]byte{'x'}, len(p)))
		c.Close()
		got, _ := io.ReadAll(peer)
		require.Negative(t, bytes.IndexByte(got, 'x'))
	}},
	{"SendBytes behind another", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		c, peer := accepted(t, rt)
		first := c.SendBytes(make([]byte, plenty))
		p := bytes.Repeat([]byte{'s'}, 1<<10)
		await(func() futures.Future[int] { return c.SendBytes(p) })
		copy(p, bytes.Repeat([]byte{'x'}, len(p)))
		read := make(chan []byte, 1)
		go func() { got, _ := io.ReadAll(peer); read <- got }()
		n, err := first.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, plenty, n)
		c.Close()
		require.Len(t, <-read, plenty)
	}},
	{"SendVector", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		c, peer := accepted(t, rt)
		p := bytes.Repeat([]byte{'s'}, plenty)
		await(func() futures.Future[int] { return c.SendVector(p[:plenty/2], p[plenty/2:]) })
		copy(p, bytes.Repeat([]byte{'x'}, len(p)))
		c.Close()
		got, _ := io.ReadAll(peer)
		require.Negative(t, bytes.IndexByte(got, 'x'))
	}},
	{"SendTo", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		defer peer.Close()
		to := peer.LocalAddr().(*net.UDPAddr).AddrPort()
		c, err := rt.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		defer c.Close()
		p := []byte("sent")
		await(func() futures.Future[int] { return c.SendTo(p, to) })
		copy(p, "over")
		_, err = c.SendTo([]byte("last"), to).Await(t.Context())
		require.NoError(t, err)
		for got := make([]byte, 8); ; { // what was under way may go out, as it was
			n, err := peer.Read(got)
			require.NoError(t, err)
			if string(got[:n]) == "last" {
				return
			}
			require.Equal(t, "sent", string(got[:n]))
		}
	}},
	{"SendTo a socket that is full", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		path := filepath.Join(t.TempDir(), "peer")
		peer, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		require.NoError(t, err)
		defer peer.Close()
		c, err := rt.ListenPacket("unixgram", "")
		require.NoError(t, err)
		defer c.Close()
		var before []futures.Future[int]
		for range 600 { // more than its queue takes
			before = append(before, c.SendToName([]byte("before"), path))
		}
		p := []byte("sent")
		await(func() futures.Future[int] { return c.SendToName(p, path) })
		copy(p, "over")
		last := c.SendToName([]byte("last"), path)
		for got := make([]byte, 8); string(got[:4]) != "last"; {
			n, err := peer.Read(got)
			require.NoError(t, err)
			require.NotEqual(t, "over", string(got[:n]))
			require.NotEqual(t, "sent", string(got[:n]))
		}
		_, err = last.Await(t.Context())
		require.NoError(t, err)
		for _, f := range before {
			_, err := f.Await(t.Context())
			require.NoError(t, err)
		}
	}},
	{"SendBatch", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		path := filepath.Join(t.TempDir(), "peer")
		peer, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		require.NoError(t, err)
		defer peer.Close()
		c, err := rt.ListenPacket("unixgram", "")
		require.NoError(t, err)
		defer c.Close()
		p := []byte("sent")
		batch := make([]proactor.Datagram, 600)
		for i := range batch {
			batch[i] = proactor.Datagram{Data: p, ToName: path}
		}
		await(func() futures.Future[int] { return c.SendBatch(batch) })
		copy(p, "over")
		last := c.SendToName([]byte("last"), path)
		for got := make([]byte, 8); string(got[:4]) != "last"; {
			n, err := peer.Read(got)
			require.NoError(t, err)
			require.NotEqual(t, "over", string(got[:n]))
		}
		_, err = last.Await(t.Context())
		require.NoError(t, err)
	}},
	{"Read", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		f := namedPipe(t, rt)
		p := untouched(64)
		await(func() futures.Future[int] { return f.Read(p) })
		nextReads(t, f)
		require.Equal(t, untouched(64), p)
	}},
	{"Read in line", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		f := namedPipe(t, rt)
		first, p := make([]byte, 64), untouched(64)
		before := f.Read(first)
		await(func() futures.Future[int] { return f.Read(p) })
		before.Cancel()
		_, err := before.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		nextReads(t, f)
		require.Equal(t, untouched(64), p)
	}},
	{"a chain that reads", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		f := namedPipe(t, rt)
		p := untouched(64)
		await(func() futures.Future[int] {
			return futures.Map(rt.Chain(f.ReadNextStep(p)), func(r []proactor.StepResult) (int, error) { return len(r), nil })
		})
		nextReads(t, f)
		require.Equal(t, untouched(64), p)
	}},
	{"Poll", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		fd := eventfd(t)
		await(func() futures.Future[int] {
			return futures.Map(rt.Poll(fd, proactor.Readable), func(e proactor.Events) (int, error) { return int(e), nil })
		})
		signalEvent(t, fd)
		events, err := rt.Poll(fd, proactor.Readable).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, proactor.Readable, events)
	}},
	{"Splice", func(t *testing.T, rt *proactor.Runtime, await func(func() futures.Future[int])) {
		from, to := osPipe(t), osPipe(t)
		await(func() futures.Future[int] {
			return rt.Splice(proactor.AtCursor(int(to[1].Fd())), proactor.AtCursor(int(from[0].Fd())), 8)
		})
		wrote(t, from[1], "for the next")
		require.Equal(t, "for the next", readFull(t, from[0], 12))
	}},
}

func untouched(n int) []byte { return bytes.Repeat([]byte{0xa5}, n) }

func osPipe(t *testing.T) (ends [2]*os.File) {
	t.Helper()
	var err error
	ends[0], ends[1], err = os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { ends[0].Close(); ends[1].Close() })
	return ends
}

// namedPipe opens one for reading that others hold open for writing.
func namedPipe(t *testing.T, rt *proactor.Runtime) *proactor.File {
	t.Helper()
	f, err := rt.OpenFile(pipeNamed(t), os.O_RDWR, 0).Await(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// nextReads shows that the next read gets what comes next.
func nextReads(t *testing.T, f *proactor.File) {
	t.Helper()
	require.NoError(t, os.WriteFile(f.Name(), []byte("for the next"), 0))
	p := make([]byte, 64)
	n, err := f.Read(p).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, "for the next", string(p[:n]))
}

// When Await returns in a callback, the kernel is done with the memory of the
// operation, and the loop goes on.
func TestAwaitInCallbackIsTheEndOfTheOperation(t *testing.T) {
	for name, callback := range callbacks {
		for _, c := range quiet {
			t.Run(fmt.Sprintf("%s in %s", c.name, name), func(t *testing.T) {
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					c.show(t, rt, func(call func() futures.Future[int]) {
						err := awaitingInCallback(t, rt, callback, call)
						require.Equal(t, futures.ErrNoTask, err)
					})
				}, proactor.WithLoops(1), proactor.WithDrainTimeout(1))
			})
		}
	}
}

// The completion may be there already, and not delivered.
func TestAwaitInCallbackOfWhatHasEnded(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		other, otherPeer := accepted(t, rt)
		p := untouched(64)
		f := other.RecvInto(p)
		failure := make(chan error, 1)
		c.OnRecv(func(b proactor.Buffer, err error) {
			b.Release()
			if err == nil {
				_, err := f.Await(context.Background())
				failure <- err
			}
		})
		held, holds := make(chan struct{}), make(chan struct{})
		rt.Loops()[0].Do(func() { close(holds); <-held })
		<-holds
		wrote(t, peer, "first")
		wrote(t, otherPeer, "second")
		close(held)
		if err := <-failure; err != nil {
			require.Equal(t, futures.ErrNoTask, err)
			n, err := f.Await(t.Context())
			if err != nil {
				require.ErrorIs(t, err, futures.ErrCanceled)
				return
			}
			require.Equal(t, "second", string(p[:n]))
		}
	}, proactor.WithLoops(1))
}

// The same for an operation that another goroutine has called and that is still on
// its way to the loop.
func TestAwaitInCallbackOfWhatHasNotBegun(t *testing.T) {
	for _, c := range quiet {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				c.show(t, rt, func(call func() futures.Future[int]) {
					called := make(chan futures.Future[int])
					failure := make(chan error, 1)
					require.True(t, rt.Loops()[0].Do(func() {
						_, err := (<-called).Await(context.Background())
						failure <- err
					}))
					called <- call()
					require.Contains(t, []error{futures.ErrNoTask, futures.ErrCanceled}, <-failure)
				})
			}, proactor.WithLoops(1), proactor.WithDrainTimeout(1))
		})
	}
}

// The peer alone says when the kernel is done with the memory of a send without copy, and
// this one does not read.
func TestAwaitInCallbackOfZeroCopy(t *testing.T) {
	for name, callback := range callbacks {
		for what, size := range map[string]int{"part": uncopied, "all": 100 << 10} {
			t.Run(fmt.Sprintf("%s of it with the socket in %s", what, name), func(t *testing.T) {
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					c, peer := slowly(t, rt)
					waits := c.Recv()
					p := bytes.Repeat([]byte{'s'}, size)
					f := c.SendZeroCopy(p)
					readFull(t, peer, 1)
					require.NoError(t, errorOf(rt.Sleep(1).Await(t.Context()))) // what has ended is known
					ended := make(chan error, 1)
					callback(t, rt, func() { _, err := f.Await(context.Background()); ended <- err })
					select {
					case err := <-ended:
						if err == nil { // on epoll nothing waits for the peer
							require.Equal(t, proactor.Epoll, rt.Backend().Backend)
							break
						}
						require.Equal(t, futures.ErrNoTask, err)
					case <-time.After(30 * time.Second):
						t.Fatal("the loop waits for the peer")
					}
					copy(p, bytes.Repeat([]byte{'x'}, len(p)))
					if n, err := f.Await(t.Context()); err != nil {
						require.ErrorIs(t, err, futures.ErrCanceled)
						require.ErrorIs(t, errorOf(waits.Await(t.Context())), proactor.ErrClosed)
						require.NoError(t, errorOf(c.Closed().Await(t.Context())))
					} else {
						require.Equal(t, len(p), n)
						closedDown(t, c)
					}
					got, _ := io.ReadAll(peer)
					require.Negative(t, bytes.IndexByte(got, 'x'))
				}, proactor.WithLoops(1), proactor.WithDrainTimeout(1))
			})
		}
	}
}
