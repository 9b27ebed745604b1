package queueabi

import "unsafe"

// Entry is a submission entry field by field, as the kernel lays it out (struct
// io_uring_sqe).
type Entry struct {
	Opcode   uint8
	Flags    uint8
	Ioprio   uint16
	FD       int32
	Off      uint64 // offset, second address, or the target of a cancel's relatives
	Addr     uint64 // memory, or the user data a cancel looks for
	Len      uint32
	OpFlags  uint32
	UserData uint64

	BufGroup    uint16 // buffer group, or index of a registered buffer
	Personality uint16
	SpliceFD    int32 // second descriptor, or direct slot + 1
	Addr3       uint64
	_           uint64
}

// Option is the level and the name of a socket command's option, two words in the
// place of Addr.
func (e *Entry) Option() (level, name uint32) {
	words := (*[2]uint32)(unsafe.Pointer(&e.Addr))
	return words[0], words[1]
}

// SetOption sets them.
func (e *Entry) SetOption(level, name uint32) {
	*(*[2]uint32)(unsafe.Pointer(&e.Addr)) = [2]uint32{level, name}
}

// Entry gives access to the fields, which the type that e is made of keeps to
// itself. The result points into e.
func (e *SQE) Entry() *Entry { return (*Entry)(unsafe.Pointer(e)) }
