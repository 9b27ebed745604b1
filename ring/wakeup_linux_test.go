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
	b.Run("eventfd", func(b *testing.B) { pingPong(b, newEventfdWaker) })
	b.Run("MSG_RING", func(b *testing.B) { pingPong(b, newMessageWaker) })
}

// waker is one side: it wakes the other side and waits until it is woken.
type waker interface {
	wake(other waker)
	wait() error
}

func pingPong(b *testing.B, wakerOf func(*testing.B, *Ring) waker) {
	var wakers [2]waker
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
		wakers[1] = wakerOf(b, r)
		close(made[1])
		<-made[0]
		for {
			if err := wakers[1].wait(); err != nil || stop.Load() {
				failed = err
				break
			}
			wakers[1].wake(wakers[0])
		}
		r.inFlight = 0 // what came by a message was never submitted here
		r.Close()
	}()
	r := open(b, Options{})
	wakers[0] = wakerOf(b, r)
	close(made[0])
	<-made[1]
	require.NoError(b, failed)
	for b.Loop() {
		wakers[0].wake(wakers[1])
		if err := wakers[0].wait(); err != nil {
			b.Fatal(err)
		}
	}
	stop.Store(true)
	wakers[0].wake(wakers[1])
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

type eventfdWaker struct {
	own   *Ring
	fd    int
	count [8]byte
}

func newEventfdWaker(b *testing.B, r *Ring) waker {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	e := &eventfdWaker{own: r, fd: fd}
	e.arm()
	return e
}

func (e *eventfdWaker) arm() {
	sqe := e.own.Next()
	sqe.PrepRead(e.fd, e.count[:])
	sqe.SetUserData(bellRings)
}

func (e *eventfdWaker) wake(other waker) {
	unix.Write(other.(*eventfdWaker).fd, binary.NativeEndian.AppendUint64(nil, 1))
}

func (e *eventfdWaker) wait() error {
	err := e.own.waitFor(bellRings)
	e.arm()
	return err
}

type messageWaker struct{ own *Ring }

func newMessageWaker(_ *testing.B, r *Ring) waker { return &messageWaker{r} }

func (m *messageWaker) wake(other waker) {
	sqe := m.own.Next()
	sqe.PrepOperation(uint8(iouring_syscall.IORING_OP_MSG_RING), int32(other.(*messageWaker).own.fd), 0, 0, bellRings)
	sqe.SetUserData(bellSent)
}

func (m *messageWaker) wait() error { return m.own.waitFor(bellRings) }
