package ring

import (
	"fmt"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// mapping is the memory a ring shares with the kernel.
type mapping struct {
	rings   []byte // both rings (IORING_FEAT_SINGLE_MMAP, Linux 5.4)
	entries []byte // the submission entries

	sqHead, sqTail, sqFlags *uint32
	cqHead, cqTail          *uint32
	sqes                    []SQE
	cqes                    []CQE // twice as many where each is of the size of two
}

func (m *mapping) open(fd int, p *iouring_syscall.IOURingParams) (err error) {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	completions := p.CQEntries
	if p.Flags&setupLarge != 0 {
		completions *= 2
	}
	size := max(
		int(p.CQOffset.Cqes)+int(completions)*int(unsafe.Sizeof(CQE{})),
		int(p.SQOffset.Array)+int(p.SQEntries)*4,
	)
	m.rings, err = unix.Mmap(fd, int64(iouring_syscall.IORING_OFF_SQ_RING), size, prot, flags)
	if err != nil {
		return fmt.Errorf("map the rings, %d bytes: %w", size, err)
	}
	size = int(p.SQEntries) * int(unsafe.Sizeof(SQE{}))
	m.entries, err = unix.Mmap(fd, int64(iouring_syscall.IORING_OFF_SQES), size, prot, flags)
	if err != nil {
		m.close()
		return fmt.Errorf("map the submission entries, %d bytes: %w", size, err)
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&m.rings[offset])) }
	m.sqHead, m.sqTail, m.sqFlags = word(p.SQOffset.Head), word(p.SQOffset.Tail), word(p.SQOffset.Flags)
	m.cqHead, m.cqTail = word(p.CQOffset.Head), word(p.CQOffset.Tail)
	m.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&m.entries[0])), p.SQEntries)
	m.cqes = unsafe.Slice((*CQE)(unsafe.Pointer(&m.rings[p.CQOffset.Cqes])), completions)
	if p.Flags&setupNoSQArray == 0 {
		// The kernel reads entries through an index; ours never leave order.
		array := unsafe.Slice(word(p.SQOffset.Array), p.SQEntries)
		for i := range array {
			array[i] = uint32(i)
		}
	}
	return nil
}

func (m *mapping) close() {
	if m.rings != nil {
		unix.Munmap(m.rings)
	}
	if m.entries != nil {
		unix.Munmap(m.entries)
	}
	*m = mapping{}
}
