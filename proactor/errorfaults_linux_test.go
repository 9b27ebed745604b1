package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// deed is something that a program does, with operations of several kinds. It returns an
// error if not everything was done, and has closed everything then, too.
type deed struct {
	name string
	do   func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error

	// spares are the kinds without which it is done all the same, such as the poll for a
	// hangup beside a receive.
	spares []ring.Op
}

// position is an entry of a deed: the n-th of its kind.
type position struct {
	kind ring.Op
	nth  int
}

// recorded is the positions that a plan is asked about, but for the loops' own.
type recorded struct {
	mu     sync.Mutex
	counts map[ring.Op]int
	all    []position
}

func (r *recorded) note(o faultqueue.Operation) position {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ofKind(o.Kind)(o) {
		return position{nth: -1}
	}
	p := position{o.Kind, r.counts[o.Kind]}
	r.counts[o.Kind]++
	r.all = append(r.all, p)
	return p
}

// Every operation of a deed fails with every error that it may fail with, one at a time.
// The program learns of that error, or the deed is done all the same; either way it ends,
// and nothing is left: no lease, connection, file, task, descriptor or timer.
func TestErrorsReachTheProgram(t *testing.T) {
	for _, d := range deeds {
		t.Run(d.name, func(t *testing.T) {
			for _, b := range backends {
				t.Run(b.String(), func(t *testing.T) { d.failEverywhere(t, b) })
			}
		})
	}
}

func (d *deed) failEverywhere(t *testing.T, b proactor.Backend) {
	requireBackend(t, b)
	whole := recorded{counts: map[ring.Op]int{}}
	t.Run("whole", func(t *testing.T) {
		require.NoError(t, d.run(t, b, func(o faultqueue.Operation) (f faultqueue.Fault) {
			whole.note(o)
			return f
		}))
	})
	for _, at := range whole.all {
		for _, errno := range faultqueue.Failures(at.kind) {
			t.Run(fmt.Sprintf("%v %d %v", at.kind, at.nth, errno), func(t *testing.T) {
				seen := recorded{counts: map[ring.Op]int{}}
				err := d.run(t, b, func(o faultqueue.Operation) (f faultqueue.Fault) {
					if seen.note(o) == at {
						f.Errno = errno
					}
					return f
				})
				switch {
				case err == nil && seen.counts[at.kind] <= at.nth: // this time it did without
				case err == nil && slices.Contains(d.spares, at.kind):
				case errno == syscall.ECANCELED: // it is begun again, or shows as the end of a connection
				case err == nil && at.kind == ring.OpConnect && errno == syscall.EADDRNOTAVAIL: // another port is tried
				default:
					require.ErrorIs(t, err, errno)
				}
			})
		}
	}
}

// With everything that may go wrong, errors included, each deed ends and leaves nothing,
// and what it has done without an error is right.
func TestDeedsWithAllFaults(t *testing.T) {
	seeds := max(4, 20**faultSeeds)
	for _, d := range deeds {
		t.Run(d.name, func(t *testing.T) {
			for _, b := range backends {
				t.Run(b.String(), func(t *testing.T) {
					requireBackend(t, b)
					for seed := *firstSeed; seed < *firstSeed+seeds; seed++ {
						plan := faultqueue.Random(seed, 0, faultqueue.All)
						t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
							if err := d.run(t, b, plan); err != nil {
								t.Log(err)
								require.NotErrorIs(t, err, errWrong)
							}
						})
					}
				})
			}
		})
	}
}

// errWrong is the error of a deed that was done wrong.
var errWrong = errors.New("wrong")

// run does it on a runtime of its own, with faults.
func (d *deed) run(t *testing.T, b proactor.Backend, plan faultqueue.Plan) (err error) {
	return d.runWith(t, b, withFaults(func(int) faultqueue.Plan { return plan }))
}

// runWith does it on a runtime with an option.
func (d *deed) runWith(t *testing.T, b proactor.Backend, option proactor.Option) (err error) {
	onBackend(t, b, func(t *testing.T, rt *proactor.Runtime) {
		bounded(t, d.name, func() { err = d.do(t, t.Context(), rt) })
		eventually(t, func() bool {
			s := rt.Stats().Total()
			return s.Conns+s.Files+s.Others+s.Tasks+s.BuffersOut+s.Timers == 0 && s.Held == 0 && s.InFlight <= 1
		}, func() string { return fmt.Sprintf("left over: %+v\n%s", rt.Stats().Total(), rt.Describe()) })
	}, option, proactor.WithLoops(1))
	return err
}

// echoTo sends text on c, and receives it again.
func echoTo(ctx context.Context, c *proactor.Conn, text string) error {
	if _, err := c.SendBytes([]byte(text)).Await(ctx); err != nil {
		return err
	}
	return receiveText(ctx, c, text)
}

// receiveText receives text.
func receiveText(ctx context.Context, c *proactor.Conn, text string) error {
	var got strings.Builder
	for got.Len() < len(text) {
		b, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		got.Write(b.Bytes())
		b.Release()
	}
	return equal(text, got.String())
}

func equal(want, got string) error {
	if want != got {
		return fmt.Errorf("%w: want %q, got %q", errWrong, want, got)
	}
	return nil
}

// ended ends c, and waits for that.
func ended(ctx context.Context, c *proactor.Conn) error {
	c.Close()
	_, err := c.Closed().Await(ctx)
	return err
}

// first is the first error of steps, of which the rest is left out.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func awaited[T any](ctx context.Context, f func() futures.Future[T]) func() error {
	return func() error { _, err := f().Await(ctx); return err }
}

var deeds = []deed{
	{name: "dial, send, receive", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		c, err := rt.Dial(ctx, "tcp", echoAt(t, "tcp", "127.0.0.1:0").String()).Await(ctx)
		if err != nil {
			return err
		}
		return errors.Join(first(
			func() error { return echoTo(ctx, c, "one") },
			func() error { return echoTo(ctx, c, "two") },
			func() error { return echoTo(ctx, c, "three, when receives go on by themselves") },
			awaited(ctx, c.CloseWrite),
		), ended(ctx, c))
	}, spares: []ring.Op{ring.OpClose, ring.OpPollAdd}},
	{name: "accept, receive into memory, send in pieces", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		c, peer := accepted(t, rt)
		go func() { io.Copy(peer, peer); peer.Close() }()
		p := make([]byte, 64<<10)
		return errors.Join(first(
			func() error {
				_, err := c.SendVector(p[:30<<10], p[30<<10:]).Await(ctx)
				return err
			},
			func() error {
				for got := 0; got < len(p); {
					n, err := c.RecvInto(p[got:]).Await(ctx)
					if err != nil {
						return err
					}
					got += n
				}
				return nil
			},
		), ended(ctx, c))
	}, spares: []ring.Op{ring.OpClose, ring.OpPollAdd}},
	{name: "zero-copy", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		c, peer := accepted(t, rt)
		go func() { io.Copy(peer, peer); peer.Close() }()
		return errors.Join(first(
			awaited(ctx, func() futures.Future[int] { return c.SendZeroCopy([]byte("hello")) }),
			func() error { return receiveText(ctx, c, "hello") },
		), ended(ctx, c))
	}, spares: []ring.Op{ring.OpClose, ring.OpPollAdd, ring.OpSend}},
	{name: "messages", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		c, err := rt.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		defer c.Close()
		return first(
			awaited(ctx, func() futures.Future[int] { return c.SendTo([]byte("hello"), addrPort(c.LocalAddr())) }),
			func() error {
				m, err := c.Recv().Await(ctx)
				if err == nil {
					m.Release()
				}
				return err
			},
		)
	}, spares: []ring.Op{ring.OpClose}},
	{name: "a file", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		name := filepath.Join(t.TempDir(), "file")
		f, err := rt.Create(name).Await(ctx)
		if err != nil {
			return err
		}
		p, q := make([]byte, 4), make([]byte, 4)
		err = first(
			awaited(ctx, func() futures.Future[int] { return f.WriteAt([]byte("abcd"), 0) }),
			awaited(ctx, func() futures.Future[int] { return f.Write([]byte("AB")) }),
			awaited(ctx, func() futures.Future[int] { return f.WriteVectorAt([][]byte{[]byte("e"), []byte("f")}, 4) }),
			awaited(ctx, f.Sync),
			awaited(ctx, func() futures.Future[struct{}] { return f.Allocate(0, 6) }),
			awaited(ctx, func() futures.Future[struct{}] { return f.Truncate(6) }),
			awaited(ctx, f.Stat),
			awaited(ctx, func() futures.Future[int] { return f.ReadAt(p, 0) }),
			awaited(ctx, func() futures.Future[int] { return f.ReadVectorAt([][]byte{q[:2], q[2:]}, 2) }),
			func() error { return equal("ABcd|cdef", string(p)+"|"+string(q)) },
		)
		_, closing := f.Close().Await(ctx)
		return errors.Join(err, closing)
	}},
	{name: "names", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		dir := filepath.Join(t.TempDir(), "dir")
		at := func(name string) string { return filepath.Join(dir, name) }
		return first(
			awaited(ctx, func() futures.Future[struct{}] { return rt.Mkdir(dir, 0o700) }),
			func() error { return os.WriteFile(at("file"), nil, 0o600) },
			awaited(ctx, func() futures.Future[struct{}] { return rt.Link(at("file"), at("link")) }),
			awaited(ctx, func() futures.Future[struct{}] { return rt.Symlink("file", at("symlink")) }),
			awaited(ctx, func() futures.Future[struct{}] { return rt.Rename(at("file"), at("renamed")) }),
			awaited(ctx, func() futures.Future[os.FileInfo] { return rt.Stat(at("renamed")) }),
			awaited(ctx, func() futures.Future[struct{}] { return rt.Remove(at("renamed")) }),
		)
	}},
	{name: "a chain on a file", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		f := proactor.NewChainFile(filepath.Join(t.TempDir(), "file"), os.O_RDWR|os.O_CREATE, 0o600)
		p := make([]byte, 4)
		_, err := rt.Chain(f.OpenStep(), f.WriteStep([]byte("text"), 0), f.SyncStep(), f.ReadFullStep(p, 0), f.CloseStep()).Await(ctx)
		if err == nil {
			err = equal("text", string(p))
		}
		return err
	}},
	{name: "a chain on a connection", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		c, connect, err := rt.Unconnected("tcp", echoAt(t, "tcp", "127.0.0.1:0").String())
		require.NoError(t, err)
		p := make([]byte, 5)
		_, err = rt.Chain(connect, c.SendStep([]byte("hello")), c.RecvFullStep(p)).Await(ctx)
		if err == nil {
			err = equal("hello", string(p))
		}
		return errors.Join(err, ended(ctx, c))
	}, spares: []ring.Op{ring.OpClose, ring.OpPollAdd}},
	{name: "forwarding", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		from, source := accepted(t, rt)
		to, sink := accepted(t, rt)
		go func() {
			source.Write(make([]byte, 1<<20))
			source.CloseWrite()
		}()
		got := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, sink)
			got <- n
		}()
		n, err := from.Forward(to).Await(ctx)
		err = errors.Join(err, ended(ctx, from), ended(ctx, to))
		if received := <-got; err == nil && (n != 1<<20 || received != n) {
			err = fmt.Errorf("%w: forwarded %d bytes, %d came", errWrong, n, received)
		}
		source.Close()
		return err
	}, spares: []ring.Op{ring.OpClose, ring.OpPipe, ring.OpPollAdd}},
	{name: "sending a file", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		name := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(name, make([]byte, 100_000), 0o600))
		f, err := os.Open(name)
		require.NoError(t, err)
		defer f.Close()
		c, peer := accepted(t, rt)
		got := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, peer)
			got <- n
		}()
		n, err := c.SendFile(f, 0, 100_000).Await(ctx)
		err = errors.Join(err, ended(ctx, c))
		if received := <-got; err == nil && (n != 100_000 || received != n) {
			err = fmt.Errorf("%w: sent %d bytes, %d came", errWrong, n, received)
		}
		return err
	}, spares: []ring.Op{ring.OpClose}},
	{name: "polls", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		wrote(t, w, "x")
		_, err = rt.Poll(int(r.Fd()), proactor.Readable).Await(ctx)
		all := rt.PollAll(int(r.Fd()), proactor.Readable)
		_, next := all.Next().Await(ctx)
		_, stop := all.Stop().Await(ctx)
		return errors.Join(err, next, stop)
	}},
	{name: "pipes", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		r, w, err := rt.Pipe()
		if err != nil {
			return err
		}
		return errors.Join(first(
			awaited(ctx, func() futures.Future[int] { return w.SendBytes([]byte("pipe")) }),
			func() error { return receiveText(ctx, r, "pipe") },
		), ended(ctx, w), ended(ctx, r))
	}, spares: []ring.Op{ring.OpClose}},
	{name: "a net.Conn", do: func(t *testing.T, ctx context.Context, rt *proactor.Runtime) error {
		c, peer := accepted(t, rt)
		go func() { io.Copy(peer, peer); peer.Close() }()
		n := c.NetConn(ctx)
		err := first(
			func() error { _, err := n.Write([]byte("hello")); return err },
			func() error { _, err := io.ReadFull(n, make([]byte, 5)); return err },
			func() error { _, err := n.Write(make([]byte, 100_000)); return err },
			func() error { _, err := io.ReadFull(n, make([]byte, 100_000)); return err },
		)
		if closing := n.Close(); !errors.Is(closing, net.ErrClosed) {
			err = errors.Join(err, closing)
		}
		return err
	}, spares: []ring.Op{ring.OpClose, ring.OpPollAdd}},
}
