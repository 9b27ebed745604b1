package ring

import (
	"syscall"
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
	expects  bool // start takes for granted what those before it in its chain move
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
	return transfers(f) && int64(f.Off) == AtCursor && f.Flags&SQEFixedFile == 0
}

// transfers reports whether an entry reads or writes a file.
func transfers(f *queueabi.Entry) bool {
	switch Op(f.Opcode) {
	case OpRead, OpWrite, OpReadFixed, OpWriteFixed, OpReadv, OpWritev:
		return true
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

// noteCursor adds an entry that reads or writes at the cursor, if its file has one,
// and reports that. Of those in the set, the ones from chain on come before it in
// its chain: what they move is moved when it begins.
func (r *Ring) noteCursor(f *queueabi.Entry, chain int) (stored bool) {
	t := cursorTransfer{
		userData: f.UserData, length: transferLength(f), fd: f.FD,
		linked: f.Flags&(SQELink|SQEHardLink) != 0, writes: writes(f),
	}
	if r.streams.trusts(&t) {
		return false
	}
	start, errno := seek(f.FD, 0, unix.SEEK_CUR)
	if errno != 0 || !isStored(f.FD) {
		r.streams.add(&t)
		return false
	}
	t.start = start
	for _, before := range r.cursors[chain:] {
		if before.fd == t.fd {
			t.start, t.expects = before.start+int64(before.length), true
		}
	}
	r.cursors = append(r.cursors, t)
	return true
}

// moveCursor puts the cursor behind the n bytes that an entry moved, if the kernel
// has not. What comes behind a whole transfer in its chain has begun already, and
// may have closed the descriptor.
func (r *Ring) moveCursor(userData uint64, n int32) {
	t, ok := r.cursors.take(userData)
	if !ok {
		return
	}
	moved := uint64(max(n, 0))
	if moved < t.length {
		r.cursors.expectLess(t.fd, int64(t.length-moved))
	}
	if moved == 0 || t.linked && moved >= t.length {
		return
	}
	if now, errno := seek(t.fd, 0, unix.SEEK_CUR); errno == 0 && now == t.start {
		t.move(moved)
	}
}

// expectLess corrects where those begin that come behind a transfer in its chain,
// which has moved fewer bytes than it was asked to.
func (s cursorSet) expectLess(fd int32, by int64) {
	for i := range s {
		if s[i].fd == fd && s[i].expects {
			s[i].start -= by
		}
	}
}

// move puts the cursor behind n bytes more.
func (t *cursorTransfer) move(n uint64) {
	if t.writes && isAppending(t.fd) {
		seek(t.fd, 0, unix.SEEK_END)
		return
	}
	seek(t.fd, int64(n), unix.SEEK_CUR)
}

// seek is lseek(2), which does not block.
func seek(fd int32, offset int64, whence int) (int64, syscall.Errno) {
	if unsafe.Sizeof(uintptr(0)) == 4 {
		at, err := unix.Seek(int(fd), offset, whence)
		if err != nil {
			return at, err.(syscall.Errno)
		}
		return at, 0
	}
	at, _, errno := syscall.RawSyscall(unix.SYS_LSEEK, uintptr(fd), uintptr(offset), uintptr(whence))
	return int64(at), errno
}

// streamSet remembers descriptors without a cursor: an eventfd that wakes a loop and
// a pipe are read again and again, and asking each time costs up to a third of the
// read. A number may come to stand for a file without a word to the queue. So a
// transfer that trusts what is remembered is looked at again when it was cut, which
// is when the cursor matters.
type streamSet struct {
	places  [4]stream // by the low bits of the descriptor
	trusted int       // transfers in flight that trust a place
}

type stream struct {
	cursorTransfer // the last one that trusts it
	known, trusted bool
}

func (s *streamSet) at(fd int32) *stream { return &s.places[uint32(fd)%uint32(len(s.places))] }

// trusts reports whether t is known to have no cursor. One transfer at a time may
// trust a place.
func (s *streamSet) trusts(t *cursorTransfer) bool {
	p := s.at(t.fd)
	if !p.known || p.fd != t.fd || p.trusted {
		return false
	}
	p.cursorTransfer, p.trusted = *t, true
	s.trusted++
	return true
}

// add remembers that the descriptor of t has no cursor.
func (s *streamSet) add(t *cursorTransfer) {
	if p := s.at(t.fd); !p.trusted {
		p.cursorTransfer, p.known = *t, true
	}
}

// end is told of every completion while some are trusted.
func (s *streamSet) end(userData uint64, n int32) {
	for i := range s.places {
		p := &s.places[i]
		if !p.trusted || p.userData != userData {
			continue
		}
		p.trusted = false
		s.trusted--
		if n > 0 && (p.length == 0 || uint64(n) < p.length) && !p.stillKnown() {
			p.known = false
			p.recover(uint64(n))
		}
		return
	}
}

// stillKnown reports whether the descriptor still has no cursor.
func (p *stream) stillKnown() bool {
	_, errno := seek(p.fd, 0, unix.SEEK_CUR)
	return errno != 0 || !isStored(p.fd)
}

// recover moves the cursor of a file whose number stood for something else before,
// if the kernel has not: after a write that was cut it never has, after a read
// unless that was cut by the end of the file.
func (p *stream) recover(n uint64) {
	var stat unix.Stat_t
	now, errno := seek(p.fd, 0, unix.SEEK_CUR)
	if errno != 0 || p.length == 0 || !p.writes && (unix.Fstat(int(p.fd), &stat) != nil || now >= stat.Size) {
		return
	}
	p.move(n)
}

// isAppending reports whether what is written to a descriptor goes to the end.
func isAppending(fd int32) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_APPEND != 0
}
