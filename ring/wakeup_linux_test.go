package ring

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"testing"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkWakeUp is two rings, a thread each, that wake each other in turn: by
// an eventfd whose read is armed, which is how loops do it, and by a completion
// that one posts to the other (IORING_OP_MSG_RING, Linux 5.18).
func BenchmarkWakeUp(b *testing.B) {
	b.Run("eventfd", func(b *testing.B) { pingPong(b, newEventfdBell) })
	b.Run("MSG_RING", func(b *testing.B) { pingPong(b, newMessageBell) })
}

// bell is one side: it rings the other side's and waits for its own.
type bell interface {
	ring(other bell)
	wait() error
}

func pingPong(b *testing.B, bellOf func(*testing.B, *Ring) bell) {
	var bells [2]bell
	var failed error
	var stop atomic.Bool
	made, ended := [2]chan struct{}{newSignal(), newSignal()}, newSignal()
	go func() {
		runtime.LockOSThread()
		defer close(ended)
		r, err := Open(Options{})
		if err != nil {
			failed = err
			close(made[1])
			return
		}
		bells[1] = bellOf(b, r)
		close(made[1])
		<-made[0]
		for {
			if err := bells[1].wait(); err != nil || stop.Load() {
				failed = err
				break
			}
			bells[1].ring(bells[0])
		}
		r.inFlight = 0 // what came by a message was never submitted here
		r.Close()
	}()
	r := open(b, Options{})
	bells[0] = bellOf(b, r)
	close(made[0])
	<-made[1]
	require.NoError(b, failed)
	for b.Loop() {
		bells[0].ring(bells[1])
		if err := bells[0].wait(); err != nil {
			b.Fatal(err)
		}
	}
	stop.Store(true)
	bells[0].ring(bells[1])
	require.NoError(b, r.Enter(0))
	<-ended
	require.NoError(b, failed)
	r.inFlight = 0
}

func newSignal() chan struct{} { return make(chan struct{}) }

const (
	bellRings = 1
	bellSent  = 2
)

// waitFor waits for a completion with that user data.
func (r *Ring) waitFor(userData uint64) error {
	var done [4]CQE
	for {
		for i := range r.Reap(done[:]) {
			if done[i].UserData() == userData {
				return nil
			}
		}
		if err := r.Enter(Forever); err != nil {
			return err
		}
	}
}

type eventfdBell struct {
	own   *Ring
	fd    int
	count [8]byte
}

func newEventfdBell(b *testing.B, r *Ring) bell {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	e := &eventfdBell{own: r, fd: fd}
	e.arm()
	return e
}

func (e *eventfdBell) arm() {
	sqe := e.own.Next()
	sqe.PrepRead(e.fd, e.count[:])
	sqe.SetUserData(bellRings)
}

func (e *eventfdBell) ring(other bell) {
	unix.Write(other.(*eventfdBell).fd, binary.NativeEndian.AppendUint64(nil, 1))
}

func (e *eventfdBell) wait() error {
	err := e.own.waitFor(bellRings)
	e.arm()
	return err
}

type messageBell struct{ own *Ring }

func newMessageBell(_ *testing.B, r *Ring) bell { return &messageBell{r} }

func (m *messageBell) ring(other bell) {
	sqe := m.own.Next()
	sqe.PrepOperation(uint8(iouring_syscall.IORING_OP_MSG_RING), int32(other.(*messageBell).own.fd), 0, 0, bellRings)
	sqe.SetUserData(bellSent)
}

func (m *messageBell) wait() error { return m.own.waitFor(bellRings) }
