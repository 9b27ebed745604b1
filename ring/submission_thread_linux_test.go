package ring

import (
	"errors"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// threaded opens a ring whose entries a thread of the kernel submits.
func threaded(t *testing.T, entries uint32, idle time.Duration) *Ring {
	t.Helper()
	return open(t, Options{Entries: entries, SubmissionThread: &SubmissionThread{Idle: idle}})
}

func streamPair(t *testing.T) (a, b int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
	return pair[0], pair[1]
}

// reapAll takes n completions, and requires that none failed.
func reapAll(t *testing.T, r *Ring, n int) {
	t.Helper()
	var done [64]CQE
	for got := 0; got < n; {
		require.NoError(t, r.Enter(Forever))
		k := r.Reap(done[:])
		for _, c := range done[:k] {
			require.GreaterOrEqual(t, c.Result(), int32(0), "%v", syscall.Errno(-c.Result()))
		}
		got += k
	}
}

func TestSubmissionThreadFlags(t *testing.T) {
	r := threaded(t, 8, time.Millisecond)
	require.Contains(t, r.SetupFlags(), "IORING_SETUP_SQPOLL")
	require.ElementsMatch(t, r.SetupFlags(), Probe().SetupFlagsOf(Options{SubmissionThread: &SubmissionThread{}}))
	for _, excluded := range []string{"IORING_SETUP_DEFER_TASKRUN", "IORING_SETUP_TASKRUN_FLAG", "IORING_SETUP_SQ_AFF"} {
		require.NotContains(t, r.SetupFlags(), excluded)
	}
}

// Headers, their vectors and times are the program's again once Enter returns, though
// the thread reads them. The thread is met awake and asleep.
func TestSubmissionThreadCopiesDescriptions(t *testing.T) {
	for _, idle := range []time.Duration{time.Millisecond, time.Second} {
		r := threaded(t, 64, idle)
		ours, peer := streamPair(t)
		text, wrong := []byte("sent"), []byte("late")
		vector := &Iovec{}
		header := &Msghdr{}
		limit := new(Timespec)
		got := make([]byte, 4)
		for range 2000 {
			vector.Base, vector.Len = &text[0], 4
			header.Iov, header.Iovlen = vector, 1
			*limit = NewTimespec(time.Hour)
			r.Next().PrepNop()
			e := r.Next()
			e.PrepTimeout(limit, 1, 0) // ends with the first completion behind it, not with time
			r.Next().PrepSendmsg(ours, header, MsgNoSignal)
			require.NoError(t, r.Enter(0))
			vector.Base = &wrong[0]
			header.Iov, header.Iovlen = nil, 0
			*limit = Timespec{Sec: -1}
			n, _, err := unix.Recvfrom(peer, got, unix.MSG_DONTWAIT) // it was tried before Enter returned
			require.NoError(t, err)
			require.Equal(t, "sent", string(got[:n]))
			reapAll(t, r, 3)
		}
		runtime.KeepAlive([]any{text, wrong})
	}
}

// A descriptor may be closed once Enter returns: the entry is about the file that it
// stood for.
func TestSubmissionThreadKnowsTheFile(t *testing.T) {
	r := threaded(t, 8, time.Second)
	p := make([]byte, 8)
	for range 500 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		r.Next().PrepRecv(pair[0], p, 0)
		require.NoError(t, r.Enter(0))
		require.NoError(t, unix.Close(pair[0]))
		_, err = unix.Write(pair[1], []byte("x"))
		require.NoError(t, err)
		reapAll(t, r, 1)
		require.NoError(t, unix.Close(pair[1]))
	}
}

// asleep waits until the thread sleeps.
func (r *Ring) asleep(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); atomic.LoadUint32(r.m.sqFlags)&sqNeedWakeup == 0; runtime.Gosched() {
		require.True(t, time.Now().Before(deadline), "the thread does not sleep")
	}
}

func TestSubmissionThreadIsWoken(t *testing.T) {
	r := threaded(t, 8, time.Millisecond)
	for _, wait := range []time.Duration{0, Forever} {
		woken := 0
		for range 20 {
			r.asleep(t)
			before := r.Stats()
			r.Next().PrepNop()
			require.NoError(t, r.Enter(wait))
			if r.Stats().Syscalls > before.Syscalls {
				woken++
			}
			require.Equal(t, before.Enters+1, r.Stats().Enters)
			require.Equal(t, before.Submitted+1, r.Stats().Submitted)
			reapAll(t, r, 1)
		}
		// Not each time: it says that it will sleep, and then looks once more.
		require.Positive(t, woken, "to wake it takes a call")
	}
	// What is in flight has nothing to do with its sleep.
	ours, peer := streamPair(t)
	r.Next().PrepRecv(ours, make([]byte, 8), 0)
	require.NoError(t, r.Enter(0))
	r.asleep(t)
	_, err := unix.Write(peer, []byte("wake"))
	require.NoError(t, err)
	reapAll(t, r, 1)
}

// While the thread is awake nothing takes a system call but waiting.
func TestSubmissionThreadTakesNoCalls(t *testing.T) {
	if runtime.NumCPU() == 1 {
		t.Skip("the thread needs a processor beside this one")
	}
	r := threaded(t, 8, time.Minute)
	// Where the machine is busy the thread may be without a processor for long, and Enter
	// then asks the kernel whether it is still there: once is enough here.
	for deadline := time.Now().Add(30 * time.Second); ; {
		require.True(t, time.Now().Before(deadline), "each submission took a system call")
		before := r.Stats()
		r.Next().PrepNop()
		require.NoError(t, r.Enter(0))
		for !r.ready() { // waiting in Enter would take a call
			runtime.Gosched()
		}
		r.Next().PrepNop()
		require.NoError(t, r.Enter(Forever), "with a completion at hand")
		after := r.Stats()
		reapAll(t, r, 2)
		if after.Syscalls == before.Syscalls {
			require.Equal(t, before.Enters, after.Enters)
			return
		}
	}
}

// The queue is full for as long as the thread is at work on it.
func TestSubmissionThreadWithAFullQueue(t *testing.T) {
	r := threaded(t, 4, time.Millisecond)
	zero, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(zero)
	p := make([]byte, 16<<20)
	for range 5 {
		for i := range 12 {
			e := r.Next()
			e.PrepRead(zero, p)
			e.SetUserData(uint64(i))
		}
		require.NoError(t, r.Reserve(4))
		for i := range 3 { // a chain, which Reserve keeps whole
			e := r.Next()
			e.PrepNop()
			if i < 2 {
				e.SetFlags(SQELink)
			}
		}
		reapAll(t, r, 15)
	}
	require.EqualValues(t, 75, r.Stats().Submitted)
	require.Zero(t, r.InFlight())
}

// Close takes what is queued and what is in flight along, also what a worker of the
// thread waits for, and then nothing is written to the program's memory.
func TestSubmissionThreadClose(t *testing.T) {
	RequireKernel(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fifo := append([]byte(filepath.Join(t.TempDir(), "fifo")), 0)
	require.NoError(t, unix.Mkfifo(string(fifo[:len(fifo)-1]), 0o600))
	for _, sleeping := range []bool{false, true} {
		for range 20 {
			r, err := Open(Options{Entries: 8, SubmissionThread: &SubmissionThread{Idle: time.Millisecond}})
			require.NoError(t, err)
			early, peer := streamPair(t)
			late, other := streamPair(t)
			p := [2][]byte{make([]byte, 8), make([]byte, 8)}
			e := r.Next()
			e.PrepOpenat(unix.AT_FDCWD, &fifo[0], unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
			e.SetUserData(^uint64(0)) // as the entry that cancels everything would have
			r.Next().PrepRecv(early, p[0], 0)
			require.NoError(t, r.Enter(0))
			if sleeping {
				r.asleep(t)
			}
			r.Next().PrepRecv(late, p[1], 0) // and not handed over
			require.NoError(t, r.Close())
			require.NoError(t, r.Close())
			for _, fd := range []int{peer, other} {
				_, err = unix.Write(fd, []byte("too late"))
				require.NoError(t, err)
			}
			require.Equal(t, [2][]byte{make([]byte, 8), make([]byte, 8)}, p)
		}
	}
}

func TestSubmissionThreadCloseElsewhere(t *testing.T) {
	r := threaded(t, 8, time.Millisecond)
	r.Next().PrepNop()
	refused := make(chan error)
	go func() {
		runtime.LockOSThread()
		refused <- r.Close()
	}()
	require.ErrorIs(t, <-refused, syscall.EEXIST)
	reapAll(t, r, 1)
}

// A cancel says that a worker performs its target, and not that there is none.
func TestSubmissionThreadCancelOnWorker(t *testing.T) {
	r := threaded(t, 8, time.Millisecond)
	fifo := append([]byte(filepath.Join(t.TempDir(), "fifo")), 0)
	require.NoError(t, unix.Mkfifo(string(fifo[:len(fifo)-1]), 0o600))
	e := r.Next()
	e.PrepOpenat(unix.AT_FDCWD, &fifo[0], unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	e.SetUserData(7)
	require.NoError(t, r.Enter(20*time.Millisecond)) // until it waits, if the machine is not busy
	cancel := func() syscall.Errno {
		c, err := r.perform(func(e *SQE) {
			e.PrepCancel(7, 0)
			e.SetUserData(trialData)
		})
		require.NoError(t, err)
		return syscall.Errno(-c.Result())
	}
	for r.InFlight() > 0 { // on its way to the worker it escapes a cancel
		if errno := cancel(); errno == syscall.ENOENT {
			require.Nil(t, r.submitter.onWorker.at(7), "it had ended when the kernel looked for the answer")
		} else {
			require.Contains(t, []syscall.Errno{0, syscall.EALREADY}, errno)
		}
		require.NoError(t, r.Enter(time.Millisecond))
		r.Reap(make([]CQE, 8))
	}
	require.Equal(t, syscall.ENOENT, cancel())
	require.Zero(t, r.submitter.onWorker.used)
	require.Zero(t, r.submitter.cancels.used)
}

func TestSubmissionThreadProcessor(t *testing.T) {
	RequireKernel(t)
	var allowed unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &allowed))
	processor := 0
	for !allowed.IsSet(processor) {
		processor++
	}
	r := open(t, Options{Entries: 8, SubmissionThread: &SubmissionThread{Idle: time.Millisecond, Bound: true, Processor: processor}})
	require.Contains(t, r.SetupFlags(), "IORING_SETUP_SQ_AFF")
	r.Next().PrepNop()
	reapAll(t, r, 1)
}

func TestSubmissionThreadOfNonsense(t *testing.T) {
	RequireKernel(t)
	for want, s := range map[string]*SubmissionThread{
		"idle for -1ns":     {Idle: -1},
		"idle for 24h0m1s":  {Idle: MaxIdle + time.Second},
		"processor -1":      {Bound: true, Processor: -1},
		"processor 70000":   {Bound: true, Processor: 70_000},
		"processor 60000: ": {Bound: true, Processor: 60_000}, // only the kernel knows that
	} {
		_, err := Open(Options{Entries: 8, SubmissionThread: s})
		require.ErrorIs(t, err, syscall.EINVAL)
		require.ErrorContains(t, err, want)
		require.False(t, errors.Is(err, errors.ErrUnsupported), "%v", err)
	}
}

func TestSubmissionThreadExcludesZeroCopyReceive(t *testing.T) {
	_, err := Open(Options{SubmissionThread: &SubmissionThread{}, ZeroCopyReceive: true})
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "ZeroCopyReceive with a SubmissionThread")
}
