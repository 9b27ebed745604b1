package ring

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// MaxBufferRing is the largest number of entries of a BufferRing.
const MaxBufferRing = 32768

// BufferRing is the shared ring through which buffers are provided to a group
// (io_uring_register_buf_ring(3), Linux 5.19): the program adds buffers at the
// tail, receives take them from the head.
//
// A buffer added belongs to the queue until a completion names it with
// CQEFBuffer, or until the group is unregistered.
type BufferRing struct {
	entries     []bufferEntry
	mask        uint16
	tail        uint16
	published   uint16
	Incremental bool // receives consume a buffer piece by piece (IOU_PBUF_RING_INC, Linux 6.12)
}

// bufferEntry is struct io_uring_buf. In entry 0 resv is the ring's tail.
type bufferEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	resv uint16
}

// NewBufferRing makes a ring with room for n buffers, a power of two up to
// MaxBufferRing.
func NewBufferRing(n int) (*BufferRing, error) {
	if n < 1 || n > MaxBufferRing || n&(n-1) != 0 {
		return nil, fmt.Errorf("buffer ring of %d entries: want a power of two from 1 to %d", n, MaxBufferRing)
	}
	// The kernel wants the ring on a page boundary; pages are at most 64 KiB.
	const page = 64 << 10
	mem := make([]bufferEntry, n+page/int(unsafe.Sizeof(bufferEntry{})))
	skip := 0
	if rest := uintptr(unsafe.Pointer(&mem[0])) % page; rest != 0 {
		skip = int((page - rest) / unsafe.Sizeof(bufferEntry{}))
	}
	return &BufferRing{entries: mem[skip : skip+n : skip+n], mask: uint16(n - 1)}, nil
}

// Cap is the number of entries.
func (r *BufferRing) Cap() int { return len(r.entries) }

// Add provides p as buffer id. Receives see it after Publish. The caller
// keeps p reachable, and never has more than Cap buffers in the ring.
func (r *BufferRing) Add(p []byte, id uint16) {
	e := &r.entries[r.tail&r.mask]
	e.addr, e.len, e.bid = address(p), uint32(len(p)), id
	r.tail++
}

// Publish makes the buffers added so far visible to receives.
func (r *BufferRing) Publish() {
	if r.published == r.tail {
		return
	}
	r.published = r.tail
	// The tail shares an aligned word with the id of entry 0, which only this
	// side writes: one store sets both.
	atomic.StoreUint32(r.tailWord(), tailWord(r.entries[0].bid, r.tail))
}

func (r *BufferRing) tailWord() *uint32 {
	return (*uint32)(unsafe.Pointer(&r.entries[0].bid))
}

// Available counts published buffers past head; the fallback, which keeps the
// head itself, asks.
func (r *BufferRing) Available(head uint16) int { return int(r.published - head) }

// At is the buffer at position head. With Incremental, consuming n bytes of it
// is recorded by Consume.
func (r *BufferRing) At(head uint16) (addr uint64, n uint32, id uint16) {
	e := &r.entries[head&r.mask]
	return e.addr, e.len, e.bid
}

// Consume takes n bytes off the front of the buffer at position head, as the
// kernel does for an incremental ring, and returns what is left.
func (r *BufferRing) Consume(head uint16, n uint32) (left uint32) {
	e := &r.entries[head&r.mask]
	e.addr += uint64(n)
	e.len -= n
	return e.len
}
