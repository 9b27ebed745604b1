package ring

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// trial finds out about a feature by using it.
type trial struct {
	name, since string
	needed      bool // io_uring is no backend without it; true only of what Linux 6.1 has
	try         func(*Ring) error
	option      func(*Options) bool // asks for it; nil for what any queue may use

	// What a kernel without it refuses, for masks: an operation, calls of
	// io_uring_register(2), entries, flags.
	op    Op
	call  func(call uint32, arg unsafe.Pointer) bool
	entry func(*queueabi.Entry)
	setup uint32 // IORING_SETUP_*
}

var trials = []trial{
	{name: FeatureBufferRing, since: "5.19", needed: true, call: calls(registerBufferRing, unregisterBufferRing), try: func(r *Ring) error { return tryBufferRing(r, false) }},
	{name: FeatureIncrementalBufferRing, since: "6.12", call: refuseIncremental, try: func(r *Ring) error { return tryBufferRing(r, true) }},
	{name: FeatureMultishotAccept, since: "5.19", needed: true, entry: flagged(AcceptMultishot, OpAccept), try: tryMultishotAccept},
	{name: FeatureMultishotReceive, since: "6.0", needed: true, entry: flagged(RecvMultishot, OpRecv), try: func(r *Ring) error {
		return tryReceive(r, func(e *SQE, fd int) { e.PrepMultishotRecv(fd, trialGroup, 0) })
	}},
	{name: FeatureMultishotMessages, since: "6.0", needed: true, entry: flagged(RecvMultishot, OpRecvmsg), try: func(r *Ring) error {
		shape := new(Msghdr)
		return tryReceive(r, func(e *SQE, fd int) { e.PrepMultishotRecvmsg(fd, shape, trialGroup, 0) })
	}},
	{name: FeatureBundle, since: "6.10", entry: flagged(RecvSendBundle, OpSend, OpRecv), try: func(r *Ring) error {
		return tryReceive(r, func(e *SQE, fd int) {
			e.PrepRecvProvided(fd, trialGroup, 0)
			e.SetIoprio(RecvSendBundle)
		})
	}},
	{name: FeatureCancelByDescriptor, since: "5.19", needed: true, entry: refuseCancelFlags, try: tryCancelFD},
	{name: FeatureSyncCancel, since: "6.0", needed: true, call: calls(registerSyncCancel), try: trySyncCancel},
	{name: FeatureRegisteredBuffers, since: "5.19", call: calls(registerBuffers2), try: tryRegisteredBuffers},
	{name: FeatureDirectDescriptors, since: "5.19", call: calls(registerFiles2), try: tryDirectDescriptors},
	{name: FeatureSocketOptions, since: "6.7", entry: refuseSocketOption, try: trySocketOptions},
	{name: FeatureNAPI, since: "6.9", call: calls(registerNAPI), try: tryNAPI},
	{name: FeatureResize, since: "6.13", call: calls(registerResize), try: tryResize},
	{name: FeatureRegisteredWait, since: "6.13", call: calls(registerMemRegion), try: tryRegisteredWait},
	{name: FeatureZeroCopyReceive, since: "6.15", op: OpRecvZC, call: calls(registerInterfaceQueue), try: tryZeroCopyReceive,
		option: func(o *Options) bool { return o.ZeroCopyReceive }},
	{name: FeatureSubmissionThread, since: threadFlags[0].since, setup: setupSQPoll, try: trySubmissionThread,
		option: func(o *Options) bool { return o.SubmissionThread != nil }},
}

// trialGroup is the buffer group of the trials.
const trialGroup = 0xfff0

func tryBufferRing(r *Ring, incremental bool) error {
	b, err := NewBufferRing(1)
	if err != nil {
		return err
	}
	b.Incremental = incremental
	if err := r.RegisterBufferRing(trialGroup, b); err != nil {
		return err
	}
	return r.UnregisterBufferRing(trialGroup)
}

// tryMultishotAccept has one wait on a socket that nobody knows of, and
// cancels it. A kernel that does not know the flag answers EINVAL instead.
func tryMultishotAccept(r *Ring) error {
	if err := tryCancel(r); err != nil {
		return err // it would wait for ever
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{}); err != nil { // a name the kernel chooses
		return err
	}
	if err := unix.Listen(fd, 1); err != nil {
		return err
	}
	c, err := r.perform(func(e *SQE) {
		e.PrepMultishotAccept(fd, 0)
		e.SetUserData(trialData)
		r.Next().PrepCancel(trialData, 0)
	})
	return refusal(c, err, syscall.ECANCELED)
}

// tryReceive finds the end of a stream at once.
func tryReceive(r *Ring, prepare func(e *SQE, fd int)) error {
	b, err := NewBufferRing(1)
	if err != nil {
		return err
	}
	if err := r.RegisterBufferRing(trialGroup, b); err != nil {
		return err
	}
	defer r.UnregisterBufferRing(trialGroup)
	p := make([]byte, 64)
	defer runtime.KeepAlive(p)
	b.Add(p, 0)
	b.Publish()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	unix.Close(pair[1])
	c, err := r.perform(func(e *SQE) {
		prepare(e, pair[0])
		e.SetUserData(trialData)
	})
	return refusal(c, err)
}

// tryCancel cancels what is not there.
func tryCancel(r *Ring) error {
	c, err := r.perform(func(e *SQE) {
		e.PrepCancel(trialData+1, 0)
		e.SetUserData(trialData)
	})
	return refusal(c, err, syscall.ENOENT)
}

func tryCancelFD(r *Ring) error {
	c, err := r.perform(func(e *SQE) {
		e.PrepCancelFD(r.fd, 0)
		e.SetUserData(trialData)
	})
	return refusal(c, err, syscall.ENOENT)
}

func trySyncCancel(r *Ring) error {
	_, err := r.cancelAll()
	return err
}

// tryRegisteredBuffers registers a buffer in a table made for it.
func tryRegisteredBuffers(r *Ring) error {
	if err := r.RegisterBuffers(1); err != nil {
		return err
	}
	if err := r.UpdateBuffer(0, make([]byte, 64)); err != nil {
		return errors.Join(err, r.UnregisterBuffers())
	}
	return r.UnregisterBuffers()
}

func tryDirectDescriptors(r *Ring) error {
	if err := r.RegisterFiles(1); err != nil {
		return err
	}
	return r.UnregisterFiles()
}

// trySocketOptions asks for the type of a socket.
func trySocketOptions(r *Ring) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := make([]byte, 4)
	c, err := r.perform(func(e *SQE) {
		e.PrepGetSocketOption(fd, unix.SOL_SOCKET, unix.SO_TYPE, value)
		e.SetUserData(trialData)
	})
	return refusal(c, err)
}

func tryNAPI(r *Ring) error {
	arg := &struct {
		timeout uint32 // microseconds
		prefer  uint8
		_       [3]uint8
		_       uint64
	}{timeout: 1}
	return r.withDescriptor(r.flags&^setupRDisabled, func(fd int) error {
		_, err := r.mask.register(fd, registerNAPI, unsafe.Pointer(arg), 1)
		return err
	})
}

// tryResize has a ring of its own, since resizing moves what is mapped.
func tryResize(r *Ring) error {
	return r.withDescriptor(r.flags&^setupRDisabled, func(fd int) error {
		arg := &iouring_syscall.IOURingParams{
			SQEntries: 16, CQEntries: 64,
			Flags: iouring_syscall.IORING_SETUP_CQSIZE | iouring_syscall.IORING_SETUP_CLAMP,
		}
		_, err := r.mask.register(fd, registerResize, unsafe.Pointer(arg), 1)
		return err
	})
}

// tryRegisteredWait registers memory for wait arguments, which is possible
// only before a ring is enabled.
func tryRegisteredWait(r *Ring) error {
	const waitArgument = 1 << 0 // IORING_MEM_REGION_REG_WAIT_ARG
	return r.withDescriptor(r.flags|setupRDisabled, func(fd int) error {
		region := &struct {
			address, size uint64
			flags, id     uint32
			offset        uint64
			_             [4]uint64
		}{size: uint64(unix.Getpagesize())}
		arg := &struct {
			region, flags uint64
			_             [2]uint64
		}{region: pinned(uintptr(unsafe.Pointer(region))), flags: waitArgument}
		_, err := r.mask.register(fd, registerMemRegion, unsafe.Pointer(arg), 1)
		runtime.KeepAlive(region)
		return err
	})
}

// trySubmissionThread has a thread of the kernel perform an entry.
func trySubmissionThread(r *Ring) error {
	other, err := openMasked(Options{Entries: 8, SubmissionThread: &SubmissionThread{Idle: time.Millisecond}}, r.mask)
	if err != nil {
		return err
	}
	return errors.Join(other.tryEnter(), other.Close())
}

// withDescriptor hands f a ring that is set up and not mapped.
func (r *Ring) withDescriptor(flags uint32, f func(fd int) error) error {
	p := iouring_syscall.IOURingParams{Flags: flags, CQEntries: 16}
	fd, err := r.mask.open(8, &p)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd)
}

// trialData is the user data of the entry that a trial is about.
const trialData = 1

// trialLimit is how long an entry may take that is performed at once, though perhaps by a
// thread of the kernel: much more than that waits for a processor on a busy machine.
const trialLimit = 10 * time.Second

// perform submits what prepare makes of an entry, and waits for the completion
// that carries trialData. An entry does not keep what it points to: prepare does, until
// perform returns, if it has that memory from outside. Nothing is in flight any more when
// it fails.
func (r *Ring) perform(prepare func(*SQE)) (CQE, error) {
	defer runtime.KeepAlive(prepare)
	prepare(r.Next())
	var c [1]CQE
	for start := time.Now(); time.Since(start) < trialLimit; {
		if err := r.Enter(100 * time.Millisecond); err != nil {
			return c[0], err
		}
		for r.Reap(c[:]) > 0 {
			if c[0].UserData() == trialData {
				return c[0], nil
			}
		}
	}
	return c[0], errors.Join(errors.New("it does not complete"), r.quiesce(false))
}

// refusal is what speaks against a feature: an error, or a completion with an
// errno other than those accepted.
func refusal(c CQE, err error, accepted ...syscall.Errno) error {
	if err != nil {
		return err
	}
	if errno := syscall.Errno(-c.Result()); c.Result() < 0 && !slices.Contains(accepted, errno) {
		return fmt.Errorf("it answers %w", errno)
	}
	return nil
}
