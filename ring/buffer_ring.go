package ring

import (
	"fmt"

	"github.com/goproactor/goproactor/internal/queueabi"
)

// MaxBufferRing is the largest number of entries of a BufferRing.
const MaxBufferRing = 32768

// BufferRing is the shared ring through which buffers are provided to a group
// (io_uring_register_buf_ring(3), Linux 5.19): the program adds buffers at the
// tail, receives take them from the head. NewBufferRing makes one.
//
// Its one field is Incremental. When it is set before the ring is registered,
// receives consume a buffer piece by piece (IOU_PBUF_RING_INC, Linux 6.12).
//
// A buffer added belongs to the queue until a completion names it with
// CQEFBuffer, or until the group is unregistered.
type BufferRing queueabi.BufferRing

// NewBufferRing makes a ring with room for n buffers, a power of two up to
// MaxBufferRing.
func NewBufferRing(n int) (*BufferRing, error) {
	if n < 1 || n > MaxBufferRing || n&(n-1) != 0 {
		return nil, fmt.Errorf("buffer ring of %d entries: want a power of two from 1 to %d", n, MaxBufferRing)
	}
	return (*BufferRing)(queueabi.NewBufferRing(n)), nil
}

func (r *BufferRing) abi() *queueabi.BufferRing { return (*queueabi.BufferRing)(r) }

// Cap is the number of entries.
func (r *BufferRing) Cap() int { return r.abi().Cap() }

// Add provides p as buffer id. Receives see it after Publish. The caller
// keeps p reachable, and never has more than Cap buffers in the ring.
func (r *BufferRing) Add(p []byte, id uint16) { r.abi().Add(address(p), int(length(p)), id) }

// Publish makes the buffers added so far visible to receives.
func (r *BufferRing) Publish() { r.abi().Publish() }
