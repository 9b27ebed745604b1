package queueabi

import (
	"sync/atomic"
	"unsafe"

	"github.com/goproactor/goproactor/internal/fifo"
)

// ReceiveArea is memory that zero-copy receives put bytes into, in chunks, with the
// refill ring through which a program gives chunks back. The program adds at the tail
// of that ring; whoever performs receives takes from the head.
type ReceiveArea struct {
	memory    []byte
	refill    []byte // what the refill ring lies in, from a page boundary on
	chunkSize int
	taken     bool // a queue has it
	used      bool // a queue has it, or had it

	head, tail *uint32
	entries    []refillEntry
	added      uint32             // the tail, before it is published
	waiting    fifo.Queue[uint64] // given back when the ring had no room

	pieces []piece
	unused []uint16 // numbers of pieces that are not out
}

// piece is what one completion brought, until it is given back.
type piece struct {
	offset uint64
	length uint32
	out    bool
}

// MaxPieces is how many pieces have a number at a time.
const MaxPieces = 1 << 16

// refillEntry is struct io_uring_zcrx_rqe.
type refillEntry struct {
	offset uint64
	length uint32
	_      uint32
}

const (
	refillHeader  = 64    // bytes before the entries
	maxRefillRing = 32768 // entries, IO_RQ_MAX_ENTRIES
)

// RefillEntries is the size of the refill ring for an area of so many chunks.
func RefillEntries(chunks int) int {
	n := 1
	for n < chunks && n < maxRefillRing {
		n <<= 1
	}
	return n
}

// RefillSize is how many bytes it takes, whole pages.
func RefillSize(chunks, page int) int {
	n := refillHeader + RefillEntries(chunks)*int(unsafe.Sizeof(refillEntry{}))
	return (n + page - 1) / page * page
}

// NewReceiveArea makes an area of memory, whose length is that of whole chunks.
func NewReceiveArea(memory, refill []byte, chunkSize int) *ReceiveArea {
	a := &ReceiveArea{memory: memory, refill: refill, chunkSize: chunkSize}
	a.Place(0, 4, refillHeader)
	a.pieces = make([]piece, 0, min(2*a.Chunks(), MaxPieces))
	a.unused = make([]uint16, 0, cap(a.pieces))
	return a
}

// Place says where in that memory its parts are: offsets in bytes.
func (a *ReceiveArea) Place(head, tail, entries uint32) {
	word := func(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&a.refill[at])) }
	a.head, a.tail = word(head), word(tail)
	a.entries = unsafe.Slice((*refillEntry)(unsafe.Pointer(&a.refill[entries])), RefillEntries(a.Chunks()))
	a.added = *a.tail
}

// Memory is what the chunks lie in, nil once it is dropped.
func (a *ReceiveArea) Memory() []byte { return a.memory }

// Refill is what the refill ring lies in.
func (a *ReceiveArea) Refill() []byte { return a.refill }

// ChunkSize is the size of a chunk in bytes.
func (a *ReceiveArea) ChunkSize() int { return a.chunkSize }

// Chunks is how many there are.
func (a *ReceiveArea) Chunks() int { return len(a.memory) / a.chunkSize }

// IsTaken reports whether a queue has it.
func (a *ReceiveArea) IsTaken() bool { return a.taken }

// IsUsed reports whether a queue has it, or had it.
func (a *ReceiveArea) IsUsed() bool { return a.used }

// Take is told whether a queue has it.
func (a *ReceiveArea) Take(taken bool) { a.taken, a.used = taken, true }

// Drop forgets the memory, and all pieces with it.
func (a *ReceiveArea) Drop() { *a = ReceiveArea{chunkSize: a.chunkSize} }

// HasNumber reports whether Name has a number left.
func (a *ReceiveArea) HasNumber() bool { return len(a.unused) > 0 || len(a.pieces) < MaxPieces }

// Name gives bytes that came a number, until it is given back. It has none if
// MaxPieces are out.
func (a *ReceiveArea) Name(offset uint64, length uint32) (id uint16, ok bool) {
	switch n := len(a.unused); {
	case n > 0:
		id, a.unused = a.unused[n-1], a.unused[:n-1]
	case len(a.pieces) == MaxPieces:
		return 0, false
	default:
		id = uint16(len(a.pieces))
		a.pieces = append(a.pieces, piece{})
	}
	a.pieces[id] = piece{offset: offset, length: length, out: true}
	return id, true
}

// Piece is where the bytes of a number are, of length 0 if it is not out.
func (a *ReceiveArea) Piece(id uint16) (offset uint64, length uint32) {
	if int(id) >= len(a.pieces) || !a.pieces[id].out {
		return 0, 0
	}
	return a.pieces[id].offset, a.pieces[id].length
}

// Return gives back a piece, once it is published. It reports whether it was out.
func (a *ReceiveArea) Return(id uint16) bool {
	if int(id) >= len(a.pieces) || !a.pieces[id].out {
		return false
	}
	a.pieces[id].out = false
	a.unused = append(a.unused, id)
	a.waiting.Push(a.pieces[id].offset)
	return true
}

// Publish makes what was given back visible to receives, as much as the ring has room for.
func (a *ReceiveArea) Publish() {
	if a.memory == nil {
		return
	}
	size := uint32(len(a.entries))
	for a.waiting.Len() > 0 && a.added-atomic.LoadUint32(a.head) < size {
		a.entries[a.added&(size-1)] = refillEntry{offset: a.waiting.Take()}
		a.added++
	}
	atomic.StoreUint32(a.tail, a.added)
}

// Refilled takes the next chunk that was given back, by an offset into it.
func (a *ReceiveArea) Refilled() (offset uint64, ok bool) {
	head := *a.head
	if head == atomic.LoadUint32(a.tail) {
		return 0, false
	}
	offset = a.entries[head&uint32(len(a.entries)-1)].offset
	atomic.StoreUint32(a.head, head+1)
	return offset, true
}
