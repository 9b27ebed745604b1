package proactor_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/internal/queuehook"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// ledger is a queue that knows which memory its operations in flight use.
type ledger struct {
	ring.Queue
	mu      sync.Mutex
	filling *ring.SQE // that Next gave last: it is filled at the next call
	lent    map[uint64][]stretch
}

// stretch is memory of an operation.
type stretch struct{ from, to uintptr }

func stretchOf(p *byte, n uintptr) stretch {
	return stretch{uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(p)) + n}
}

func (q *ledger) Next() *ring.SQE {
	q.filled()
	q.filling = q.Queue.Next()
	return q.filling
}

func (q *ledger) Reserve(n int) error {
	q.filled()
	return q.Queue.Reserve(n)
}

func (q *ledger) Enter(wait time.Duration) error {
	q.filled()
	return q.Queue.Enter(wait)
}

func (q *ledger) Reap(dst []ring.CQE) int {
	q.filled()
	n := q.Queue.Reap(dst)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range dst[:n] {
		if !c.More() {
			delete(q.lent, c.UserData())
		}
	}
	return n
}

// filled enters the memory of the entry that Next gave last.
func (q *ledger) filled() {
	if q.filling == nil {
		return
	}
	f := (*queueabi.SQE)(q.filling).Entry()
	q.filling = nil
	if stretches := stretchesOf(f); len(stretches) > 0 {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.lent[f.UserData] = stretches
	}
}

// stretchesOf is the memory that an entry names.
func stretchesOf(f *queueabi.Entry) (stretches []stretch) {
	if f.Flags&ring.SQEBufferSelect != 0 {
		return nil
	}
	address := *(*unsafe.Pointer)(unsafe.Pointer(&f.Addr))
	var vector []ring.Iovec
	switch ring.Op(f.Opcode) {
	case ring.OpRead, ring.OpWrite, ring.OpReadFixed, ring.OpWriteFixed, ring.OpRecv, ring.OpSend, ring.OpSendZC:
		return []stretch{stretchOf((*byte)(address), uintptr(f.Len))}
	case ring.OpReadv, ring.OpWritev:
		vector = unsafe.Slice((*ring.Iovec)(address), f.Len)
	case ring.OpSendmsg, ring.OpRecvmsg:
		h := (*ring.Msghdr)(address)
		vector = unsafe.Slice(h.Iov, h.Iovlen)
	}
	for _, v := range vector {
		stretches = append(stretches, stretchOf(v.Base, uintptr(v.Len)))
	}
	return stretches
}

// uses reports whether an operation in flight uses a byte of p. Before an entry is
// complete only the loop may call it.
func (q *ledger) uses(p []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	mine := stretchOf(unsafe.SliceData(p), uintptr(len(p)))
	for _, stretches := range q.lent {
		if slices.ContainsFunc(stretches, func(s stretch) bool { return s.from < mine.to && mine.from < s.to }) {
			return true
		}
	}
	return false
}

// withLedger puts a ledger at place and under a loop. Where plan says so, what is below
// goes wrong; plan may be nil.
func withLedger(place **ledger, plan faultqueue.Plan) proactor.Option {
	return queuehook.Option(proactor.Option(nil), func(_ int, open func() (ring.Queue, error)) (ring.Queue, error) {
		q, err := open()
		if err != nil {
			return nil, err
		}
		if plan != nil {
			q = faultqueue.New(q, plan)
		}
		*place = &ledger{Queue: q, lent: map[uint64][]stretch{}}
		return *place, nil
	})
}

// loan is an operation that borrows memory.
type loan struct {
	memory [][]byte
	start  func() futures.Future[int] // on the loop
	conn   *proactor.Conn             // that it is on, if it is on one; else
	packet *proactor.PacketConn
	file   *proactor.File

	aligned *proactor.AlignedMemory // that is used, if any
}

// lending makes operations of every kind that borrows memory. Started, they end at once,
// or wait until they are canceled.
var lending = []struct {
	name string
	make func(t *testing.T, rt *proactor.Runtime) loan
}{
	{"RecvInto of what is there", func(t *testing.T, rt *proactor.Runtime) loan {
		c, peer := accepted(t, rt)
		wrote(t, peer, "there already")
		return receivesInto(c, 8<<10)
	}},
	{"RecvInto of what never comes", func(t *testing.T, rt *proactor.Runtime) loan {
		c, _ := accepted(t, rt)
		return receivesInto(c, 8<<10)
	}},
	{"RecvInto of little", func(t *testing.T, rt *proactor.Runtime) loan {
		c, peer := accepted(t, rt)
		wrote(t, peer, "there already")
		return receivesInto(c, 64)
	}},
	{"RecvInto of a message", func(t *testing.T, rt *proactor.Runtime) loan {
		c, peer := socketPair(t, rt, "unixpacket")
		wrote(t, peer, "there already")
		return receivesInto(c, 8<<10)
	}},
	{"RecvInto from a pipe", func(t *testing.T, rt *proactor.Runtime) loan {
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		t.Cleanup(w.Abort)
		_, err = w.SendBytes([]byte("there already")).Await(t.Context())
		require.NoError(t, err)
		return receivesInto(r, 8<<10)
	}},
	{"RecvFiles", func(t *testing.T, rt *proactor.Runtime) loan {
		c, peer := socketPair(t, rt, "unix")
		wrote(t, peer, "there already")
		p := untouched(8 << 10)
		return loan{memory: [][]byte{p}, conn: c, start: func() futures.Future[int] {
			return futures.Map(c.RecvFiles(p, 1), func(r proactor.Received) (int, error) { return r.N, nil })
		}}
	}},
	{"SendBytes", func(t *testing.T, rt *proactor.Runtime) loan {
		c, _ := slowly(t, rt)
		return sendsMuch(c, (*proactor.Conn).SendBytes)
	}},
	{"SendBytes to a pipe", func(t *testing.T, rt *proactor.Runtime) loan {
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		t.Cleanup(r.Abort)
		return sendsMuch(w, (*proactor.Conn).SendBytes)
	}},
	{"SendVector", func(t *testing.T, rt *proactor.Runtime) loan {
		c, _ := slowly(t, rt)
		return sendsMuch(c, func(c *proactor.Conn, p []byte) futures.Future[int] { return c.SendVector(p[:100], p[100:]) })
	}},
	{"SendZeroCopy", func(t *testing.T, rt *proactor.Runtime) loan {
		c, _ := slowly(t, rt)
		return sendsMuch(c, (*proactor.Conn).SendZeroCopy)
	}},
	{"SendZeroCopy that the socket has", func(t *testing.T, rt *proactor.Runtime) loan {
		c, _ := slowly(t, rt)
		p := make([]byte, 64<<10)
		return loan{memory: [][]byte{p}, conn: c, start: func() futures.Future[int] { return c.SendZeroCopy(p) }}
	}},
	{"SendFiles", func(t *testing.T, rt *proactor.Runtime) loan {
		c, _ := socketPair(t, rt, "unix")
		f := sparseFile(t, 1)
		return sendsMuch(c, func(c *proactor.Conn, p []byte) futures.Future[int] { return c.SendFiles(p, f) })
	}},
	{"SendTo", func(t *testing.T, rt *proactor.Runtime) loan {
		peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		t.Cleanup(func() { peer.Close() })
		c, err := rt.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		p := []byte("message")
		return loan{memory: [][]byte{p}, packet: c, start: func() futures.Future[int] {
			return c.SendTo(p, peer.LocalAddr().(*net.UDPAddr).AddrPort())
		}}
	}},
	{"SendBatch", func(t *testing.T, rt *proactor.Runtime) loan {
		path := filepath.Join(t.TempDir(), "peer")
		peer, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		require.NoError(t, err)
		t.Cleanup(func() { peer.Close() })
		c, err := rt.ListenPacket("unixgram", "")
		require.NoError(t, err)
		p := []byte("message")
		batch := make([]proactor.Datagram, 600) // more than its queue takes
		for i := range batch {
			batch[i] = proactor.Datagram{Data: p, ToName: path}
		}
		return loan{memory: [][]byte{p}, packet: c, start: func() futures.Future[int] { return c.SendBatch(batch) }}
	}},
	{"ReadAt", onSparse(func(f *proactor.File, p []byte) futures.Future[int] { return f.ReadAt(p, 0) })},
	{"WriteAt", onSparse(func(f *proactor.File, p []byte) futures.Future[int] { return f.WriteAt(p, 0) })},
	{"Read", onSparse((*proactor.File).Read)},
	{"Write", onSparse((*proactor.File).Write)},
	{"ReadVectorAt", onSparse(func(f *proactor.File, p []byte) futures.Future[int] {
		return f.ReadVectorAt([][]byte{p[:100], p[100:]}, 0)
	})},
	{"WriteVectorAt", onSparse(func(f *proactor.File, p []byte) futures.Future[int] {
		return f.WriteVectorAt([][]byte{p[:100], p[100:]}, 0)
	})},
	{"Read behind another", onSparse(func(f *proactor.File, p []byte) futures.Future[int] {
		f.Read(make([]byte, 1<<20))
		return f.Read(p)
	})},
	{"ReadAt into aligned memory", func(t *testing.T, rt *proactor.Runtime) loan {
		m, err := rt.Loops()[0].AlignedMemory(fileSize).Await(t.Context())
		require.NoError(t, err)
		f := openSparse(t, rt)
		return loan{memory: [][]byte{m.Bytes()}, file: f, aligned: m, start: func() futures.Future[int] { return f.ReadAt(m.Bytes(), 0) }}
	}},
	{"Read of what never comes", func(t *testing.T, rt *proactor.Runtime) loan {
		f, p := namedPipe(t, rt), untouched(64)
		return loan{memory: [][]byte{p}, file: f, start: func() futures.Future[int] { return f.Read(p) }}
	}},
	{"a chain that sends and receives", func(t *testing.T, rt *proactor.Runtime) loan {
		c, peer := accepted(t, rt)
		wrote(t, peer, "there already")
		p, q, r := []byte("question"), untouched(64), untouched(64)
		return loan{memory: [][]byte{p, q, r}, conn: c, start: func() futures.Future[int] {
			return stepsOf(rt.Chain(c.SendStep(p), c.RecvStep(q), c.RecvStep(r)))
		}}
	}},
	{"a chain that sends much", func(t *testing.T, rt *proactor.Runtime) loan {
		c, _ := slowly(t, rt)
		return sendsMuch(c, func(c *proactor.Conn, p []byte) futures.Future[int] { return stepsOf(rt.Chain(c.SendStep(p))) })
	}},
	{"a chain that reads and writes", onSparse(func(f *proactor.File, p []byte) futures.Future[int] {
		n := len(p) / 2
		return stepsOf(f.Loop().Runtime().Chain(f.ReadFullStep(p[:n], 0), f.WriteStep(p[n:], 0)))
	})},
	{"a chain that reads whatever happens", onSparse(func(f *proactor.File, p []byte) futures.Future[int] {
		n := len(p) / 2
		return stepsOf(f.Loop().Runtime().Chain(f.ReadFullStep(p[:n], 0), f.ReadFullStep(p[n:], 0).Always()))
	})},
}

func receivesInto(c *proactor.Conn, n int) loan {
	p := untouched(n)
	return loan{memory: [][]byte{p}, conn: c, start: func() futures.Future[int] { return c.RecvInto(p) }}
}

func sendsMuch(c *proactor.Conn, send func(*proactor.Conn, []byte) futures.Future[int]) loan {
	p := make([]byte, 1<<20) // more than its sockets take
	return loan{memory: [][]byte{p}, conn: c, start: func() futures.Future[int] { return send(c, p) }}
}

// fileSize takes a worker of the fallback some time to read.
const fileSize = 1 << 20

func openSparse(t *testing.T, rt *proactor.Runtime) *proactor.File {
	t.Helper()
	f, err := rt.OpenFile(sparseFile(t, fileSize).Name(), os.O_RDWR, 0).Await(t.Context())
	require.NoError(t, err)
	return f
}

func onSparse(start func(*proactor.File, []byte) futures.Future[int]) func(*testing.T, *proactor.Runtime) loan {
	return func(t *testing.T, rt *proactor.Runtime) loan {
		f, p := openSparse(t, rt), untouched(fileSize)
		return loan{memory: [][]byte{p}, file: f, start: func() futures.Future[int] { return start(f, p) }}
	}
}

func stepsOf(chain futures.Future[[]proactor.StepResult]) futures.Future[int] {
	return futures.Map(chain, func(r []proactor.StepResult) (int, error) { return len(r), nil })
}

// lendingEnds are what may have asked an operation to end before it is awaited.
var lendingEnds = []struct {
	name string
	ask  func(l *loan, f futures.Future[int])
}{
	{"nothing", func(*loan, futures.Future[int]) {}}, // but the end of its context
	{"Cancel", func(_ *loan, f futures.Future[int]) { f.Cancel() }},
	{"Cancel twice", func(_ *loan, f futures.Future[int]) { f.Cancel(); f.Cancel() }},
	{"Cancel of what is made of it", func(_ *loan, f futures.Future[int]) {
		futures.FlatMap(futures.All(f, futures.WithTimeout(f, time.Hour)), futures.Resolved[[]int]).Cancel()
	}},
	{"a deadline that has passed", func(l *loan, _ futures.Future[int]) {
		switch past := time.Unix(1, 0); {
		case l.conn != nil:
			l.conn.SetDeadline(past)
		case l.packet != nil:
			l.packet.SetDeadline(past)
		}
	}},
	{"Close", func(l *loan, _ futures.Future[int]) {
		switch {
		case l.conn != nil:
			l.conn.Close()
		case l.packet != nil:
			l.packet.Close()
		default:
			l.file.Close()
		}
	}},
	{"Abort", func(l *loan, f futures.Future[int]) {
		if l.conn != nil {
			l.conn.Abort()
		}
	}},
	{"Abort and Cancel", func(l *loan, f futures.Future[int]) {
		if l.conn != nil {
			l.conn.Abort()
		}
		f.Cancel()
	}},
	{"Move", func(l *loan, _ futures.Future[int]) {
		if l.conn != nil {
			l.conn.Move(l.conn.Loop())
		}
	}},
}

// lendingPlaces are where an operation is awaited.
var lendingPlaces = []struct {
	name string
	run  func(t *testing.T, rt *proactor.Runtime, fn func(ctx context.Context))
}{
	{"in a callback", func(t *testing.T, rt *proactor.Runtime, fn func(context.Context)) {
		done := make(chan struct{})
		require.True(t, rt.Loops()[0].Do(func() { defer close(done); fn(context.Background()) }))
		<-done
	}},
	{"in a task", func(t *testing.T, rt *proactor.Runtime, fn func(context.Context)) {
		_, err := rt.Loops()[0].Go(t.Context(), func(ctx context.Context) error { fn(ctx); return nil }).Await(context.Background())
		require.NoError(t, err)
	}},
	{"on a goroutine", func(t *testing.T, _ *proactor.Runtime, fn func(context.Context)) { fn(t.Context()) }},
}

// When Await returns, nothing uses the memory of the operation, whatever has asked it to
// end before.
func TestAwaitGivesLentMemoryBack(t *testing.T) {
	for _, lend := range lending {
		t.Run(lend.name, func(t *testing.T) {
			var books *ledger
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				for _, place := range lendingPlaces {
					for _, end := range lendingEnds {
						for _, begun := range []bool{false, true} {
							t.Run(fmt.Sprintf("%s after %s, begun %v", place.name, end.name, begun), func(t *testing.T) {
								showLent(t, rt, books, lend.make(t, rt), begun, place.run, end.ask)
							})
						}
					}
				}
			}, proactor.WithLoops(1), proactor.WithDrainTimeout(1), withLedger(&books, nil))
		})
	}
}

// showLent awaits an operation, which has begun before or begins then, and shows that its
// memory is the caller's from then on.
func showLent(t *testing.T, rt *proactor.Runtime, books *ledger, l loan, begun bool,
	at func(*testing.T, *proactor.Runtime, func(context.Context)), ask func(*loan, futures.Future[int])) {
	var f futures.Future[int]
	if begun {
		started := make(chan struct{})
		require.True(t, rt.Loops()[0].Do(func() { f = l.start(); close(started) }))
		<-started
		require.NoError(t, errorOf(rt.Sleep(1).Await(t.Context())))
	}
	var lent bool
	var after [][]byte
	at(t, rt, func(ctx context.Context) {
		if !begun {
			f = l.start()
		}
		ask(&l, f)
		ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		f.Await(ctx)
		if rt.Loops()[0].Inside() {
			books.filled()
		}
		for _, p := range l.memory {
			lent = lent || books.uses(p)
			after = append(after, bytes.Clone(p))
		}
	})
	require.False(t, lent, "in use")
	<-f.Done()
	require.NoError(t, errorOf(rt.Sleep(1).Await(t.Context())))
	for i, p := range l.memory {
		require.False(t, books.uses(p), "in use again")
		require.True(t, bytes.Equal(after[i], p), "written to")
	}
	switch {
	case l.conn != nil:
		l.conn.Abort()
	case l.packet != nil:
		l.packet.Close()
	default:
		l.file.Close()
	}
	if l.aligned != nil {
		require.NoError(t, errorOf(l.aligned.Release().Await(t.Context())))
	}
}

// The memory of a send without copy is read until all notifications have come, where it
// has gone out in several sends.
func TestAwaitOfZeroCopyInParts(t *testing.T) {
	for what, parts := range map[string]struct {
		size  int
		errno syscall.Errno // of the second send
	}{
		"waits for room":             {size: uncopied},
		"waits for the peer":         {size: 32 << 10},
		"has failed after its first": {size: uncopied, errno: syscall.EPIPE},
	} {
		for _, place := range lendingPlaces {
			for _, end := range lendingEnds {
				t.Run(fmt.Sprintf("it %s, %s after %s", what, place.name, end.name), func(t *testing.T) {
					var books *ledger
					second := make(chan struct{}, 1)
					plan := func(o faultqueue.Operation) faultqueue.Fault {
						switch {
						case o.Kind == ring.OpSendZC && o.Nth == 0:
							return faultqueue.Fault{Limit: 16 << 10, Delay: 5}
						case o.Kind == ring.OpSendZC:
							select {
							case second <- struct{}{}:
							default: // a send that was cut short goes on by a third
							}
							return faultqueue.Fault{Errno: parts.errno}
						}
						return faultqueue.Fault{}
					}
					onEach(t, func(t *testing.T, rt *proactor.Runtime) {
						for len(second) > 0 { // of the backend before
							<-second
						}
						c, peer := slowly(t, rt)
						c.SendBytes(make([]byte, 64<<10)) // more than the peer takes before it reads
						p := make([]byte, parts.size)
						f := c.SendZeroCopy(p)
						<-second
						require.NoError(t, errorOf(rt.Sleep(1).Await(t.Context())))
						l := loan{memory: [][]byte{p}, conn: c, start: func() futures.Future[int] { return f }}
						showLent(t, rt, books, l, true, place.run, end.ask)
						peer.Close()
					}, proactor.WithLoops(1), proactor.WithDrainTimeout(1), withLedger(&books, plan))
				})
			}
		}
	}
}

// A callback of what an Await in a callback cancels may await, too.
func TestAwaitInCallbackWithinAnother(t *testing.T) {
	var books *ledger
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		outer, _ := accepted(t, rt)
		inner, _ := accepted(t, rt)
		p, q := untouched(8<<10), untouched(8<<10)
		waits := inner.RecvInto(q)
		var lent []bool
		showNested := func() {
			sleep := rt.Sleep(time.Hour)
			f := outer.RecvInto(p)
			sleep.Then(func(struct{}, error) {
				waits.Cancel()
				_, err := waits.Await(context.Background())
				require.Equal(t, futures.ErrNoTask, err)
				_, err = f.Await(context.Background())
				require.Equal(t, futures.ErrNoTask, err)
				lent = append(lent, books.uses(p), books.uses(q))
			})
			all := futures.All(futures.Map(f, func(int) (struct{}, error) { return struct{}{}, nil }), sleep)
			_, err := all.Await(context.Background())
			require.Equal(t, futures.ErrNoTask, err)
			lent = append(lent, books.uses(p), books.uses(q))
		}
		lendingPlaces[0].run(t, rt, func(context.Context) { showNested() })
		require.Equal(t, []bool{false, false, false, false}, lent)
	}, proactor.WithLoops(1), withLedger(&books, nil))
}

// What a cancel that panics has left is not waited for by another Await.
func TestAwaitInCallbackAfterPanic(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		other, _ := accepted(t, rt)
		ended := make(chan error, 1)
		require.True(t, rt.Loops()[0].Do(func() {
			f := c.RecvInto(make([]byte, 8<<10))
			f.Then(func(_ int, err error) { ended <- err })
			sleep := rt.Sleep(time.Hour)
			sleep.Then(func(struct{}, error) { panic("on purpose") })
			futures.All(futures.Map(f, func(int) (struct{}, error) { return struct{}{}, nil }), sleep).Await(context.Background())
		}))
		require.ErrorIs(t, <-ended, futures.ErrCanceled)
		lendingPlaces[0].run(t, rt, func(context.Context) {
			_, err := other.RecvInto(make([]byte, 8<<10)).Await(context.Background())
			require.Equal(t, futures.ErrNoTask, err)
		})
	}, proactor.WithLoops(1))
}

// What borrows nothing is not waited for: a file server that does not answer must not hold
// up the loop.
func TestAwaitInCallbackOfAnOpenThatIsStuck(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name, end := leased(t)
		t.Cleanup(end)
		f := rt.OpenFile(name, os.O_RDONLY, 0)
		for range 20 { // it is under way: see TestOpenOfALeasedFileWaits
			require.NoError(t, errorOf(rt.Stat(name).Await(t.Context())))
		}
		lendingPlaces[0].run(t, rt, func(context.Context) {
			f.Cancel()
			_, err := f.Await(context.Background())
			require.Equal(t, futures.ErrNoTask, err)
		})
		require.NoError(t, errorOf(rt.Sleep(1).Await(t.Context()))) // the loop goes on
		end()
		require.ErrorIs(t, errorOf(f.Await(t.Context())), futures.ErrCanceled)
	}, proactor.WithLoops(1))
}

// A receive that a signal interrupts when it has been canceled is not submitted again.
func TestCanceledReceiveIsInterrupted(t *testing.T) {
	var books *ledger
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		p := untouched(8 << 10)
		var f futures.Future[int]
		lendingPlaces[0].run(t, rt, func(context.Context) {
			f = c.RecvInto(p)
			f.Cancel()
		})
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		require.False(t, books.uses(p))
	}, proactor.WithLoops(1), withLedger(&books, func(o faultqueue.Operation) faultqueue.Fault {
		if o.Kind == ring.OpRecv && o.Target == faultqueue.Stream {
			return faultqueue.Fault{Errno: syscall.EINTR}
		}
		return faultqueue.Fault{}
	}))
}
