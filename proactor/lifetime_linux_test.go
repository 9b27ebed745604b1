package proactor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// pendingResult is a future of any type, with what its result must be.
type pendingResult interface {
	await(ctx context.Context) error
	then(fn func(error))
	done() <-chan struct{}
	result() error
	ready() bool
}

type expected[T any] struct {
	futures.Future[T]
	check func(T) error
}

func expect[T any](f futures.Future[T], check func(T) error) pendingResult {
	return expected[T]{f, check}
}

func (e expected[T]) checked(v T, err error) error {
	if err != nil {
		return err
	}
	return e.check(v)
}

func (e expected[T]) await(ctx context.Context) error { return e.checked(e.Await(ctx)) }
func (e expected[T]) then(fn func(error)) {
	e.Then(func(v T, err error) { fn(e.checked(v, err)) })
}
func (e expected[T]) done() <-chan struct{} { return e.Done() }
func (e expected[T]) result() error         { return e.checked(e.Result()) }
func (e expected[T]) ready() bool           { return e.Ready() }

// is checks for one value.
func is[T comparable](want T) func(T) error {
	return func(got T) error {
		if got != want {
			return fmt.Errorf("got %v, want %v", got, want)
		}
		return nil
	}
}

func whatever[T any](T) error { return nil }

// operation starts one operation after the other. Each has a result at some time
// without anybody doing anything.
type operation struct {
	name   string
	starts func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) (start func(i int) pendingResult)
}

// pairOn is a pair of connections of the loop.
func pairOn(t *testing.T, l *proactor.Loop, rt *proactor.Runtime, network string) (c, peer *proactor.Conn) {
	t.Helper()
	made := make(chan error, 1)
	l.Do(func() {
		var err error
		c, peer, err = rt.SocketPair(network)
		made <- err
	})
	require.NoError(t, <-made)
	t.Cleanup(func() { c.Abort(); peer.Abort() })
	return c, peer
}

// swallow takes everything that comes in.
func swallow(c *proactor.Conn) {
	c.OnRecv(func(b proactor.Buffer, err error) { b.Release() })
}

// lent are n leases on one byte each, of no task. Each is given out once; what is
// left is released.
func lent(t *testing.T, l *proactor.Loop, rt *proactor.Runtime, n int) (next func() proactor.Buffer) {
	t.Helper()
	c, peer := pairOn(t, l, rt, "unixpacket")
	var all []proactor.Buffer
	next = func() proactor.Buffer {
		b := all[0]
		all = all[1:]
		return b
	}
	t.Cleanup(func() {
		for len(all) > 0 {
			next().Release()
		}
	})
	for i := range n {
		_, err := peer.SendBytes([]byte{byte(i)}).Await(t.Context())
		require.NoError(t, err)
		f := c.Recv()
		eventually(t, f.Ready, func() string { return fmt.Sprintf("lease %d never came: %+v\n%s", i, rt.Stats(), rt.Describe()) })
		b, err := f.Await(t.Context())
		require.NoError(t, err)
		all = append(all, b)
	}
	return next
}

func packetPairOn(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) (c, peer *proactor.PacketConn, to netip.AddrPort) {
	t.Helper()
	made := make(chan error, 2)
	l.Do(func() {
		var err error
		c, err = rt.ListenPacket("udp", "127.0.0.1:0", proactor.WithSocketBuffers(1<<20, 1<<20))
		made <- err
		peer, err = rt.ListenPacket("udp", "127.0.0.1:0", proactor.WithSocketBuffers(1<<20, 1<<20))
		made <- err
	})
	require.NoError(t, <-made)
	require.NoError(t, <-made)
	t.Cleanup(func() { c.Close(); peer.Close() })
	return c, peer, peer.LocalAddr().(*net.UDPAddr).AddrPort()
}

// gramPairOn is packetPairOn with Unix sockets, where messages keep their order. With UDP
// they do not on a busy machine.
func gramPairOn(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) (c, peer *proactor.PacketConn) {
	t.Helper()
	doOnLoop(t, l, func() {
		var err error
		c, err = rt.ListenPacket("unixgram", "")
		require.NoError(t, err)
		peer, err = rt.ListenPacket("unixgram", "")
		require.NoError(t, err)
	})
	t.Cleanup(func() { c.Close(); peer.Close() })
	return c, peer
}

func fileOn(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) *proactor.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte("0123456789abcdef"), 4096), 0o600))
	opened := make(chan futures.Future[*proactor.File], 1)
	l.Do(func() { opened <- rt.OpenFile(name, os.O_RDWR, 0) })
	f, err := (<-opened).Await(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { f.Close().Await(context.Background()) })
	return f
}

// mostStarted is how many operations one of these tests starts.
const mostStarted = 2 * 17

func readCheck(p []byte, offset int) func(int) error {
	return func(n int) error {
		if n != len(p) {
			return fmt.Errorf("%d bytes", n)
		}
		for i := range p {
			if p[i] != "0123456789abcdef"[(offset+i)%16] {
				return fmt.Errorf("%q at %d", p, offset)
			}
		}
		return nil
	}
}

var operationsOfAll = []operation{
	{name: "Conn.Recv", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := pairOn(t, l, rt, "unixpacket")
		return func(i int) pendingResult {
			f := c.Recv()
			peer.SendBytes([]byte{byte(i), 'x'})
			return expect(f, func(b proactor.Buffer) error {
				defer b.Release()
				if !bytes.Equal(b.Bytes(), []byte{byte(i), 'x'}) {
					return fmt.Errorf("got % x of message %d", b.Bytes(), i)
				}
				return nil
			})
		}
	}},
	{name: "Conn.RecvInto", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := pairOn(t, l, rt, "unix")
		var into [mostStarted][1]byte
		return func(i int) pendingResult {
			p := into[i%mostStarted][:]
			f := c.RecvInto(p)
			peer.SendBytes([]byte{byte(i)})
			return expect(f, func(n int) error {
				if n != 1 || p[0] != byte(i) {
					return fmt.Errorf("%d bytes % x of message %d", n, p, i)
				}
				return nil
			})
		}
	}},
	{name: "Conn.RecvFiles", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := pairOn(t, l, rt, "unix")
		file, err := os.Open(os.DevNull)
		require.NoError(t, err)
		t.Cleanup(func() { file.Close() })
		return func(i int) pendingResult {
			p := make([]byte, 1)
			f := c.RecvFiles(p, 1)
			peer.SendFiles([]byte{byte(i)}, file)
			return expect(f, func(r proactor.Received) error {
				for _, f := range r.Files {
					f.Close()
				}
				if r.N != 1 || p[0] != byte(i) || len(r.Files) != 1 {
					return fmt.Errorf("%+v % x of message %d", r, p, i)
				}
				return nil
			})
		}
	}},
	{name: "Conn.SendBytes", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := pairOn(t, l, rt, "unix")
		swallow(peer)
		p := make([]byte, mostStarted+1)
		return func(i int) pendingResult { return expect(c.SendBytes(p[:i%mostStarted+1]), is(i%mostStarted+1)) }
	}},
	{name: "Conn.Send", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := pairOn(t, l, rt, "unix")
		swallow(peer)
		leases := lent(t, l, rt, mostStarted)
		return func(i int) pendingResult { return expect(c.Send(leases()), is(1)) }
	}},
	{name: "Conn.SendVector", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := pairOn(t, l, rt, "unix")
		swallow(peer)
		return func(i int) pendingResult { return expect(c.SendVector([]byte("ab"), make([]byte, i)), is(2+i)) }
	}},
	{name: "Conn.SendZeroCopy", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		var c *proactor.Conn
		var peer *net.TCPConn
		for c, peer = accepted(t, rt); c.Loop() != l; c, peer = accepted(t, rt) {
			c.Abort()
		}
		go readAway(peer)
		p := make([]byte, 16<<10)
		return func(i int) pendingResult { return expect(c.SendZeroCopy(p), is(len(p))) }
	}},
	{name: "Conn.SendFile", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := pairOn(t, l, rt, "unix")
		swallow(peer)
		name := filepath.Join(t.TempDir(), "sent")
		require.NoError(t, os.WriteFile(name, make([]byte, 1000), 0o600))
		f, err := os.Open(name)
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return func(i int) pendingResult { return expect(c.SendFile(f, 0, int64(i+1)), is(int64(i+1))) }
	}},
	{name: "Conn.Queue", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := pairOn(t, l, rt, "unix")
		swallow(peer)
		leases := lent(t, l, rt, mostStarted)
		return func(i int) pendingResult { return expect(c.Queue(leases()), whatever[struct{}]) }
	}},
	{name: "Conn.Forward", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		type route struct{ in, from, to, out *proactor.Conn }
		var all []route
		for range mostStarted {
			in, from := pairOn(t, l, rt, "unix")
			to, out := pairOn(t, l, rt, "unix")
			swallow(out)
			all = append(all, route{in, from, to, out})
		}
		return func(i int) pendingResult {
			r := all[i]
			f := r.from.Forward(r.to)
			r.in.SendBytes(make([]byte, i+1))
			r.in.CloseWrite()
			return expect(f, is(int64(i+1)))
		}
	}},
	{name: "PacketConn.Recv", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer := gramPairOn(t, l, rt)
		to := peer.LocalAddr().String()
		return func(i int) pendingResult {
			f := peer.Recv()
			c.SendToName([]byte{byte(i)}, to)
			return expect(f, func(m proactor.Message) error {
				defer m.Release()
				if m.Len() != 1 || m.Bytes()[0] != byte(i) {
					return fmt.Errorf("got % x of message %d", m.Bytes(), i)
				}
				return nil
			})
		}
	}},
	{name: "PacketConn.SendTo", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, _, to := packetPairOn(t, l, rt)
		p := make([]byte, mostStarted+1)
		return func(i int) pendingResult { return expect(c.SendTo(p[:i%mostStarted+1], to), is(i%mostStarted+1)) }
	}},
	{name: "PacketConn.Send", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		_, peer, to := packetPairOn(t, l, rt)
		_ = peer
		dialed := make(chan futures.Future[*proactor.PacketConn], 1)
		l.Do(func() { dialed <- rt.DialPacket(context.Background(), "udp", to.String()) })
		c, err := (<-dialed).Await(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		p := make([]byte, mostStarted+1)
		return func(i int) pendingResult { return expect(c.Send(p[:i%mostStarted+1]), is(i%mostStarted+1)) }
	}},
	{name: "PacketConn.SendBatch", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, _, to := packetPairOn(t, l, rt)
		return func(i int) pendingResult {
			batch := make([]proactor.Datagram, i%5+1)
			for j := range batch {
				batch[j] = proactor.Datagram{Data: []byte("x"), To: to}
			}
			return expect(c.SendBatch(batch), is(len(batch)))
		}
	}},
	{name: "PacketConn.Queue", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, _, to := packetPairOn(t, l, rt)
		leases := lent(t, l, rt, mostStarted)
		return func(i int) pendingResult { return expect(c.Queue(leases(), to), whatever[struct{}]) }
	}},
	{name: "PacketConn.Reply", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		c, peer, to := packetPairOn(t, l, rt)
		var got []proactor.Message
		for range mostStarted {
			_, err := c.SendTo([]byte("x"), to).Await(t.Context())
			require.NoError(t, err)
			m, err := peer.Recv().Await(t.Context())
			require.NoError(t, err)
			got = append(got, m)
		}
		t.Cleanup(func() {
			for _, m := range got {
				m.Release()
			}
		})
		return func(int) pendingResult {
			m := got[0]
			got = got[1:]
			return expect(peer.Reply(m), whatever[struct{}])
		}
	}},
	{name: "File.ReadAt", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		var into [mostStarted][7]byte
		return func(i int) pendingResult {
			p := into[i%mostStarted][:]
			return expect(f.ReadAt(p, int64(i)), readCheck(p, i))
		}
	}},
	{name: "File.WriteAt", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		p := make([]byte, mostStarted+1)
		return func(i int) pendingResult { return expect(f.WriteAt(p[:i%mostStarted+1], 0), is(i%mostStarted+1)) }
	}},
	{name: "File.Read", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		var into [mostStarted][7]byte
		return func(i int) pendingResult {
			p := into[i%mostStarted][:]
			return expect(f.Read(p), readCheck(p, 7*i))
		}
	}},
	{name: "File.Write", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		p := make([]byte, mostStarted+1)
		return func(i int) pendingResult { return expect(f.Write(p[:i%mostStarted+1]), is(i%mostStarted+1)) }
	}},
	{name: "File.ReadVectorAt", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		var into [mostStarted][7]byte
		var vectors [mostStarted][2][]byte
		return func(i int) pendingResult {
			p := into[i%mostStarted][:]
			v := vectors[i%mostStarted][:]
			v[0], v[1] = p[:3], p[3:]
			return expect(f.ReadVectorAt(v, int64(i)), readCheck(p, i))
		}
	}},
	{name: "File.WriteVectorAt", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		v := [][]byte{[]byte("ab"), []byte("cde")}
		return func(i int) pendingResult { return expect(f.WriteVectorAt(v, int64(i)), is(5)) }
	}},
	{name: "File.Sync", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		return func(int) pendingResult { return expect(f.Sync(), whatever[struct{}]) }
	}},
	{name: "File.Stat", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		return func(int) pendingResult {
			return expect(f.Stat(), func(info fs.FileInfo) error { return is(int64(64 << 10))(info.Size()) })
		}
	}},
	{name: "Poll", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		r, w := rawSocketPair(t)
		_ = r
		return func(int) pendingResult { return expect(l.Poll(w, proactor.Writable), is(proactor.Writable)) }
	}},
	{name: "Splice", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		name := filepath.Join(t.TempDir(), "source")
		require.NoError(t, os.WriteFile(name, make([]byte, 1000), 0o600))
		f, err := os.Open(name)
		require.NoError(t, err)
		r, w, err := os.Pipe()
		require.NoError(t, err)
		source, pipe := int(f.Fd()), int(w.Fd())
		emptied := make(chan struct{})
		go func() { defer close(emptied); io.Copy(io.Discard, r) }()
		t.Cleanup(func() { f.Close(); w.Close(); <-emptied; r.Close() })
		return func(i int) pendingResult {
			n := i%16 + 1
			return expect(l.Splice(proactor.AtCursor(pipe), proactor.AtOffset(source, 0), n), is(n))
		}
	}},
	{name: "Chain", starts: func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(int) pendingResult {
		f := fileOn(t, l, rt)
		return func(i int) pendingResult {
			p := make([]byte, 5)
			done := rt.Chain(f.WriteStep([]byte("0123456789abcdef")[:8], int64(16*i)), f.ReadFullStep(p, int64(16*i)))
			return expect(done, func([]proactor.StepResult) error { return readCheck(p, 0)(len(p)) })
		}
	}},
}

func rawSocketPair(t *testing.T) (one, other int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fds[0]); syscall.Close(fds[1]) })
	return fds[0], fds[1]
}

func readAway(c net.Conn) {
	p := make([]byte, 64<<10)
	for {
		if _, err := c.Read(p); err != nil {
			return
		}
	}
}

// orders are in which results are taken.
var orders = map[string]func(n int) []int{
	"in order": func(n int) (order []int) {
		for i := range n {
			order = append(order, i)
		}
		return order
	},
	"reverse": func(n int) (order []int) {
		for i := range n {
			order = append(order, n-1-i)
		}
		return order
	},
	"random": func(n int) []int { return rand.New(rand.NewPCG(1, uint64(n))).Perm(n) },
}

// allReady waits in a task until all have a result, and takes none.
func allReady(ctx context.Context, all []pendingResult) error {
	for _, o := range all {
		for !o.ready() {
			if err := futures.Yield(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// takers take the results of operations that were started in a task, which is the
// caller, or hand them to somebody who does.
var takers = map[string]func(ctx context.Context, all []pendingResult, order []int) error{
	"task": func(ctx context.Context, all []pendingResult, order []int) error {
		for _, i := range order {
			if err := all[i].await(ctx); err != nil {
				return fmt.Errorf("operation %d: %w", i, err)
			}
		}
		return nil
	},
	"task, when all are ready": func(ctx context.Context, all []pendingResult, order []int) error {
		if err := allReady(ctx, all); err != nil {
			return err
		}
		for _, i := range order {
			if err := all[i].await(ctx); err != nil {
				return fmt.Errorf("operation %d: %w", i, err)
			}
		}
		return nil
	},
	"goroutine": func(ctx context.Context, all []pendingResult, order []int) error {
		_, err := futures.Blocking(ctx, func() (struct{}, error) {
			for _, i := range order {
				if err := all[i].await(context.Background()); err != nil {
					return struct{}{}, fmt.Errorf("operation %d: %w", i, err)
				}
			}
			return struct{}{}, nil
		})
		return err
	},
	"goroutine with Result, after Done": func(ctx context.Context, all []pendingResult, order []int) error {
		_, err := futures.Blocking(ctx, func() (struct{}, error) {
			for _, i := range order {
				<-all[i].done()
				if err := all[i].result(); err != nil {
					return struct{}{}, fmt.Errorf("operation %d: %w", i, err)
				}
			}
			return struct{}{}, nil
		})
		return err
	},
	"Then": func(ctx context.Context, all []pendingResult, order []int) error {
		return takenByThen(ctx, all, order)
	},
	"Then, when all are ready": func(ctx context.Context, all []pendingResult, order []int) error {
		if err := allReady(ctx, all); err != nil {
			return err
		}
		return takenByThen(ctx, all, order)
	},
	"Then of a goroutine": func(ctx context.Context, all []pendingResult, order []int) error {
		got, err := futures.Blocking(ctx, func() (chan error, error) { return thens(all, order), nil })
		if err != nil {
			return err
		}
		return collected(ctx, got, len(order))
	},
}

func takenByThen(ctx context.Context, all []pendingResult, order []int) error {
	return collected(ctx, thens(all, order), len(order))
}

func thens(all []pendingResult, order []int) chan error {
	got := make(chan error, len(order))
	for _, i := range order {
		all[i].then(func(err error) {
			if err != nil {
				err = fmt.Errorf("operation %d: %w", i, err)
			}
			got <- err
		})
	}
	return got
}

func collected(ctx context.Context, got chan error, n int) error {
	_, err := futures.Blocking(ctx, func() (struct{}, error) {
		for range n {
			if err := <-got; err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// A future gives its result to whoever asks, however many operations follow.
func TestEveryOperationKeepsItsResult(t *testing.T) {
	for _, op := range operationsOfAll {
		t.Run(op.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				l := rt.Loops()[0]
				for taker, take := range takers {
					for order, permute := range orders {
						for _, n := range []int{1, 2, 17} {
							name := fmt.Sprintf("%d of %s, %s", n, taker, order)
							keepsResults(t, l, rt, op, name, n, permute(n), take)
						}
					}
				}
			})
		})
	}
}

func keepsResults(t *testing.T, l *proactor.Loop, rt *proactor.Runtime, op operation, name string, n int, order []int,
	take func(context.Context, []pendingResult, []int) error) {
	t.Run(name, func(t *testing.T) {
		start := op.starts(t, l, rt)
		bounded(t, name, func() {
			_, err := l.Go(context.Background(), func(ctx context.Context) error {
				var first, second []pendingResult
				for i := range n {
					first = append(first, start(i))
				}
				if err := allReady(ctx, first); err != nil {
					return err
				}
				for i := range n { // while nobody has taken those
					second = append(second, start(n+i))
				}
				if err := take(ctx, first, order); err != nil {
					return fmt.Errorf("first: %w", err)
				}
				if err := take(ctx, second, order); err != nil {
					return fmt.Errorf("second: %w", err)
				}
				return nil
			}).Await(context.Background())
			if err != nil {
				t.Error(err)
			}
		})
	})
}

// The same with operations that a goroutine starts.
func TestEveryOperationOfAGoroutineKeepsItsResult(t *testing.T) {
	for _, op := range operationsOfAll {
		t.Run(op.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				for order, permute := range orders {
					start := op.starts(t, rt.Loops()[0], rt)
					bounded(t, order, func() {
						var all []pendingResult
						for i := range mostStarted {
							all = append(all, start(i))
						}
						for k, i := range permute(mostStarted) {
							take := func() error { return all[i].await(context.Background()) }
							if k%2 == 0 {
								<-all[i].done()
								take = all[i].result
							}
							if err := take(); err != nil {
								t.Errorf("%s: operation %d: %v", order, i, err)
							}
						}
					})
				}
			})
		})
	}
}

// alone are operations, each of which is over before the next begins.
var alone = []struct {
	name  string
	turns func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) (turn func(ctx context.Context) error)
}{
	{"Recv and Send", func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(context.Context) error {
		c, peer := pairOn(t, l, rt, "unix")
		swallow(peer)
		back, front := pairOn(t, l, rt, "unix")
		p := make([]byte, 64)
		return func(ctx context.Context) error {
			if _, err := front.SendBytes(p).Await(ctx); err != nil {
				return err
			}
			b, err := back.Recv().Await(ctx)
			if err != nil {
				return err
			}
			_, err = c.Send(b).Await(ctx)
			return err
		}
	}},
	{"Recv and Queue", func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(context.Context) error {
		c, peer := pairOn(t, l, rt, "unixpacket")
		p := make([]byte, 64)
		return func(ctx context.Context) error {
			if _, err := peer.SendBytes(p).Await(ctx); err != nil {
				return err
			}
			b, err := c.Recv().Await(ctx)
			if err != nil {
				return err
			}
			if _, err = c.Queue(b).Await(ctx); err != nil {
				return err
			}
			b, err = peer.Recv().Await(ctx)
			b.Release()
			return err
		}
	}},
	{"RecvInto", func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(context.Context) error {
		c, peer := pairOn(t, l, rt, "unix")
		p, q := make([]byte, 64), make([]byte, 64)
		return func(ctx context.Context) error {
			if _, err := peer.SendBytes(p).Await(ctx); err != nil {
				return err
			}
			_, err := c.RecvInto(q).Await(ctx)
			return err
		}
	}},
	{"SendZeroCopy", func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(context.Context) error {
		c, peer := accepted(t, rt)
		for c.Loop() != l {
			c.Abort()
			c, peer = accepted(t, rt)
		}
		go readAway(peer)
		p := make([]byte, 16<<10)
		return func(ctx context.Context) error {
			_, err := c.SendZeroCopy(p).Await(ctx)
			return err
		}
	}},
	{"PacketConn.SendTo, Recv and Reply", func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(context.Context) error {
		c, peer, to := packetPairOn(t, l, rt)
		p := make([]byte, 64)
		return func(ctx context.Context) error {
			if _, err := c.SendTo(p, to).Await(ctx); err != nil {
				return err
			}
			m, err := peer.Recv().Await(ctx)
			if err != nil {
				return err
			}
			if _, err := peer.Reply(m).Await(ctx); err != nil {
				return err
			}
			m, err = c.Recv().Await(ctx)
			m.Release()
			return err
		}
	}},
	{"PacketConn.SendTo, Recv and Queue", func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(context.Context) error {
		c, peer, to := packetPairOn(t, l, rt)
		p := make([]byte, 64)
		return func(ctx context.Context) error {
			if _, err := c.SendTo(p, to).Await(ctx); err != nil {
				return err
			}
			m, err := peer.Recv().Await(ctx)
			if err != nil {
				return err
			}
			_, err = peer.Queue(m.Buffer, to).Await(ctx)
			if err != nil {
				return err
			}
			m, err = peer.Recv().Await(ctx)
			m.Release()
			return err
		}
	}},
	{"File.ReadAt", onFile(func(ctx context.Context, f *proactor.File, p []byte) error {
		_, err := f.ReadAt(p, 7).Await(ctx)
		return err
	})},
	{"File.WriteAt", onFile(func(ctx context.Context, f *proactor.File, p []byte) error {
		_, err := f.WriteAt(p, 7).Await(ctx)
		return err
	})},
	{"File.Read", onFile(func(ctx context.Context, f *proactor.File, p []byte) error {
		_, err := f.Read(p).Await(ctx)
		return err
	})},
	{"File.Write", onFile(func(ctx context.Context, f *proactor.File, p []byte) error {
		_, err := f.Write(p).Await(ctx)
		return err
	})},
}

func onFile(turn func(ctx context.Context, f *proactor.File, p []byte) error) func(*testing.T, *proactor.Loop, *proactor.Runtime) func(context.Context) error {
	return func(t *testing.T, l *proactor.Loop, rt *proactor.Runtime) func(context.Context) error {
		f, p := fileOn(t, l, rt), make([]byte, 64)
		return func(ctx context.Context) error { return turn(ctx, f, p) }
	}
}

// One operation at a time allocates nothing.
func TestOneOperationAtATimeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	for _, op := range alone {
		t.Run(op.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				l := rt.Loops()[0]
				turn := op.turns(t, l, rt)
				const n = 500
				var allocs uint64
				_, err := l.Go(context.Background(), func(ctx context.Context) (err error) {
					turns := func(n int) error {
						for range n {
							if err := turn(ctx); err != nil {
								return err
							}
						}
						return nil
					}
					if err := turns(100); err != nil {
						return err
					}
					allocs, err = leastAllocs(n/20, func() error { return turns(n) })
					return err
				}).Await(t.Context())
				require.NoError(t, err)
				require.LessOrEqual(t, allocs, uint64(n/20))
			})
		})
	}
}

// Calls of Queue above the high-water mark share a promise, and each keeps its result.
func TestQueuesAboveTheHighWaterMark(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		c, peer := pairOn(t, l, rt, "unix")
		next := lent(t, l, rt, 12)
		_, err := l.Go(context.Background(), func(ctx context.Context) error {
			for range 3 {
				c.SendBytes(make([]byte, 1<<20)) // more than the socket takes
				one, two := c.Queue(next()), c.Queue(next())
				if one.Ready() || two.Ready() {
					return fmt.Errorf("ready above the high-water mark")
				}
				for !one.Ready() {
					b, err := peer.Recv().Await(ctx)
					if err != nil {
						return err
					}
					b.Release()
				}
				if _, err := one.Await(ctx); err != nil {
					return err
				}
				c.SendBytes(make([]byte, 1<<20))
				three := c.Queue(next())
				if _, err := two.Await(ctx); err != nil {
					return fmt.Errorf("the second: %w", err)
				}
				for !three.Ready() {
					b, err := peer.Recv().Await(ctx)
					if err != nil {
						return err
					}
					b.Release()
				}
				if _, err := three.Await(ctx); err != nil {
					return err
				}
			}
			return nil
		}).Await(t.Context())
		require.NoError(t, err)
	})
}
