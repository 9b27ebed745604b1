package ring

import (
	"io"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"golang.org/x/sys/unix"
)

// cursorSet is the reads and writes at a file's cursor that are in flight.
//
// read(2) and write(2) leave the cursor behind the bytes that they moved. The
// kernel's ring does so only if the last attempt of an operation ends without an
// error and at once. Seen on Linux 6.18:
//
//   - a write that fits only in part is tried again for the rest; that attempt
//     fails (ENOSPC, EFBIG, EFAULT, EIO), the result is the bytes written, and the
//     cursor is where it was before them (kiocb_done in io_uring/rw.c);
//   - a read that an error cuts, likewise; one that the end of the file cuts moves
//     the cursor;
//   - what is canceled between two attempts, likewise;
//   - a transfer with O_DIRECT that waits for its device never moves it.
//
// Nothing in a completion tells these apart. So the queue notes where the cursor
// is when it hands over the entry, and moves it when the completion is reaped and
// the kernel has not. A loop has few of these in flight: a slice will do.
type cursorSet []cursorTransfer

type cursorTransfer struct {
	userData uint64
	start    int64  // where the cursor is when it begins
	length   uint64 // bytes asked for
	fd       int32
	linked   bool // others follow in its chain
	writes   bool
}

// take removes and returns one with that user data.
func (s *cursorSet) take(userData uint64) (t cursorTransfer, ok bool) {
	for i := range *s {
		if (*s)[i].userData == userData {
			t = (*s)[i]
			last := len(*s) - 1
			copy((*s)[i:], (*s)[i+1:]) // in the order of submission, as completions mostly come
			*s = (*s)[:last]
			return t, true
		}
	}
	return t, false
}

// atCursor reports whether an entry reads or writes at the cursor of a descriptor.
// A file in a slot has no number by which its cursor could be asked for.
func atCursor(f *queueabi.Entry) bool {
	switch Op(f.Opcode) {
	case OpRead, OpWrite, OpReadFixed, OpWriteFixed, OpReadv, OpWritev:
		return int64(f.Off) == AtCursor && f.Flags&SQEFixedFile == 0
	}
	return false
}

func writes(f *queueabi.Entry) bool {
	return Op(f.Opcode) == OpWrite || Op(f.Opcode) == OpWriteFixed || Op(f.Opcode) == OpWritev
}

// transferLength is how many bytes a read or write asks for. With a provided
// buffer it is not known.
func transferLength(f *queueabi.Entry) (n uint64) {
	switch {
	case Op(f.Opcode) != OpReadv && Op(f.Opcode) != OpWritev:
		return uint64(f.Len)
	case f.Addr == 0 || f.Len > maxPieces:
		return 0 // which the kernel refuses
	}
	for _, v := range unsafe.Slice(*(**Iovec)(unsafe.Pointer(&f.Addr)), f.Len) {
		n += uint64(v.Len)
	}
	return n
}

// maxPieces is UIO_MAXIOV, the longest vector that the kernel takes.
const maxPieces = 1024

// isStored reports whether a descriptor is that of a regular file or a block
// device. Only with those does the kernel's ring go on after a transfer that was
// cut, and only those keep a worker of the kernel's busy. Pipes, terminals and
// eventfds are waited for by poll.
func isStored(fd int32) bool {
	var stat unix.Stat_t
	if unix.Fstat(int(fd), &stat) != nil {
		return false
	}
	kind := stat.Mode & unix.S_IFMT
	return kind == unix.S_IFREG || kind == unix.S_IFBLK
}

// noteCursor adds an entry that reads or writes at a cursor. Of those in the set,
// the ones from chain on come before it in its chain: what they move is moved when
// it begins.
func (r *Ring) noteCursor(f *queueabi.Entry, chain int) {
	start, err := unix.Seek(int(f.FD), 0, io.SeekCurrent)
	if err != nil {
		return
	}
	for _, t := range r.cursors[chain:] {
		if t.fd == f.FD {
			start = t.start + int64(t.length)
		}
	}
	r.cursors = append(r.cursors, cursorTransfer{
		userData: f.UserData, start: start, length: transferLength(f), fd: f.FD,
		linked: f.Flags&(SQELink|SQEHardLink) != 0, writes: writes(f),
	})
}

// moveCursor puts the cursor behind the n bytes that an entry moved, if the kernel
// has not. What comes behind a whole transfer in its chain has begun already, and
// may have closed the descriptor.
func (r *Ring) moveCursor(userData uint64, n int32) {
	t, ok := r.cursors.take(userData)
	if !ok || n <= 0 || t.linked && uint64(n) >= t.length {
		return
	}
	now, err := unix.Seek(int(t.fd), 0, io.SeekCurrent)
	if err != nil || now != t.start {
		return
	}
	if t.writes && isAppending(t.fd) {
		unix.Seek(int(t.fd), 0, io.SeekEnd)
		return
	}
	unix.Seek(int(t.fd), int64(n), io.SeekCurrent)
}

// isAppending reports whether what is written to a descriptor goes to the end.
func isAppending(fd int32) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_APPEND != 0
}
