package epollfallback

import (
	"fmt"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// A zero-copy receive is a receive here, which copies into chunks that are free: what
// the kernel's ring does with bytes that came another way than through its card.

// receiveArea is an area, and the chunks of it that are free.
type receiveArea struct {
	*queueabi.ReceiveArea
	free []uint32 // by number, the next one last
	out  bitmap   // those that the program has
}

// RegisterReceiveArea implements ring.Queue. Bytes come from any interface.
func (q *Queue) RegisterReceiveArea(device string, queue int, a *ring.ReceiveArea) error {
	area := (*queueabi.ReceiveArea)(a)
	refused := func(err error, why string) error {
		return fmt.Errorf("register receive queue %d of %s: %w (%s)", queue, device, err, why)
	}
	switch {
	case q.closed:
		return errClosed
	case !q.receives:
		return refused(unix.EINVAL, "open the queue with ZeroCopyReceive")
	case area == nil || area.Memory() == nil || queue < 0:
		return refused(unix.EINVAL, "no area, make one with NewReceiveArea, or no queue")
	case area.IsUsed() || q.area != nil:
		return refused(unix.EBUSY, "a queue has one area, and an area one queue, once and for all")
	}
	if _, err := queueabi.InterfaceIndex(device); err != nil {
		return refused(err, "there is no such interface")
	}
	area.Take(true)
	q.area = &receiveArea{ReceiveArea: area, out: newBitmap(area.Chunks())}
	for n := area.Chunks() - 1; n >= 0; n-- {
		q.area.free = append(q.area.free, uint32(n))
	}
	return nil
}

// chunk is a free chunk, the one that was given back last if there are several. What the
// program gave back is looked at when no other is left.
func (a *receiveArea) chunk() (n uint32, ok bool) {
	for len(a.free) == 0 {
		offset, ok := a.Refilled()
		if !ok {
			return 0, false
		}
		// The refill ring is memory of the program: what is no chunk, or is free
		// already, is passed over, as in the kernel.
		if n := offset / uint64(a.ChunkSize()); n < uint64(a.Chunks()) && a.out.has(int32(n)) {
			a.out.clear(int(n))
			a.free = append(a.free, uint32(n))
		}
	}
	return a.free[len(a.free)-1], true
}

// take makes the chunk that chunk saw the program's, with n bytes in it, and returns the
// flags that say so.
func (a *receiveArea) take(n uint32) (flags uint32) {
	chunk := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	a.out.set(int(chunk))
	// There is a number: a chunk is one piece, and there are no more chunks than numbers.
	id, _ := a.Name(uint64(chunk)*uint64(a.ChunkSize()), n)
	return ring.CQEFBuffer | uint32(id)<<16
}

func (q *Queue) prepareRecvZC(_ *operation, f *queueabi.Entry) unix.Errno {
	const flags = ring.RecvSendPollFirst | ring.RecvMultishot
	if !q.receives {
		return unix.EACCES // as a ring that is restricted
	}
	return invalidIf(q.area == nil || f.SpliceFD != 0 || f.Addr != 0 || f.Off != 0 || f.Addr3 != 0 || f.OpFlags != 0 ||
		f.Ioprio&^flags != 0 || f.Ioprio&ring.RecvMultishot == 0)
}

// recvZC receives until nothing is left, no chunk is free, the stream is over, as much
// has come as was asked for, or others want their turn.
func (q *Queue) recvZC(op *operation) outcome {
	if op.pollsFirst() {
		return q.pollFirst(op)
	}
	if !op.waited {
		switch protocol, errno := q.getsockopt(op.fd, unix.SO_PROTOCOL); {
		case errno != 0:
			return op.endError(errno)
		case protocol != unix.IPPROTO_TCP:
			return op.endUnbroken(unix.EPROTONOSUPPORT)
		}
	}
	for posted := 0; posted < multishotBudget; posted++ {
		chunk, ok := q.area.chunk()
		if !ok {
			return q.noChunks(op)
		}
		room := uint32(q.area.ChunkSize())
		if op.len != 0 && op.len < room {
			room = op.len
		}
		start := uint64(chunk) * uint64(q.area.ChunkSize())
		n, left, errno := q.recvAndLook(op, uint64(addressOf(&q.area.Memory()[start])), room)
		switch {
		case errno == unix.EAGAIN:
			return blocked
		case errno != 0:
			return op.endUnbroken(errno)
		case n == 0:
			return op.end(0)
		}
		q.post(op, int32(n), ring.CQEFMore|q.area.take(n))
		if op.len != 0 {
			if op.len -= n; op.len == 0 {
				return op.end(0)
			}
		}
		switch {
		case left == nothing && q.signalled(op.fd) == 0:
			return blocked
		case left != some && n < room && !op.waited:
			if o := q.pauseAtEnd(op); o != finished {
				return o
			}
		}
	}
	return yielded
}

// noChunks is a receive for which no chunk is free. Only if there is something to copy
// does that end it.
func (q *Queue) noChunks(op *operation) outcome {
	q.scratch.value = 0
	n, errno := q.recvfrom(op.fd, uint64(addressOf(&q.scratch.value)), 1, unix.MSG_PEEK)
	switch {
	case errno == unix.EAGAIN:
		return blocked
	case errno == 0 && n == 0:
		return op.end(0)
	case errno == 0:
		errno = unix.ENOMEM
	}
	return op.endUnbroken(errno)
}

// endUnbroken is endError of an operation whose failure breaks no chain.
func (op *operation) endUnbroken(errno unix.Errno) outcome {
	op.endError(errno)
	op.failed = false
	return finished
}
