package ring

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// Probe asks the kernel what it offers: it opens a ring for a moment, has it
// list its operations, and tries what no list tells. Any goroutine may call it.
func Probe() Report {
	found := make(chan Report)
	go func() {
		runtime.LockOSThread() // a ring belongs to the thread that opened it
		defer runtime.UnlockOSThread()
		found <- probe()
	}()
	return <-found
}

func probe() Report {
	report := Report{Kernel: KernelRelease()}
	r, err := Open(Options{Entries: 8})
	if err != nil {
		report.Setup = err
		why := "no ring can be opened: " + err.Error()
		report.Ops = supports(operations, func(operation) string { return why })
		for _, f := range append(slices.Clone(requiredFlags), optionalFlags...) {
			report.Flags = append(report.Flags, Support{Name: f.name, Since: f.since, Reason: why})
		}
		for _, f := range trials {
			report.Features = append(report.Features, Support{Name: f.name, Since: f.since, Reason: why})
		}
		return report
	}
	defer r.Close()
	report.Ops = probeOperations(r)
	for _, f := range append(slices.Clone(requiredFlags), optionalFlags...) {
		s := Support{Name: f.name, Since: f.since, OK: r.flags&f.bit != 0}
		if !s.OK {
			s.Reason = "io_uring_setup refuses it"
		}
		report.Flags = append(report.Flags, s)
	}
	for _, f := range trials {
		s := Support{Name: f.name, Since: f.since}
		if err := f.try(r); err != nil {
			s.Reason = err.Error()
		} else {
			s.OK = true
		}
		report.Features = append(report.Features, s)
	}
	return report
}

// operation is an operation code as the kernel's header names it.
type operation struct {
	code        uint8
	name, since string
}

func supports(ops []operation, reason func(operation) string) (list []Support) {
	for _, op := range ops {
		why := reason(op)
		list = append(list, Support{Name: op.name, Since: op.since, OK: why == "", Reason: why})
	}
	return list
}

// probeList is struct io_uring_probe with its operations.
type probeList struct {
	last uint8
	n    uint8
	_    uint16
	_    [3]uint32
	ops  [256]struct {
		code  uint8
		_     uint8
		flags uint16
		_     uint32
	}
}

func probeOperations(r *Ring) []Support {
	const supported = 1 << 0 // IO_URING_OP_SUPPORTED
	list := new(probeList)
	err := iouring_syscall.IOURingRegister(r.fd, iouring_syscall.IORING_REGISTER_PROBE, unsafe.Pointer(list), 256)
	return supports(operations, func(op operation) string {
		switch {
		case err != nil:
			return err.Error()
		case op.code > list.last:
			return "unknown to this kernel"
		case list.ops[op.code].flags&supported == 0:
			return "left out of this kernel's configuration"
		}
		return ""
	})
}

// trial finds out about a feature by using it.
type trial struct {
	name, since string
	try         func(*Ring) error
}

const trialGroup = 0xfff0

var trials = []trial{
	{featureBufferRing, "5.19", func(r *Ring) error { return tryBufferRing(r, false) }},
	{featureIncrementalBufferRing, "6.12", func(r *Ring) error { return tryBufferRing(r, true) }},
	{featureMultishotAccept, "5.19", tryMultishotAccept},
	{featureMultishotReceive, "6.0", func(r *Ring) error { return tryReceive(r, RecvMultishot) }},
	{featureBundle, "6.10", func(r *Ring) error { return tryReceive(r, RecvSendBundle) }},
	{featureCancelByDescriptor, "5.19", tryCancelFD},
}

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

// perform submits one entry and waits for its completion.
func (r *Ring) perform(prepare func(*SQE)) (CQE, error) {
	e := r.Next()
	prepare(e)
	e.SetUserData(1)
	var c [1]CQE
	for r.Reap(c[:]) == 0 {
		if err := r.Enter(time.Second); err != nil {
			return c[0], err
		}
	}
	return c[0], nil
}

func refusal(c CQE, err error, accepted ...syscall.Errno) error {
	if err != nil {
		return err
	}
	if errno := syscall.Errno(-c.Result()); c.Result() < 0 && !slices.Contains(accepted, errno) {
		return fmt.Errorf("it answers %w", errno)
	}
	return nil
}

func tryMultishotAccept(r *Ring) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// A socket that does not listen refuses with EINVAL only at the accept, as
	// an unknown flag does at once: so this one listens, shut down, and has
	// nothing to wait for.
	if err := unix.Bind(fd, &unix.SockaddrUnix{}); err != nil {
		return err
	}
	if err := unix.Listen(fd, 1); err != nil {
		return err
	}
	e := r.Next()
	e.PrepMultishotAccept(fd, 0)
	e.SetUserData(2)
	c, err := r.perform(func(e *SQE) { e.PrepCancel(2, 0) })
	var other [1]CQE
	for err == nil && r.Reap(other[:]) == 0 {
		err = r.Enter(time.Second)
	}
	for _, one := range []CQE{c, other[0]} {
		if one.UserData() == 2 {
			return refusal(one, err, syscall.ECANCELED)
		}
	}
	return err
}

func tryReceive(r *Ring, mode uint16) error {
	b, err := NewBufferRing(2)
	if err != nil {
		return err
	}
	if err := r.RegisterBufferRing(trialGroup, b); err != nil {
		return err
	}
	defer r.UnregisterBufferRing(trialGroup)
	b.Add(make([]byte, 64), 0)
	b.Publish()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	unix.Close(pair[1]) // the receive finds the end at once
	return refusal(r.perform(func(e *SQE) {
		e.PrepRecvProvided(pair[0], trialGroup, 0)
		e.SetIoprio(mode)
	}))
}

func tryCancelFD(r *Ring) error {
	c, err := r.perform(func(e *SQE) { e.PrepCancelFD(r.fd, CancelAll) })
	return refusal(c, err, syscall.ENOENT)
}
