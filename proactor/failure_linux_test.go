package proactor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// queueDescriptors are the numbers of the rings and epolls that are open.
func queueDescriptors(t *testing.T) map[int]bool {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	found := map[int]bool{}
	for _, e := range entries {
		name, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err == nil && (strings.Contains(name, "[io_uring]") || strings.Contains(name, "[eventpoll]")) {
			fd, err := strconv.Atoi(e.Name())
			require.NoError(t, err)
			found[fd] = true
		}
	}
	return found
}

// outcome waits for a future on a goroutine of its own.
func outcome[T any](f futures.Future[T]) <-chan error {
	c := make(chan error, 1)
	go func() {
		_, err := f.Await(context.Background())
		c <- err
	}()
	return c
}

// With the descriptor of its queue closed behind its back a loop ends, and so
// does every operation in flight, with an error that names the cause.
func TestALoopWhoseQueueFailsEndsEverything(t *testing.T) {
	// Let the runtime's own epoll be there before the descriptors are compared.
	r, w, err := os.Pipe()
	require.NoError(t, err)
	r.Close()
	w.Close()
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			requireBackend(t, b)
			leftNothing(t)
			before := queueDescriptors(t)
			rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
			require.NoError(t, err)
			t.Cleanup(func() { rt.Close() })
			var queue int
			for fd := range queueDescriptors(t) {
				if !before[fd] {
					queue = fd
				}
			}
			require.NotZero(t, queue)

			ctx := t.Context()
			pair := func() (one, other *proactor.Conn) {
				one, other, err := rt.SocketPair("unix")
				require.NoError(t, err)
				return one, other
			}
			waiting := map[string]<-chan error{}
			recv, _ := pair()
			waiting["Recv"] = outcome(recv.Recv())
			into, _ := pair()
			waiting["RecvInto"] = outcome(into.RecvInto(make([]byte, 8)))
			adapter, _ := pair()
			read := make(chan error, 1)
			go func() {
				_, err := adapter.NetConn(context.Background()).Read(make([]byte, 8))
				read <- err
			}()
			waiting["NetConn.Read"] = read
			full, _ := pair()
			waiting["SendBytes"] = outcome(full.SendBytes(make([]byte, 8<<20)))
			ended := make(chan error, 1)
			handled, _ := pair()
			handled.OnRecv(func(_ proactor.Buffer, err error) { ended <- err })
			waiting["OnRecv"] = ended
			chained, _ := pair()
			waiting["Chain"] = outcome(rt.Chain(chained.RecvFullStep(make([]byte, 8)), chained.SendStep([]byte("x"))))
			forwarded, to := pair()
			waiting["Forward"] = outcome(forwarded.Forward(to))
			moving, _ := pair()
			moving.SendBytes(make([]byte, 8<<20)) // which it waits for
			waiting["Move"] = outcome(moving.Move(rt.Loops()[0]))
			sent, _ := pair()
			large := filepath.Join(t.TempDir(), "large")
			require.NoError(t, os.WriteFile(large, make([]byte, 8<<20), 0o600))
			file, err := os.Open(large)
			require.NoError(t, err)
			defer file.Close()
			waiting["SendFile"] = outcome(sent.SendFile(file, 0, 8<<20))
			handler, _ := pair()
			waiting["task"] = outcome(rt.Go(ctx, func(ctx context.Context) error {
				_, err := handler.Recv().Await(ctx)
				return err
			}))
			ln, err := rt.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			waiting["Accept"] = outcome(ln.Accept())
			served, err := rt.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			serving := make(chan error, 1)
			begun := make(chan struct{})
			go func() {
				serving <- served.Serve(ctx, func(ctx context.Context, c *proactor.Conn) error {
					close(begun)
					_, err := c.Recv().Await(ctx)
					return err
				})
			}()
			waiting["Serve"] = serving
			peer, err := net.Dial("tcp", served.Addr().String())
			require.NoError(t, err)
			defer peer.Close()
			<-begun
			packet, err := rt.ListenPacket("udp", "127.0.0.1:0")
			require.NoError(t, err)
			waiting["PacketConn.Recv"] = outcome(packet.Recv())
			fifo := filepath.Join(t.TempDir(), "fifo")
			require.NoError(t, unix.Mkfifo(fifo, 0o600))
			pipe, err := rt.OpenFile(fifo, os.O_RDWR, 0).Await(ctx)
			require.NoError(t, err)
			waiting["File.Read"] = outcome(pipe.Read(make([]byte, 8)))
			var ends [2]int
			require.NoError(t, unix.Pipe2(ends[:], unix.O_CLOEXEC))
			defer unix.Close(ends[0])
			defer unix.Close(ends[1])
			waiting["Poll"] = outcome(rt.Poll(ends[0], proactor.Readable))
			waiting["PollAll"] = outcome(rt.PollAll(ends[0], proactor.Readable).Next())
			waiting["Splice"] = outcome(rt.Splice(proactor.AtCursor(ends[1]), proactor.AtCursor(ends[0]), 8))
			waiting["Sleep"] = outcome(rt.Sleep(time.Hour))
			waiting["Every"] = outcome(rt.Every(time.Hour).Next())

			for range 3 { // turns, after which all of it is in flight
				turned := make(chan struct{})
				rt.Loops()[0].Do(func() { close(turned) })
				<-turned
			}
			require.NoError(t, unix.Close(queue))
			rt.Loops()[0].Do(func() {}) // wakes it
			for name, c := range waiting {
				select {
				case err := <-c:
					require.Error(t, err, name)
					if name != "Splice" { // both ends of one pipe
						require.ErrorIs(t, err, unix.EBADF, name)
						require.Contains(t, err.Error(), "event loop 0 failed", name)
						require.ErrorIs(t, err, proactor.ErrClosed, name)
					}
				case <-time.After(30 * time.Second):
					t.Errorf("%s does not end\n%s", name, rt.Describe())
				}
			}
			err = rt.Close()
			require.ErrorIs(t, err, unix.EBADF)
			require.Zero(t, rt.Stats().Total().InFlight)
			require.Zero(t, rt.Stats().Total().BuffersOut)
			_, err = recv.Recv().Await(ctx)
			require.ErrorIs(t, err, proactor.ErrClosed)
			require.False(t, errors.Is(err, io.EOF))
		})
	}
}
