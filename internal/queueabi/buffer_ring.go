package queueabi

import (
	"sync/atomic"
	"unsafe"
)

// BufferRing is the shared ring through which buffers are provided to a group. The
// program adds at the tail. Whoever performs receives takes from the head, and
// keeps the position of the head itself.
type BufferRing struct {
	entries     []bufferEntry
	mask        uint16
	tail        uint16
	published   uint16
	Incremental bool // receives consume a buffer piece by piece
}

// bufferEntry is struct io_uring_buf. In entry 0 resv is the ring's tail.
type bufferEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	resv uint16
}

// NewBufferRing makes a ring with room for n buffers, a power of two.
func NewBufferRing(n int) *BufferRing {
	// The kernel wants the ring on a page boundary; pages are at most 64 KiB.
	const page = 64 << 10
	mem := make([]bufferEntry, n+page/int(unsafe.Sizeof(bufferEntry{})))
	skip := 0
	if rest := uintptr(unsafe.Pointer(&mem[0])) % page; rest != 0 {
		skip = int((page - rest) / unsafe.Sizeof(bufferEntry{}))
	}
	return &BufferRing{entries: mem[skip : skip+n : skip+n], mask: uint16(n - 1)}
}

// Cap is the number of entries.
func (r *BufferRing) Cap() int { return len(r.entries) }

// Address is where the ring begins, for the kernel.
func (r *BufferRing) Address() uint64 { return uint64(uintptr(unsafe.Pointer(&r.entries[0]))) }

// Add provides the n bytes at an address as buffer id, once it is published.
func (r *BufferRing) Add(addr uint64, n int, id uint16) {
	e := &r.entries[r.tail&r.mask]
	e.addr, e.len, e.bid = addr, uint32(n), id
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

// Available counts the published buffers past head.
func (r *BufferRing) Available(head uint16) int { return int(r.published - head) }

// At is the buffer at position head.
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
