package ring

import (
	"fmt"
	"slices"
	"syscall"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"

	"github.com/goproactor/goproactor/internal/kernelmask"
	"github.com/goproactor/goproactor/internal/queueabi"
)

// mask hides features of the kernel from a ring, for tests of this module: each is
// answered as a kernel answers that has not got it. A nil mask hides nothing.
type mask struct {
	setup      uint32                                       // IORING_SETUP_*
	features   uint32                                       // IORING_FEAT_*
	operations [256]bool                                    // by their codes
	calls      []func(call uint32, arg unsafe.Pointer) bool // of io_uring_register(2)
	entries    []func(*queueabi.Entry)
}

// OpenMasked is Open on a kernel that lacks what is masked. Only this module has masks.
func OpenMasked(o Options, m kernelmask.Mask) (*Ring, error) { return openMasked(o, maskOf(m)) }

// ProbeMasked is Probe on a kernel that lacks what is masked.
func ProbeMasked(m kernelmask.Mask) Report { return probeOnThread(nil, maskOf(m)) }

// ProbeFor is ProbeMasked for a queue of these options. It does not try what only others
// ask for: that takes time, and a security module that refuses it may log that.
func ProbeFor(o Options, m kernelmask.Mask) Report { return probeOnThread(&o, maskOf(m)) }

// maskOf panics at a name that no report has: a test would show nothing.
func maskOf(names kernelmask.Mask) *mask {
	if len(names.Names()) == 0 {
		return nil
	}
	m := new(mask)
	for _, name := range names.Names() {
		if !m.hide(name) {
			panic(fmt.Sprintf("ring: mask of %q: no operation, set-up flag or feature is called that", name))
		}
	}
	return m
}

func (m *mask) hide(name string) bool {
	for _, f := range slices.Concat(requiredFlags, optionalFlags) {
		if f.name == name {
			m.setup |= f.value
			return true
		}
	}
	for _, f := range kernelFeatures {
		if f.name == name {
			m.features |= f.value
			return true
		}
	}
	for code := range operations {
		if Op(code).String() == name {
			m.operations[code] = true
			return true
		}
	}
	for _, t := range trials {
		if t.name == name {
			if t.op != OpNop {
				m.operations[t.op] = true
			}
			if t.call != nil {
				m.calls = append(m.calls, t.call)
			}
			m.setup |= t.setup
			if t.entry != nil {
				m.entries = append(m.entries, t.entry)
			}
			return true
		}
	}
	return false
}

// open is io_uring_setup(2).
func (m *mask) open(entries uint, p *iouring_syscall.IOURingParams) (int, error) {
	if m != nil && p.Flags&m.setup != 0 {
		return -1, syscall.EINVAL
	}
	fd, err := iouring_syscall.IOURingSetup(entries, p)
	if m != nil {
		p.Features &^= m.features
	}
	return fd, err
}

// register is io_uring_register(2).
func (m *mask) register(fd int, call uint32, arg unsafe.Pointer, n uint32) (int, error) {
	if m == nil {
		return register(fd, call, arg, n)
	}
	for _, hides := range m.calls {
		if hides(call, arg) {
			return 0, syscall.EINVAL
		}
	}
	v, err := register(fd, call, arg, n)
	if err == nil && call == registerProbe {
		list := (*probeList)(arg)
		for code, hidden := range m.operations {
			if hidden {
				list.ops[code].flags &^= probeSupported
			}
		}
	}
	return v, err
}

// refuse makes what the kernel does not know of those entries that it would not know,
// before they are noted.
func (m *mask) refuse(r *Ring) {
	for i := r.noted; i != r.tail; i++ {
		e := r.m.sqes[i&r.sqMask].entry()
		for _, refuse := range m.entries {
			refuse(e)
		}
		if m.operations[e.Opcode] {
			e.Opcode = uint8(opRefused)
		}
	}
}

// calls makes what a trial hides, of calls of io_uring_register(2).
func calls(list ...uint32) func(uint32, unsafe.Pointer) bool {
	return func(call uint32, _ unsafe.Pointer) bool { return slices.Contains(list, call) }
}

// flagged makes what a trial hides, of entries of some operations with a flag in Ioprio.
func flagged(flag uint16, ops ...Op) func(*queueabi.Entry) {
	return func(e *queueabi.Entry) {
		if e.Ioprio&flag != 0 && slices.Contains(ops, Op(e.Opcode)) {
			e.Opcode = uint8(opRefused)
		}
	}
}

func refuseIncremental(call uint32, arg unsafe.Pointer) bool {
	return call == registerBufferRing && (*bufferRegistration)(arg).flags&bufferIncremental != 0
}

// refuseCancelFlags: all of them came with the same kernel.
func refuseCancelFlags(e *queueabi.Entry) {
	if Op(e.Opcode) == OpAsyncCancel && e.OpFlags != 0 {
		e.Opcode = uint8(opRefused)
	}
}

// refuseSocketOption makes it a command that no socket has: EOPNOTSUPP.
func refuseSocketOption(e *queueabi.Entry) {
	const none = 1<<32 - 1
	if Op(e.Opcode) == OpUringCmd {
		e.Off = none
	}
}
