package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"golang.org/x/sys/unix"
)

func (q *Queue) preparePipe(op *operation, f *queueabi.Entry) unix.Errno {
	const flags = unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_DIRECT | unix.O_EXCL // O_NOTIFICATION_PIPE
	op.slot = uint32(f.SpliceFD)
	return invalidIf(f.FD != 0 || f.Off != 0 || f.Addr3 != 0 || f.OpFlags&^flags != 0)
}

func endsAt(addr uint64) *[2]int32 { return (*[2]int32)(pointer(addr)) }

// pipe makes a pipe for the program, or for two slots.
func (q *Queue) pipe(op *operation) outcome {
	if op.slot != 0 {
		return q.pipeInSlots(op)
	}
	if _, errno := q.raw(unix.SYS_PIPE2, uintptr(op.addr), uintptr(op.opFlags), 0, 0, 0, 0); errno != 0 {
		return op.endError(errno)
	}
	for _, fd := range endsAt(op.addr) {
		q.fresh(fd)
	}
	return op.end(0)
}

// pipeInSlots puts the end to read from into the slot that the entry asks for, and
// the other one into the next.
func (q *Queue) pipeInSlots(op *operation) outcome {
	if op.opFlags&unix.O_CLOEXEC != 0 {
		return op.endError(unix.EINVAL) // which the kernel's ring finds only now
	}
	ends := &q.scratch.ends
	if _, errno := q.raw(unix.SYS_PIPE2, addressOf(ends), uintptr(op.opFlags|unix.O_CLOEXEC), 0, 0, 0, 0); errno != 0 {
		return op.endError(errno)
	}
	for _, fd := range ends {
		q.fresh(fd)
	}
	const any = ^uint32(0)
	index, slots := op.slot, [2]int32{}
	for i, fd := range ends {
		result := q.install(fd, index)
		if result < 0 {
			if i == 0 {
				q.closing = append(q.closing, ends[1])
			} else {
				q.expel(q.files.put(int(slots[0]), emptySlot))
			}
			return op.end(result)
		}
		slots[i] = result
		if index != any {
			slots[i] = int32(index) - 1
			index++
		}
	}
	*endsAt(op.addr) = slots
	return op.end(0)
}

// closeEnds closes the pipe of a completion that nobody took.
func closeEnds(addr uint64) {
	for _, fd := range endsAt(addr) {
		unix.Close(int(fd))
	}
}
