package ring

import (
	"fmt"
	"syscall"

	"github.com/goproactor/goproactor/internal/queueabi"
)

// MaxReceiveChunks is the largest number of chunks of a ReceiveArea.
const MaxReceiveChunks = queueabi.MaxPieces

// ReceiveArea is memory into which a receive queue of a network card puts what it
// receives, so that nothing copies it (zero-copy receive, Linux 6.15). NewReceiveArea makes one, and [Queue.RegisterReceiveArea] gives it to a
// queue. Entries that [SQE.PrepRecvZC] makes receive into it:
//
//	piece := cqe.BufferID() // of a completion with CQEFBuffer
//	use(area.Bytes(piece))
//	area.Return(piece)
//	area.Publish()
//
// An area consists of chunks, each a page. A piece lies within one of them and is the
// program's until Return; the bytes around it may be pieces of other connections, and are
// not the program's to write. A program that returns nothing runs out of chunks.
//
// It belongs to the goroutine of its queue, as that does. No machine of this project has
// a card that can do this: on io_uring it is not tested beyond what the kernel says of
// other interfaces and the reading of completions. The fallback copies, as recv(2) does.
type ReceiveArea queueabi.ReceiveArea

func (a *ReceiveArea) abi() *queueabi.ReceiveArea { return (*queueabi.ReceiveArea)(a) }

// Chunks is the number of chunks.
func (a *ReceiveArea) Chunks() int { return a.abi().Chunks() }

// ChunkSize is the size of a chunk in bytes, and the longest a piece can be.
func (a *ReceiveArea) ChunkSize() int { return a.abi().ChunkSize() }

// Offset is where in the area a piece begins, in bytes.
func (a *ReceiveArea) Offset(piece uint16) int {
	offset, _ := a.abi().Piece(piece)
	return int(offset)
}

// Bytes are what a piece consists of, nil if the program does not have it. They are
// valid until Return, or Close.
func (a *ReceiveArea) Bytes(piece uint16) []byte {
	offset, n := a.abi().Piece(piece)
	if n == 0 {
		return nil
	}
	return a.abi().Memory()[offset : offset+uint64(n) : offset+uint64(n)]
}

// Return gives a piece back to receives, which see it after Publish. A piece that the
// program does not have is left alone.
func (a *ReceiveArea) Return(piece uint16) { a.abi().Return(piece) }

// Publish makes the pieces returned so far visible to receives. Those that the refill ring
// has no room for, since the card has not taken others yet, follow with the next Publish.
func (a *ReceiveArea) Publish() { a.abi().Publish() }

// PrepRecvZC receives again and again into the area that is registered with the queue
// ([Queue.RegisterReceiveArea]), from a TCP connection whose packets the receive queue of
// the card gets. Each completion with CQEFMore brings a piece: Result is its length and
// BufferID its number. What comes another way the kernel copies into a chunk. The last
// completion brings none. Its Result is
//
//   - 0 at the end of the stream, or when limit bytes have come, if limit is not 0;
//   - -ENOMEM if bytes were to be copied and no chunk was free: they are still there. Return
//     pieces, and arm it again;
//   - -ENOSPC if the completion queue was full: arm it again;
//   - -ECANCELED, or what recv(2) fails with.
//
// ENOTSOCK, and EPROTONOSUPPORT if it is no TCP connection. EINVAL without an area, EACCES on a
// queue that was opened without ZeroCopyReceive. What is linked to it starts whatever it
// ends with. Its user data is that of no entry of another kind in flight: the completions
// of the kernel do not say what they are of. Linux 6.15.
func (e *SQE) PrepRecvZC(fd int, limit uint32) {
	e.PrepOperation(uint8(OpRecvZC), int32(fd), 0, limit, 0)
	e.SetIoprio(RecvMultishot)
}

func receiveChunksError(n int) error {
	return fmt.Errorf("receive area of %d chunks: %w (want 1 to %d)", n, syscall.EINVAL, MaxReceiveChunks)
}
