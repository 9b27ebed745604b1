package ring

import "unsafe"

// PrepPipe makes a pipe with flags such as O_CLOEXEC (pipe2(2)), and puts into ends
// the descriptors of its two ends, the one to read from first. ends belongs to the
// queue until the completion. With SetSlot the ends go into that slot and the next
// one, or with AnySlot into any two, and ends has the slots. Linux 6.16: an older
// kernel answers EINVAL.
func (e *SQE) PrepPipe(ends *[2]int32, flags uint32) {
	e.PrepOperation(uint8(OpPipe), 0, pinned(uintptr(unsafe.Pointer(ends))), 0, 0)
	e.SetOpFlags(flags)
}
