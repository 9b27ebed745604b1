package proactor_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// recording is a tracer that keeps what it is told and finds what must not be.
type recording struct {
	mu     sync.Mutex
	open   map[*proactor.TracedOperation]ring.Op
	begun  int
	ended  int
	lines  []string // of those that belong to something
	wrongs []string
}

func (r *recording) Begin(o *proactor.TracedOperation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = map[*proactor.TracedOperation]ring.Op{}
	}
	if _, twice := r.open[o]; twice || o.State != nil || !o.Loop.Inside() {
		r.wrongs = append(r.wrongs, fmt.Sprintf("begin %v %+v", twice, *o))
	}
	r.open[o] = o.Kind
	r.begun++
	o.State = r
}

func (r *recording) End(o *proactor.TracedOperation, result proactor.TracedResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind, ok := r.open[o]; !ok || kind != o.Kind || o.State != any(r) || !o.Loop.Inside() {
		r.wrongs = append(r.wrongs, fmt.Sprintf("end %v %+v", ok, *o))
	}
	if o.Subject != nil {
		r.lines = append(r.lines, fmt.Sprintf("%T %v %d %v", o.Subject, o.Kind, result.Bytes, result.Err))
	}
	if !result.More {
		delete(r.open, o)
		r.ended++
	}
}

func (r *recording) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// Every operation begins and ends, with what it belongs to and how many bytes it moved.
func TestTracer(t *testing.T) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			requireBackend(t, b)
			trace := new(recording)
			rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(2), proactor.WithTracer(trace))
			require.NoError(t, err)
			addr := serveEcho(t, rt, "await")
			c := dial(t, addr)
			for range 3 {
				wrote(t, c, "hello")
				require.Equal(t, "hello", readFull(t, c, 5))
			}
			require.NoError(t, c.Close())
			// The handler closes it, not the end of the runtime.
			eventually(t, func() bool { return strings.Contains(trace.all(), "*proactor.Conn IORING_OP_CLOSE") }, trace.all)

			pc, err := rt.ListenPacket("udp", "127.0.0.1:0")
			require.NoError(t, err)
			_, err = pc.SendTo([]byte("ping!!!"), pc.LocalAddr().(*net.UDPAddr).AddrPort()).Await(t.Context())
			require.NoError(t, err)
			m, err := pc.Recv().Await(t.Context())
			require.NoError(t, err)
			m.Release()
			require.NoError(t, pc.Close())

			name := filepath.Join(t.TempDir(), "file")
			f, err := rt.Create(name).Await(t.Context())
			require.NoError(t, err)
			_, err = f.WriteAt([]byte("four"), 0).Await(t.Context())
			require.NoError(t, err)
			_, err = f.Close().Await(t.Context())
			require.NoError(t, err)
			_, err = rt.Open(name + "not").Await(t.Context())
			require.ErrorIs(t, err, os.ErrNotExist)

			require.NoError(t, rt.Close())
			trace.mu.Lock()
			defer trace.mu.Unlock()
			require.Empty(t, trace.wrongs)
			lines := strings.Join(trace.lines, "\n")
			for _, want := range []string{
				"*proactor.Listener IORING_OP_ACCEPT 0 <nil>",
				"*proactor.Conn IORING_OP_RECV 5 <nil>", "*proactor.Conn IORING_OP_SEND 5 <nil>", "*proactor.Conn IORING_OP_CLOSE 0 <nil>",
				"*proactor.PacketConn IORING_OP_SENDMSG 7 <nil>", "*proactor.PacketConn IORING_OP_RECVMSG ",
				"*proactor.File IORING_OP_WRITE 4 <nil>", "*proactor.File IORING_OP_CLOSE 0 <nil>",
			} {
				require.Contains(t, lines, want)
			}
			require.Equal(t, trace.begun, trace.ended+len(trace.open))
			requireWakeUpsOnly(t, trace, rt)
		})
	}
}

// requireWakeUpsOnly says that what the loops were closed with is the read by which
// each is woken.
func requireWakeUpsOnly(t *testing.T, trace *recording, rt *proactor.Runtime) {
	t.Helper()
	for _, kind := range trace.open {
		require.Equal(t, ring.OpRead, kind)
	}
	require.LessOrEqual(t, len(trace.open), len(rt.Loops()))
}

// What a traced loop does allocates no more than what another one does.
func TestTracerAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c := rawDial(t, serveEcho(t, rt, "await"))
		msg := make([]byte, 64)
		requireNoAllocs(t, func() { c.roundTrip(t, msg) })
	}, proactor.WithTracer(&counting{}))
}

// counting is a tracer that counts.
type counting struct{ begun, ended, bytes atomic.Int64 }

func (c *counting) Begin(o *proactor.TracedOperation) {
	c.begun.Add(1)
	o.State = c
}

func (c *counting) End(o *proactor.TracedOperation, r proactor.TracedResult) {
	c.ended.Add(1)
	c.bytes.Add(int64(r.Bytes))
}

// A tracer that panics costs nothing but lines in the log.
func TestTracerThatPanics(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c := dial(t, serveEcho(t, rt, "await"))
		for range 3 {
			wrote(t, c, "hello")
			require.Equal(t, "hello", readFull(t, c, 5))
		}
	}, proactor.WithTracer(panicking{}))
}

type panicking struct{}

func (panicking) Begin(*proactor.TracedOperation)                      { panic("no") }
func (panicking) End(*proactor.TracedOperation, proactor.TracedResult) { panic("no") }

func TestNoTracer(t *testing.T) {
	_, err := proactor.New(proactor.WithTracer(nil))
	require.ErrorIs(t, err, syscall.EINVAL)
}

// Each operation ends for the tracer also when its loop's queue fails, and when
// connections are cut off.
func TestTracerOfWhatIsCutOff(t *testing.T) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			requireBackend(t, b)
			trace := new(recording)
			rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1), proactor.WithTracer(trace))
			require.NoError(t, err)
			receives := make(chan struct{})
			addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
				f := c.Recv()
				close(receives)
				_, err := f.Await(ctx)
				return err
			})
			c := dial(t, addr)
			<-receives
			require.NoError(t, rt.Close())
			io.ReadAll(c)
			require.Contains(t, trace.all(), fmt.Sprintf("*proactor.Conn IORING_OP_RECV 0 %v", syscall.ECANCELED))
			require.Empty(t, trace.wrongs)
			requireWakeUpsOnly(t, trace, rt)
		})
	}
}
