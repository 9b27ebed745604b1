package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestConformanceCopiedWrites(t *testing.T) { conform(t, copiedWrites) }

// copiedWrites is what holds of Writes of a task that return before they are sent.
var copiedWrites = []behaviour{
	{name: "those that follow one do not give way, and all arrive", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			n := c.NetConn(ctx)
			wrote(t, n, "0 ")
			turned := false
			c.Loop().Do(func() { turned = true })
			for i := 1; i < 100; i++ {
				wrote(t, n, fmt.Sprint(i, " "))
			}
			require.False(t, turned)
			require.Positive(t, c.Queued())
			require.NoError(t, n.Close())
		})
		all, err := io.ReadAll(peer)
		require.NoError(t, err)
		var want bytes.Buffer
		for i := range 100 {
			fmt.Fprint(&want, i, " ")
		}
		require.Equal(t, want.String(), string(all))
	}},
	{name: "they are sent when the handler returns", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		go ln.Serve(t.Context(), func(ctx context.Context, c *proactor.Conn) error {
			n := c.NetConn(ctx)
			for range 10 {
				if _, err := n.Write(make([]byte, 1000)); err != nil {
					return err
				}
			}
			return nil
		})
		all, err := io.ReadAll(dial(t, ln.Addr()))
		require.NoError(t, err)
		require.Len(t, all, 10_000)
	}},
	{name: "a deadline ends the Writes that wait, and nothing that has returned", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 5 {
			c, peer := accepted(t, rt)
			var want []byte
			inTask(t, rt, c, func(ctx context.Context) {
				n := c.NetConn(ctx)
				require.NoError(t, n.SetWriteDeadline(soon()))
				for i := 0; ; i++ {
					p := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 500+i%3000)
					k, err := n.Write(p)
					want = append(want, p[:k]...)
					if err != nil {
						timedOut(t, err)
						break
					}
				}
				_, err := n.Write([]byte("x"))
				timedOut(t, err)
				require.NoError(t, n.SetWriteDeadline(never))
			})
			read := make(chan []byte, 1)
			go func() {
				all, _ := io.ReadAll(peer)
				read <- all
			}()
			inTask(t, rt, c, func(ctx context.Context) {
				n := c.NetConn(ctx)
				for i := range 20 {
					p := bytes.Repeat([]byte{byte('a' + i)}, 700)
					wrote(t, n, string(p))
					want = append(want, p...)
				}
				require.NoError(t, n.Close())
			})
			require.True(t, bytes.Equal(want, <-read))
		}
	}},
	{name: "they end with an error when the peer resets", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		inTask(t, rt, c, func(ctx context.Context) {
			n := c.NetConn(ctx)
			var err error
			for err == nil {
				_, err = n.Write([]byte("nobody reads this"))
			}
			require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), err)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, "write", op.Op)
		})
	}},
	{name: "they fail once the context is over", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			limited, cancel := context.WithCancel(ctx)
			n := c.NetConn(limited)
			wrote(t, n, "one")
			wrote(t, n, "two")
			cancel()
			_, err := n.Write([]byte("three"))
			require.ErrorIs(t, err, context.Canceled)
		})
		require.Equal(t, "onetwo", readFull(t, peer, 6))
	}},
	{name: "what goes to the socket by another way follows", show: func(t *testing.T, rt *proactor.Runtime) {
		ways := map[string]func(t *testing.T, ctx context.Context, c *proactor.Conn, n net.Conn){
			"SyscallConn": func(t *testing.T, _ context.Context, _ *proactor.Conn, n net.Conn) {
				raw, err := n.(syscall.Conn).SyscallConn()
				require.NoError(t, err)
				var failure error
				require.NoError(t, raw.Write(func(fd uintptr) bool {
					_, failure = syscall.Write(int(fd), []byte("behind"))
					return failure != syscall.EAGAIN
				}))
				require.NoError(t, failure)
			},
			"File": func(t *testing.T, _ context.Context, _ *proactor.Conn, n net.Conn) {
				f, err := n.(interface{ File() (*os.File, error) }).File()
				require.NoError(t, err)
				defer f.Close()
				wrote(t, f, "behind")
			},
			"Send": func(t *testing.T, ctx context.Context, c *proactor.Conn, _ net.Conn) {
				_, err := c.SendBytes([]byte("behind")).Await(ctx)
				require.NoError(t, err)
			},
			"a larger Write": func(t *testing.T, _ context.Context, _ *proactor.Conn, n net.Conn) {
				wrote(t, n, "behind"+string(make([]byte, 100<<10)))
			},
			"Detach": func(t *testing.T, _ context.Context, c *proactor.Conn, _ net.Conn) {
				std, err := c.Detach()
				require.NoError(t, err)
				wrote(t, std, "behind")
				require.NoError(t, std.Close())
			},
			"CloseWrite": func(t *testing.T, _ context.Context, _ *proactor.Conn, n net.Conn) {
				wrote(t, n, "behind")
				require.NoError(t, n.(interface{ CloseWrite() error }).CloseWrite())
			},
		}
		for name, way := range ways {
			t.Run(name, func(t *testing.T) {
				c, peer := accepted(t, rt)
				inTask(t, rt, c, func(ctx context.Context) {
					n := c.NetConn(ctx)
					wrote(t, n, "first ")
					wrote(t, n, "second ")
					way(t, ctx, c, n)
				})
				require.Equal(t, "first second behind", readFull(t, peer, len("first second behind")))
			})
		}
	}},
	{name: "two tasks and a goroutine write whole pieces", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		write := func(n net.Conn, b byte) error {
			for i := range 200 {
				if _, err := n.Write(append(bytes.Repeat([]byte{b}, 1+i*7%900), '\n')); err != nil {
					return err
				}
			}
			return nil
		}
		var ended []futures.Future[struct{}]
		for i := range 2 {
			ended = append(ended, c.Loop().Go(t.Context(), func(ctx context.Context) error { return write(c.NetConn(ctx), byte('a'+i)) }))
		}
		outside := make(chan error, 1)
		go func() { outside <- write(c.NetConn(t.Context()), 'c') }()
		read := make(chan []byte, 1)
		go func() {
			all, _ := io.ReadAll(peer)
			read <- all
		}()
		for _, f := range ended {
			_, err := f.Await(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, <-outside)
		require.NoError(t, c.Close())
		pieces := bytes.Split(<-read, []byte("\n"))
		require.Len(t, pieces, 601)
		for _, p := range pieces[:600] {
			require.Equal(t, len(p), bytes.Count(p, p[:1]))
		}
	}},
	{name: "a peer that does not read holds little memory", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		ended := c.Loop().Go(t.Context(), func(ctx context.Context) error {
			n := c.NetConn(ctx)
			for {
				if _, err := n.Write(make([]byte, 1000)); err != nil {
					return err
				}
			}
		})
		for range 200 {
			require.LessOrEqual(t, c.Queued(), 65<<10)
			runtime.Gosched()
		}
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		_, err := ended.Await(t.Context())
		require.Error(t, err)
	}},
}

// TestCopiedWritesAllocateNothing counts allocations of a net.Buffers to a peer that
// reads.
func TestCopiedWritesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		go ln.Serve(t.Context(), func(ctx context.Context, c *proactor.Conn) error {
			n := c.NetConn(ctx)
			memory := make([]byte, 1000)
			for {
				if _, err := n.Read(memory[:1]); err != nil {
					return nil
				}
				for range 20 {
					if _, err := n.Write(memory); err != nil {
						return err
					}
				}
			}
		})
		c := rawDial(t, ln.Addr())
		answer := make([]byte, 20_000)
		requireNoAllocs(t, func() {
			c.write(t, answer[:1])
			c.read(t, answer)
		})
	})
}
