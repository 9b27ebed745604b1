package ring

import "github.com/goproactor/goproactor/internal/queueabi"

// Completion flags (IORING_CQE_F_*).
const (
	CQEFBuffer       uint32 = 1 << 0 // the upper 16 bits name the provided buffer, or the piece of a ReceiveArea
	CQEFMore         uint32 = 1 << 1 // not the last completion of this entry
	CQEFSockNonEmpty uint32 = 1 << 2 // more data waited in the socket (Linux 5.19)
	CQEFNotif        uint32 = 1 << 3 // a zero-copy send's memory is free (Linux 6.0)
	CQEFBufMore      uint32 = 1 << 4 // the provided buffer has room left and stays with the group (Linux 6.12)
)

// CQE is a completion: UserData of its entry, a Result (a count, a descriptor, or a
// negative errno) and Flags.
type CQE queueabi.CQE

// BufferID is the provided buffer the completion filled, or the piece that it brings
// ([ReceiveArea]), if Flags has CQEFBuffer.
func (c *CQE) BufferID() uint16 { return uint16(c.Flags() >> 16) }

// More says that further completions of the same entry follow.
func (c *CQE) More() bool { return c.Flags()&CQEFMore != 0 }
