package proactor_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceMisuse(t *testing.T) { conform(t, misuse) }

// huge is a buffer longer than the 32 bits that an entry has for a length. Its
// pages are there when they are touched only.
func huge(t *testing.T) []byte {
	const n = 1 << (strconv.IntSize / 2)
	if strconv.IntSize < 64 || raceEnabled {
		t.Skip("needs an address space of 64 bits, and no race detector to note each byte of it")
	}
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Munmap(p) })
	return p
}

var misuse = []behaviour{
	{name: "Close returns although others go on calling", without: faultqueue.Delays | faultqueue.Interrupts, show: func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		calls := lateUsers(t, rt, l)
		calls["Do"] = func(context.Context) error {
			ran := make(chan struct{})
			if l.Do(func() { close(ran) }) {
				<-ran
			}
			return nil
		}
		calls["SocketPair"] = func(context.Context) error {
			a, b, err := rt.SocketPair("unix")
			if err == nil {
				a.Abort()
				b.Abort()
			}
			return err
		}
		for _, leaves := range []string{"AlignedMemory", "Recv of messages"} {
			delete(calls, leaves) // what would be left over
		}
		var closed atomic.Bool
		var going, ended sync.WaitGroup
		for _, call := range calls {
			going.Add(1)
			ended.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				call(ctx) // the last that may work
				cancel()
				for going.Done(); !closed.Load(); {
					call(t.Context())
				}
			})
		}
		going.Wait()
		bounded(t, "Close", func() { rt.Close() })
		closed.Store(true)
		ended.Wait()
	}},
	{name: "a deadline is a timeout and no cancel, of whatever operation", show: func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		wait := []string{"Dial", "Every", "Poll", "PollAll", "Splice", "Recv", "RecvInto", "Recv of messages", "Accept"}
		for name := range lateUsers(t, rt, l) {
			if name == "AlignedMemory" { // which does not wait, and would be left over
				continue
			}
			use := lateUsers(t, rt, l)[name] // which others have not used up
			ctx, cancel := context.WithDeadline(t.Context(), past)
			err := use(ctx)
			cancel()
			require.NotErrorIs(t, err, context.Canceled, name)
			if slices.Contains(wait, name) || errors.Is(err, context.DeadlineExceeded) {
				require.ErrorIs(t, err, context.DeadlineExceeded, name)
				timedOut(t, err)
			}
		}
	}},
	{name: "behind a peer that does not read, nothing outlasts its context", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		l, x := c.Loop(), []byte("x")
		stuck := c.SendBytes(make([]byte, stuffed))
		file, err := os.Open(os.Args[0])
		require.NoError(t, err)
		defer file.Close()
		endsInTime := func(name string, use func(ctx context.Context) error) {
			onTime := func(ctx context.Context) {
				late, cancel := context.WithDeadline(ctx, past)
				defer cancel()
				err = use(late)
			}
			bounded(t, name, func() { onLoop(t, l, onTime) })
			require.ErrorIs(t, err, context.DeadlineExceeded, "%s in a task", name)
			bounded(t, name, func() { onTime(t.Context()) })
			require.ErrorIs(t, err, context.DeadlineExceeded, "%s on a goroutine", name)
		}
		for name, use := range map[string]func(ctx context.Context) error{
			"SendBytes":        func(ctx context.Context) error { return second(c.SendBytes(x).Await(ctx)) },
			"a long SendBytes": func(ctx context.Context) error { return second(c.SendBytes(make([]byte, stuffed)).Await(ctx)) },
			"SendZeroCopy":     func(ctx context.Context) error { return second(c.SendZeroCopy(x).Await(ctx)) },
			"SendVector":       func(ctx context.Context) error { return second(c.SendVector(x, x).Await(ctx)) },
			"SendFile":         func(ctx context.Context) error { return second(c.SendFile(file, 0, 1<<16).Await(ctx)) },
			"SendStep":         func(ctx context.Context) error { return second(rt.Chain(c.SendStep(x)).Await(ctx)) },
			"Recv":             func(ctx context.Context) error { return second(c.Recv().Await(ctx)) },
			"RecvInto":         func(ctx context.Context) error { return second(c.RecvInto(make([]byte, 1)).Await(ctx)) },
			"RecvStep":         func(ctx context.Context) error { return second(rt.Chain(c.RecvStep(make([]byte, 1))).Await(ctx)) },
			"Move":             func(ctx context.Context) error { return second(c.Move(l).Await(ctx)) },
			"Closed":           func(ctx context.Context) error { return second(c.Closed().Await(ctx)) },
		} {
			endsInTime(name, use)
		}
		endsInTime("CloseWrite", func(ctx context.Context) error { return second(c.CloseWrite().Await(ctx)) })
		c.Abort()
		_, err = stuck.Await(t.Context())
		require.Error(t, err)
	}},
	{name: "a huge send goes out piece by piece", show: func(t *testing.T, rt *proactor.Runtime) {
		p := huge(t)
		c, peer := accepted(t, rt)
		f := c.SendBytes(p)
		_, err := io.CopyN(io.Discard, peer, 1<<20)
		require.NoError(t, err)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		n, err := f.Await(t.Context())
		gone(t, err)
		require.GreaterOrEqual(t, n, 1<<20)
		closedDown(t, c)
	}},
	{name: "a huge RecvInto takes what is there", show: func(t *testing.T, rt *proactor.Runtime) {
		p := huge(t)
		c, peer := accepted(t, rt)
		wrote(t, peer, "little")
		n, err := c.RecvInto(p).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "little", string(p[:n]))
		closedDown(t, c)
	}},
	{name: "a huge message is refused", show: func(t *testing.T, rt *proactor.Runtime) {
		p := huge(t)
		one, _, err := rt.SocketPair("unixpacket")
		require.NoError(t, err)
		_, err = one.SendBytes(p).Await(t.Context())
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		_, err = rt.Chain(one.SendStep(p)).Await(t.Context())
		require.ErrorIs(t, err, syscall.EINVAL)
	}},
	{name: "of many who release a lease at once, one succeeds", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		for range 200 {
			wrote(t, peer, "x")
			b, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			var released, panicked atomic.Int32
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					defer func() {
						if recover() != nil {
							panicked.Add(1)
						}
					}()
					b.Release()
					released.Add(1)
				})
			}
			all.Wait()
			require.EqualValues(t, 1, released.Load())
			require.EqualValues(t, 3, panicked.Load())
		}
	}},
	{name: "functions that are nil", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		defer ln.Close()
		require.ErrorIs(t, ln.OnConn(nil), syscall.EINVAL)
		require.ErrorIs(t, ln.Serve(t.Context(), nil), syscall.EINVAL)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) { c.Close() }), "it is not in use for that")
		c, _ := accepted(t, rt)
		require.PanicsWithValue(t, "proactor: OnRecv wants a function to receive with, got nil", func() { c.OnRecv(nil) })
		pc := packetConn(t, rt, "udp4", "127.0.0.1:0")
		require.PanicsWithValue(t, "proactor: OnMessage wants a function to receive with, got nil", func() { pc.OnMessage(nil) })
		require.PanicsWithValue(t, "proactor: AfterFunc wants a function to run, got nil", func() { rt.Loops()[0].AfterFunc(0, nil) })
		_, err := rt.Go(t.Context(), nil).Await(t.Context())
		require.ErrorAs(t, err, new(*futures.PanicError))
		for _, s := range []proactor.Step{proactor.Operation("nothing", nil), proactor.OperationAfter("nothing", nil)} {
			_, err := rt.Chain(s).Await(t.Context())
			require.ErrorIs(t, err, syscall.EINVAL)
			require.ErrorContains(t, err, `"nothing"`)
		}
		closedDown(t, c)
	}},
	{name: "a step that panics fails its chain, and nothing that is linked to it is done", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "as it was")
			bad := proactor.Operation("bad", func(*ring.SQE) { panic("the step's own fault") })
			results, err := rt.Chain(f.WriteStep([]byte("changed"), 0), bad, f.SyncStep()).Await(ctx)
			var e *futures.PanicError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "the step's own fault", e.Value)
			require.Equal(t, futures.ErrCanceled, results[0].Err)
			require.Equal(t, err, results[1].Err)
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			require.Equal(t, "as it was", content(t, f))

			after := proactor.OperationAfter("bad", func(*ring.SQE, []proactor.StepResult) { panic("again") })
			results, err = rt.Chain(f.WriteStep([]byte("x"), 0), after, f.CloseStep().Always()).Await(ctx)
			require.ErrorAs(t, err, &e)
			require.Equal(t, count(1), results[0])
			require.Equal(t, err, results[1].Err)
			require.Equal(t, count(0), results[2])
			require.Equal(t, "xs it was", content(t, f))
		})
	}},
	{name: "arguments that are nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		_, err := rt.FileConn(nil)
		require.ErrorIs(t, err, os.ErrInvalid)
		_, err = c.Move(nil).Await(t.Context())
		require.ErrorIs(t, err, syscall.EINVAL)
		_, err = c.Forward(nil).Await(t.Context())
		require.ErrorIs(t, err, syscall.EINVAL)
		for _, f := range []syscall.Conn{nil, (*os.File)(nil)} {
			_, err = c.SendFile(f, 0, 1).Await(t.Context())
			require.ErrorIs(t, err, os.ErrInvalid)
		}
		for _, step := range []proactor.Step{{}, proactor.Step{}.Full(1), proactor.Step{}.Always()} {
			_, err = rt.Chain(step).Await(t.Context())
			require.ErrorIs(t, err, syscall.EINVAL)
		}
		results, err := rt.Chain().Await(t.Context())
		require.NoError(t, err)
		require.Empty(t, results)
		pc := packetConn(t, rt, "udp4", "127.0.0.1:0")
		for _, group := range []netip.Addr{{}, ip("127.0.0.1"), ip("ff02::1")} {
			require.ErrorAs(t, pc.JoinGroup(group, nil), new(*net.OpError), group)
			require.ErrorAs(t, pc.LeaveGroup(group, nil), new(*net.OpError), group)
		}
		_, err = rt.Listen("tcp", "127.0.0.1:0", proactor.WithSpread(9))
		require.ErrorContains(t, err, "spread 9")
		closedDown(t, c)
	}},
	{name: "leases and messages that are none", show: func(t *testing.T, rt *proactor.Runtime) {
		ours, _ := accepted(t, rt)
		bothWays(t, rt, ours, func(ctx context.Context) {
			var b proactor.Buffer
			b.Release()
			b.Release()
			require.Empty(t, b.Bytes())
			n, err := ours.Send(b).Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n)
			_, err = ours.Queue(b).Await(ctx)
			require.NoError(t, err)

			var m proactor.Message
			m.Release()
			require.Zero(t, m.Size())
			require.Zero(t, m.SegmentSize())
			require.False(t, m.Truncated())
			require.False(t, m.From().IsValid())
			require.Nil(t, m.FromAddr())
			require.Empty(t, m.FromName())
			_, has := m.PacketInfo()
			require.False(t, has)
			_, has = m.Timestamp()
			require.False(t, has)
			_, has = m.ECN()
			require.False(t, has)
			_, has = m.HopLimit()
			require.False(t, has)
			pc := packetConn(t, rt, "udp4", "127.0.0.1:0")
			_, err = pc.Reply(m).Await(ctx)
			require.ErrorIs(t, err, syscall.EDESTADDRREQ)
		})
		closedDown(t, ours)
	}},
	{name: "nothing to send or receive", show: func(t *testing.T, rt *proactor.Runtime) {
		ours, peer := accepted(t, rt)
		null, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer null.Close()
		bothWays(t, rt, ours, func(ctx context.Context) {
			for name, start := range map[string]func() futures.Future[int]{
				"SendBytes":             func() futures.Future[int] { return ours.SendBytes(nil) },
				"SendZeroCopy":          func() futures.Future[int] { return ours.SendZeroCopy(nil) },
				"SendVector":            func() futures.Future[int] { return ours.SendVector() },
				"SendVector of nothing": func() futures.Future[int] { return ours.SendVector(nil, nil) },
				"RecvInto":              func() futures.Future[int] { return ours.RecvInto(nil) },
			} {
				n, err := start().Await(ctx)
				require.NoError(t, err, name)
				require.Zero(t, n, name)
			}
			n, err := ours.SendFile(null, 0, 0).Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n)
			for _, bad := range [][2]int64{{-1, 1}, {0, -1}, {math.MaxInt64, 1}, {1, math.MaxInt64}, {math.MinInt64, math.MinInt64}} {
				_, err = ours.SendFile(null, bad[0], bad[1]).Await(ctx)
				require.ErrorIs(t, err, syscall.EINVAL)
			}
			_, err = ours.RecvFiles(nil, 1).Await(ctx)
			require.Error(t, err)
			_, err = ours.RecvFiles(make([]byte, 1), -1).Await(ctx)
			require.ErrorIs(t, err, syscall.EINVAL)
			pc := packetConn(t, rt, "udp4", "127.0.0.1:0")
			n2, err := pc.SendBatch(nil).Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n2)
			wrote(t, peer, "and it goes on")
			require.Equal(t, "and it goes on", receivedAll(t, ctx, ours, 14))
		})
		closedDown(t, ours)
	}},
	{name: "offsets and sizes that are none", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "content")
			std, err := os.OpenFile(f.Name(), os.O_RDWR, 0)
			require.NoError(t, err)
			defer std.Close()
			p := make([]byte, 4)
			for _, at := range []int64{-1, -2, math.MinInt64, math.MaxInt64, math.MaxInt64 - 3} {
				_, want := std.ReadAt(p, at)
				_, got := f.ReadAt(p, at).Await(ctx)
				alike(t, want, got)
				_, got = f.ReadVectorAt([][]byte{p}, at).Await(ctx)
				alike(t, want, got)
				_, want = std.WriteAt(p, at)
				_, got = f.WriteAt(p, at).Await(ctx)
				alike(t, want, got)
				_, got = f.WriteVectorAt([][]byte{p}, at).Await(ctx)
				alike(t, want, got)
			}
			for _, size := range []int64{-1, math.MinInt64} {
				_, err := f.Truncate(size).Await(ctx)
				require.ErrorIs(t, err, syscall.EINVAL)
			}
			for _, area := range [][2]int64{{-1, 1}, {0, 0}, {0, -1}, {math.MinInt64, math.MaxInt64}} {
				_, err := f.Allocate(area[0], area[1]).Await(ctx)
				require.ErrorIs(t, err, syscall.EINVAL, area)
			}
			_, err = f.Allocate(1, math.MaxInt64).Await(ctx)
			require.ErrorIs(t, err, syscall.EFBIG)
			for _, size := range []int{0, -1, math.MinInt, math.MaxInt} {
				_, err := rt.Loops()[0].AlignedMemory(size).Await(ctx)
				require.ErrorIs(t, err, syscall.EINVAL)
			}
			require.Equal(t, "content", content(t, f))
		})
	}},
	{name: "places of a splice that are none", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "content")
			r, w, err := os.Pipe()
			require.NoError(t, err)
			defer r.Close()
			defer w.Close()
			file, in, out := f.Fd(), int(w.Fd()), int(r.Fd())
			_, err = w.WriteString("in it")
			require.NoError(t, err)
			for _, at := range []int64{-1, -2, math.MinInt64} {
				for _, splice := range []futures.Future[int]{
					rt.Splice(proactor.AtCursor(in), proactor.AtOffset(file, at), 4),
					rt.Splice(proactor.AtOffset(file, at), proactor.AtCursor(out), 4),
					rt.Splice(proactor.AtCursor(in), proactor.AtOffset(file, at), 0),
				} {
					_, err := splice.Await(ctx)
					require.ErrorIs(t, err, syscall.EINVAL, at)
					require.ErrorAs(t, err, new(*os.SyscallError), at)
					require.ErrorContains(t, err, "offset "+strconv.FormatInt(at, 10))
				}
			}
			for _, at := range []int64{math.MaxInt64, math.MaxInt64 - 3} {
				_, err := rt.Splice(proactor.AtCursor(in), proactor.AtOffset(file, at), 4).Await(ctx)
				require.ErrorIs(t, err, syscall.EINVAL, at)
				_, err = rt.Splice(proactor.AtOffset(file, at), proactor.AtCursor(out), 4).Await(ctx)
				require.ErrorIs(t, err, syscall.EINVAL, at)
			}
			n, err := rt.Splice(proactor.AtCursor(in), proactor.AtCursor(file), 100).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, len("content"), n, "the cursor has not moved")
			require.Equal(t, "content", content(t, f))
		})
	}},
	{name: "names that are none", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			for name, want := range map[string]error{"": syscall.ENOENT, "a\x00b": syscall.EINVAL, strings.Repeat("n", 5000): syscall.ENAMETOOLONG} {
				for what, f := range map[string]func() error{
					"Open":    func() error { _, err := rt.Open(name).Await(ctx); return err },
					"Create":  func() error { _, err := rt.Create(name).Await(ctx); return err },
					"Stat":    func() error { _, err := rt.Stat(name).Await(ctx); return err },
					"Lstat":   func() error { _, err := rt.Lstat(name).Await(ctx); return err },
					"Mkdir":   func() error { _, err := rt.Mkdir(name, 0o700).Await(ctx); return err },
					"Remove":  func() error { _, err := rt.Remove(name).Await(ctx); return err },
					"Rename":  func() error { _, err := rt.Rename(name, "other").Await(ctx); return err },
					"Link":    func() error { _, err := rt.Link(name, "other").Await(ctx); return err },
					"Symlink": func() error { _, err := rt.Symlink("other", name).Await(ctx); return err },
				} {
					require.ErrorIs(t, f(), want, "%s of a name of %d bytes", what, len(name))
				}
			}
		})
	}},
	{name: "networks that are none", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"", "tcp5", "udp7", "carrier-pigeon"} {
			for what, err := range map[string]error{
				"Listen":        second(rt.Listen(network, "127.0.0.1:0")),
				"ListenPacket":  second(rt.ListenPacket(network, "127.0.0.1:0")),
				"ListenPackets": second(rt.ListenPackets(network, "127.0.0.1:0")),
				"Dial":          second(rt.Dial(t.Context(), network, "127.0.0.1:1").Await(t.Context())),
				"DialPacket":    second(rt.DialPacket(t.Context(), network, "127.0.0.1:1").Await(t.Context())),
				"SocketPair":    third(rt.SocketPair(network)),
				"Unconnected":   third(rt.Unconnected(network, "127.0.0.1:1")),
			} {
				require.ErrorAs(t, err, new(*net.OpError), "%s %q", what, network)
				require.ErrorAs(t, err, new(net.UnknownNetworkError), "%s %q", what, network)
			}
		}
	}},
	{name: "durations and moments that are none", show: func(t *testing.T, rt *proactor.Runtime) {
		ours, peer := accepted(t, rt)
		bothWays(t, rt, ours, func(ctx context.Context) {
			for _, d := range []time.Duration{0, -1, -time.Hour, math.MinInt64} {
				_, err := rt.Sleep(d).Await(ctx)
				require.NoError(t, err)
				_, err = futures.WithTimeout(ours.Recv(), d).Await(ctx)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded, d)
				require.Panics(t, func() { rt.Every(d) })
				fired := futures.NewPromise[struct{}]()
				stop := rt.Loops()[0].AfterFunc(d, func() { fired.Resolve(struct{}{}) })
				_, err = fired.Future().Await(ctx)
				require.NoError(t, err)
				require.False(t, stop())
			}
			_, err := (&proactor.Dialer{Timeout: -1}).Dial(ctx, rt, "tcp", "127.0.0.1:1").Await(ctx)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			long := rt.Sleep(math.MaxInt64)
			long.Cancel()
			_, err = long.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			stop := rt.Loops()[1].AfterFunc(math.MaxInt64, func() { t.Error("292 years have passed") })
			require.True(t, stop())
			require.False(t, stop())
			slow := rt.Every(math.MaxInt64)
			slow.Stop()
			slow.Stop()
			_, err = slow.Next().Await(ctx)
			require.Equal(t, io.EOF, err)
			fast := rt.Every(1)
			for range 3 {
				_, err = fast.Next().Await(ctx)
				require.NoError(t, err)
			}
			fast.Stop()
			for _, at := range []time.Time{time.Unix(0, 1), time.Unix(-1<<60, 0), time.Now()} {
				require.NoError(t, ours.SetDeadline(at))
				_, err = ours.Recv().Await(ctx)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded, at)
			}
			require.NoError(t, ours.SetDeadline(time.Unix(1<<60, 0)))
			wrote(t, peer, "still here")
			require.Equal(t, "still here", receivedAll(t, ctx, ours, 10))
		})
		closedDown(t, ours)
	}},
	{name: "descriptors that are none", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, fd := range []int{-1, math.MinInt32, 1 << 30} {
			_, err := rt.Poll(fd, proactor.Readable).Await(t.Context())
			require.ErrorIs(t, err, syscall.EBADF, fd)
			all := rt.PollAll(fd, proactor.Readable)
			_, err = all.Next().Await(t.Context())
			require.ErrorIs(t, err, syscall.EBADF, fd)
			for range 2 {
				_, err = all.Stop().Await(t.Context())
				require.NoError(t, err)
			}
		}
		shut, err := os.Open(os.DevNull)
		require.NoError(t, err)
		require.NoError(t, shut.Close())
		_, err = rt.FileConn(shut)
		require.ErrorIs(t, err, os.ErrClosed)
		c, _ := accepted(t, rt)
		_, err = c.SendFile(shut, 0, 1).Await(t.Context())
		require.ErrorIs(t, err, os.ErrClosed)
		closedDown(t, c)
	}},
	{name: "a listener that its own handler closes at once", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, l := range rt.Loops() {
			onLoop(t, l, func(ctx context.Context) {
				ln := listen(t, rt)
				require.NoError(t, ln.Close())
				_, err := ln.Accept().Await(ctx)
				require.ErrorIs(t, err, proactor.ErrClosed)
				ln = listen(t, rt)
				accept := ln.Accept()
				require.NoError(t, ln.Close())
				require.NoError(t, ln.Close())
				_, err = accept.Await(ctx)
				require.ErrorIs(t, err, proactor.ErrClosed)
				pc, err := rt.ListenPacket("udp4", "127.0.0.1:0")
				require.NoError(t, err)
				require.NoError(t, pc.Close())
				require.NoError(t, pc.Close())
			})
		}
	}},
	{name: "after the runtime's Close, and on its way there, everything is refused", show: func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		late := lateUsers(t, rt, l)
		begun := make(chan struct{})
		ended := make(chan struct{})
		l.Go(t.Context(), func(ctx context.Context) error { // a handler that does not heed its context
			defer close(ended)
			asleep := rt.Sleep(time.Hour) // which Close ends when it gets to the loop
			close(begun)
			asleep.Await(ctx)
			for what, use := range late {
				require.ErrorIs(t, use(context.WithoutCancel(ctx)), proactor.ErrClosed, what)
			}
			return nil
		})
		<-begun
		require.NoError(t, rt.Close())
		<-ended
		for what, use := range late {
			require.ErrorIs(t, use(t.Context()), proactor.ErrClosed, what)
		}
		require.False(t, l.Do(func() { t.Error("it ran") }))
		l.AfterFunc(0, func() { t.Error("it ran") })
		require.Zero(t, rt.Stats().Total().Conns)
		require.NotEmpty(t, rt.Backend().Kernel)
		require.NoError(t, rt.Shutdown(t.Context()))
	}},
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }

// alike requires the error that package os has for the same mistake: of that
// type, and with that errno if there is one.
func alike(t *testing.T, want, got error) {
	t.Helper()
	if want == io.EOF || want == nil {
		require.Equal(t, want, got)
		return
	}
	require.IsType(t, want, got)
	var errno syscall.Errno
	if errors.As(want, &errno) {
		require.ErrorIs(t, got, errno)
		return
	}
	require.Equal(t, want.Error(), got.Error())
}

// lateUsers are what a program may still try when its runtime ends, with what
// belongs to l.
func lateUsers(t *testing.T, rt *proactor.Runtime, l *proactor.Loop) map[string]func(ctx context.Context) error {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(name, []byte("x"), 0o600))
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	var f *proactor.File
	var pc *proactor.PacketConn
	onLoop(t, l, func(ctx context.Context) {
		f, err = rt.Open(name).Await(ctx)
		require.NoError(t, err)
		pc = packetConn(t, rt, "udp4", "127.0.0.1:0")
	})
	c, _ := acceptedOn(t, rt, 0)
	ln := listen(t, rt)
	nop := proactor.Operation("nop", (*ring.SQE).PrepNop)
	self := netip.MustParseAddrPort(pc.LocalAddr().String())
	return map[string]func(ctx context.Context) error{
		"Listen":        func(context.Context) error { return second(rt.Listen("tcp", "127.0.0.1:0")) },
		"ListenPackets": func(context.Context) error { return second(rt.ListenPackets("udp4", "127.0.0.1:0")) },
		"Dial":          func(ctx context.Context) error { return second(rt.Dial(ctx, "tcp", "127.0.0.1:1").Await(ctx)) },
		"Open":          func(ctx context.Context) error { return second(rt.Open(name).Await(ctx)) },
		"Create":        func(ctx context.Context) error { return second(rt.Create(name).Await(ctx)) },
		"Stat":          func(ctx context.Context) error { return second(rt.Stat(name).Await(ctx)) },
		"Mkdir":         func(ctx context.Context) error { return second(rt.Mkdir(dir+"/d", 0o700).Await(ctx)) },
		"Remove":        func(ctx context.Context) error { return second(rt.Remove(name).Await(ctx)) },
		"Rename":        func(ctx context.Context) error { return second(rt.Rename(name, name+"2").Await(ctx)) },
		"Link":          func(ctx context.Context) error { return second(rt.Link(name, name+"2").Await(ctx)) },
		"Symlink":       func(ctx context.Context) error { return second(rt.Symlink(name, name+"2").Await(ctx)) },
		"Sleep":         func(ctx context.Context) error { return second(rt.Sleep(0).Await(ctx)) },
		"Every":         func(ctx context.Context) error { return second(rt.Every(time.Hour).Next().Await(ctx)) },
		"Go": func(ctx context.Context) error {
			return second(rt.Go(ctx, func(context.Context) error { return nil }).Await(ctx))
		},
		"Poll": func(ctx context.Context) error { return second(rt.Poll(int(r.Fd()), proactor.Readable).Await(ctx)) },
		"PollAll": func(ctx context.Context) error {
			return second(rt.PollAll(int(r.Fd()), proactor.Readable).Next().Await(ctx))
		},
		"Chain":         func(ctx context.Context) error { return second(rt.Chain(nop).Await(ctx)) },
		"AlignedMemory": func(ctx context.Context) error { return second(l.AlignedMemory(4096).Await(ctx)) },
		"Splice": func(ctx context.Context) error {
			return second(rt.Splice(proactor.AtCursor(int(w.Fd())), proactor.AtCursor(int(r.Fd())), 1).Await(ctx))
		},
		"Recv":             func(ctx context.Context) error { return second(c.Recv().Await(ctx)) },
		"RecvInto":         func(ctx context.Context) error { return second(c.RecvInto(make([]byte, 1)).Await(ctx)) },
		"SendBytes":        func(ctx context.Context) error { return second(c.SendBytes([]byte("x")).Await(ctx)) },
		"SendZeroCopy":     func(ctx context.Context) error { return second(c.SendZeroCopy([]byte("x")).Await(ctx)) },
		"SendVector":       func(ctx context.Context) error { return second(c.SendVector([]byte("x")).Await(ctx)) },
		"SendFile":         func(ctx context.Context) error { return second(c.SendFile(r, 0, 1).Await(ctx)) },
		"CloseWrite":       func(ctx context.Context) error { return second(c.CloseWrite().Await(ctx)) },
		"Move":             func(ctx context.Context) error { return second(c.Move(l).Await(ctx)) },
		"Forward":          func(ctx context.Context) error { return second(c.Forward(c).Await(ctx)) },
		"SendStep":         func(ctx context.Context) error { return second(rt.Chain(c.SendStep([]byte("x"))).Await(ctx)) },
		"Recv of messages": func(ctx context.Context) error { return second(pc.Recv().Await(ctx)) },
		"SendTo":           func(ctx context.Context) error { return second(pc.SendTo([]byte("x"), self).Await(ctx)) },
		"SendBatch": func(ctx context.Context) error {
			return second(pc.SendBatch([]proactor.Datagram{{Data: []byte("x"), To: self}}).Await(ctx))
		},
		"Accept":          func(ctx context.Context) error { return second(ln.Accept().Await(ctx)) },
		"OnConn":          func(context.Context) error { return ln.OnConn(func(*proactor.Conn) {}) },
		"ReadAt":          func(ctx context.Context) error { return second(f.ReadAt(make([]byte, 1), 0).Await(ctx)) },
		"Read":            func(ctx context.Context) error { return second(f.Read(make([]byte, 1)).Await(ctx)) },
		"Sync":            func(ctx context.Context) error { return second(f.Sync().Await(ctx)) },
		"Stat of a file":  func(ctx context.Context) error { return second(f.Stat().Await(ctx)) },
		"Truncate":        func(ctx context.Context) error { return second(f.Truncate(0).Await(ctx)) },
		"Allocate":        func(ctx context.Context) error { return second(f.Allocate(0, 1).Await(ctx)) },
		"Close of a file": func(ctx context.Context) error { return second(f.Close().Await(ctx)) },
		"ReadStep":        func(ctx context.Context) error { return second(rt.Chain(f.ReadStep(make([]byte, 1), 0)).Await(ctx)) },
	}
}
