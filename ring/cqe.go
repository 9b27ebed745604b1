package ring

import "unsafe"

// Completion flags (IORING_CQE_F_*).
const (
	CQEFBuffer       uint32 = 1 << 0 // the upper 16 bits name the provided buffer
	CQEFMore         uint32 = 1 << 1 // not the last completion of this entry
	CQEFSockNonEmpty uint32 = 1 << 2 // more data waited in the socket (Linux 5.19)
	CQEFNotif        uint32 = 1 << 3 // a zero-copy send's memory is free (Linux 6.0)
	CQEFBufMore      uint32 = 1 << 4 // the provided buffer has room left and stays with the group (Linux 6.12)
)

// cqe is struct io_uring_cqe, field by field.
type cqe struct {
	userData uint64
	result   int32
	flags    uint32
}

// NewCQE makes a completion; the fallback and tests do.
func NewCQE(userData uint64, result int32, flags uint32) CQE {
	c := cqe{userData, result, flags}
	return *(*CQE)(unsafe.Pointer(&c))
}

// BufferID is the provided buffer the completion filled, if Flags has
// CQEFBuffer.
func (c *CQE) BufferID() uint16 { return uint16(c.Flags() >> 16) }

// More says that further completions of the same entry follow.
func (c *CQE) More() bool { return c.Flags()&CQEFMore != 0 }
