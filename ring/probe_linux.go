package ring

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"unsafe"
)

// Probe asks the kernel what it offers: it opens a ring for a moment, has it
// list its operations, and tries what no list tells. Any goroutine may call it.
func Probe() Report { return probeOnThread(nil, nil) }

// probeOnThread probes, and leaves out what only other options than o ask for, if o is
// not nil.
func probeOnThread(o *Options, m *mask) Report {
	found := make(chan Report)
	go func() {
		runtime.LockOSThread() // a ring belongs to the thread that opened it
		defer runtime.UnlockOSThread()
		found <- probe(o, m)
	}()
	return <-found
}

func probe(o *Options, m *mask) Report {
	report := Report{Kernel: KernelRelease()}
	r, err := openMasked(Options{Entries: 8}, m)
	if err == nil {
		if err = r.tryEnter(); err != nil {
			r.Close()
		}
	}
	if err != nil {
		report.Setup = err
		report.refuse("no ring can be opened: " + err.Error())
		return report
	}
	defer r.Close()
	report.Ops = probeOperations(r)
	for _, f := range slices.Concat(requiredFlags, optionalFlags) {
		report.Flags = append(report.Flags, support(f.name, f.since, isRequiredFlag(f), r.flags&f.value != 0, "io_uring_setup refuses it"))
	}
	for _, f := range kernelFeatures {
		report.Features = append(report.Features, support(f.name, f.since, isRequiredFeature(f), r.features&f.value != 0, "the kernel does not report it"))
	}
	for _, t := range trials {
		if o != nil && t.option != nil && !t.option(o) {
			continue
		}
		err := t.try(r)
		if errors.Is(err, syscall.EMFILE) && report.Setup == nil { // that is no want of the kernel's
			report.Setup = fmt.Errorf("io_uring: try %s: %w", t.name, err)
		}
		report.Features = append(report.Features, support(t.name, t.since, t.needed, err == nil, fmt.Sprint(err)))
	}
	return report
}

// tryEnter performs an entry that any ring performs.
func (r *Ring) tryEnter() error {
	_, err := r.perform(func(e *SQE) {
		e.PrepNop()
		e.SetUserData(trialData)
	})
	return err
}

// support is a row of a report; the reason counts only if it is not there.
func support(name, since string, required, ok bool, reason string) Support {
	if ok {
		reason = ""
	}
	return Support{Name: name, Since: since, OK: ok, Reason: reason, Required: required}
}

func isRequiredFlag(f bit) bool { return values(requiredFlags)&f.value != 0 }

func isRequiredFeature(f bit) bool { return requiredFeature&f.value != 0 }

// refuse fills the report with one reason for everything.
func (r *Report) refuse(reason string) {
	for code, row := range operations {
		r.Ops = append(r.Ops, support(Op(code).String(), row.since, row.needed, false, reason))
	}
	for _, f := range slices.Concat(requiredFlags, optionalFlags) {
		r.Flags = append(r.Flags, support(f.name, f.since, isRequiredFlag(f), false, reason))
	}
	for _, f := range kernelFeatures {
		r.Features = append(r.Features, support(f.name, f.since, isRequiredFeature(f), false, reason))
	}
	for _, t := range trials {
		r.Features = append(r.Features, support(t.name, t.since, t.needed, false, reason))
	}
}

// firstKernel is FirstKernel of set-up flags and features.
func firstKernel(name string) string {
	for _, f := range slices.Concat(requiredFlags, threadFlags, optionalFlags, kernelFeatures) {
		if f.name == name {
			return f.since
		}
	}
	for _, t := range trials {
		if t.name == name {
			return t.since
		}
	}
	return ""
}

// probeSupported is IO_URING_OP_SUPPORTED, in the flags of an operation.
const probeSupported = 1 << 0

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

// has reports whether an operation is there.
func (l *probeList) has(op Op) bool {
	return int(op) <= int(l.last) && l.ops[op].flags&probeSupported != 0
}

// probeOperations has the kernel list its operations (IORING_REGISTER_PROBE,
// Linux 5.6).
func probeOperations(r *Ring) (ops []Support) {
	list := new(probeList)
	_, err := r.mask.register(r.fd, registerProbe, unsafe.Pointer(list), 256)
	for code, row := range operations {
		ok, why := false, ""
		switch {
		case err != nil:
			why = err.Error()
		case code > int(list.last):
			why = "unknown to this kernel"
		case list.ops[code].flags&probeSupported == 0:
			why = "left out of this kernel's configuration"
		default:
			ok = true
		}
		ops = append(ops, support(Op(code).String(), row.since, row.needed, ok, why))
	}
	return ops
}
