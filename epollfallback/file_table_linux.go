package epollfallback

import (
	"fmt"
	"math/bits"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Direct descriptors. Here a file cannot do without a number of the process, so a
// slot stands for one that is ours: closed on exec, far from those that the
// program is given, and refused where an entry names it (isPrivate). An operation
// finds the number when it starts; what it has parked or given to a worker keeps
// the file, as with the kernel's ring, when the slot has long been emptied.

// fileTable is the table of direct descriptors.
type fileTable struct {
	slots []int32 // numbers; nil without a table
	taken bitmap  // slots
	hint  int     // where AnySlot begins to look
}

// emptySlot is in slots what no file is in.
const emptySlot int32 = -1

// at is the number behind a slot, emptySlot if there is none.
func (t *fileTable) at(slot int32) int32 {
	if uint32(slot) < uint32(len(t.slots)) {
		return t.slots[slot]
	}
	return emptySlot
}

// choose finds the slot that an entry asks for: its number + 1, or all bits for
// any, which is the one that the kernel's ring takes.
func (t *fileTable) choose(index uint32) (int, unix.Errno) {
	switch {
	case index == ^uint32(0):
		if slot := t.any(); slot >= 0 {
			return slot, 0
		}
		return 0, unix.ENFILE
	case t.slots == nil:
		return 0, unix.ENXIO
	case uint64(index) > uint64(len(t.slots)):
		return 0, unix.EINVAL
	}
	return int(index) - 1, 0
}

// any is the first empty slot from where one was filled or emptied last, -1 if
// there is none.
func (t *fileTable) any() int {
	slot := t.taken.nextClear(t.hint, len(t.slots))
	if slot < 0 {
		slot = t.taken.nextClear(0, min(t.hint, len(t.slots)))
		t.hint = 0
	}
	return slot
}

// put puts a number into a slot and returns the one that was there.
func (t *fileTable) put(slot int, fd int32) (old int32) {
	old = t.slots[slot]
	t.slots[slot] = fd
	switch {
	case old == emptySlot && fd != emptySlot:
		t.taken.set(slot)
		t.hint = slot + 1
	case old != emptySlot && fd == emptySlot:
		t.taken.clear(slot)
		t.hint = slot
	}
	return old
}

// RegisterFiles implements ring.Queue.
func (q *Queue) RegisterFiles(n int) error {
	var limit unix.Rlimit
	switch {
	case q.closed:
		return errClosed
	case n < 1 || n > ring.MaxFiles:
		return fmt.Errorf("register a table of %d files: %w (want 1 to %d)", n, unix.EINVAL, ring.MaxFiles)
	case q.files.slots != nil:
		return fmt.Errorf("register a table of %d files: %w", n, unix.EBUSY)
	case unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && uint64(n) > limit.Cur:
		return fmt.Errorf("register a table of %d files: %w (RLIMIT_NOFILE is %d: raise it, or have fewer)", n, unix.EMFILE, limit.Cur)
	}
	q.files = fileTable{slots: make([]int32, n), taken: newBitmap(n)}
	for i := range q.files.slots {
		q.files.slots[i] = emptySlot
	}
	return nil
}

// UpdateFiles implements ring.Queue.
func (q *Queue) UpdateFiles(first int, fds []int32) (int, error) {
	refused := func(errno unix.Errno, why string) (int, error) {
		return 0, fmt.Errorf("register %d files from slot %d on: %w (%s)", len(fds), first, errno, why)
	}
	switch {
	case q.closed:
		return 0, errClosed
	case first >= 0 && len(fds) > 0 && q.files.slots == nil:
		return refused(unix.ENXIO, "there is no table: RegisterFiles makes one")
	case first < 0 || len(fds) == 0 || first > len(q.files.slots)-len(fds):
		return refused(unix.EINVAL, "want one or more, all within the table")
	}
	for i, fd := range fds {
		if errno := q.updateFile(first+i, fd); errno != 0 {
			if i > 0 {
				return i, nil
			}
			return refused(errno, fmt.Sprintf("descriptor %d", fd))
		}
	}
	return len(fds), nil
}

// updateFile puts the file of a number into a slot. As with the kernel, a slot is
// emptied before the number turns out to be none.
func (q *Queue) updateFile(slot int, fd int32) unix.Errno {
	const skip = -2 // IORING_REGISTER_FILES_SKIP
	if fd == skip {
		return 0
	}
	if old := q.files.put(slot, emptySlot); old != emptySlot && !q.outlives(old) {
		q.closeNumber(old)
	}
	if fd == ring.EmptySlot {
		return 0
	}
	if q.isPrivate(fd) {
		return unix.EBADF
	}
	hidden, errno := q.duplicate(fd)
	if errno == 0 {
		q.files.put(slot, q.hide(hidden))
	}
	return errno
}

// UnregisterFiles implements ring.Queue.
func (q *Queue) UnregisterFiles() error {
	switch {
	case q.closed:
		return errClosed
	case q.files.slots == nil:
		return fmt.Errorf("unregister files: %w", unix.ENXIO)
	}
	q.closeFiles()
	return nil
}

// closeFiles ends the table.
func (q *Queue) closeFiles() {
	for _, fd := range q.files.slots {
		if fd != emptySlot && !q.outlives(fd) {
			q.closeNumber(fd)
		}
	}
	q.files = fileTable{}
}

// install puts a file that was just made into the slot that an entry asks for, and
// returns the entry's result. A file that gets none is closed.
func (q *Queue) install(fd int32, index uint32) int32 {
	slot, errno := q.files.choose(index)
	if errno != 0 {
		q.closing = append(q.closing, fd)
		return -int32(errno)
	}
	if high, errno := q.duplicate(fd); errno == 0 {
		q.raw(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0)
		fd = high
	}
	if old := q.files.put(slot, q.hide(fd)); old != emptySlot {
		q.expel(old)
	}
	if index == ^uint32(0) {
		return int32(slot)
	}
	return 0
}

// expel lets go of a file that was in a slot, on the way out of Enter as closeFile
// does.
func (q *Queue) expel(fd int32) {
	if !q.outlives(fd) {
		q.closing = append(q.closing, fd)
	}
}

// outlives reports whether operations are in flight on a file that has lost its
// slot: the last of them closes it.
func (q *Queue) outlives(fd int32) bool {
	d := q.lookup(fd)
	if d == nil || d.users == 0 {
		return false
	}
	d.owned = true
	return true
}

// hide notes that a number is ours.
func (q *Queue) hide(fd int32) int32 {
	q.fresh(fd)
	q.hidden.grow(int(fd) + 1)
	q.hidden.set(int(fd))
	return fd
}

// duplicate gives a file a number far from those that the program is given, which
// are the lowest: one that it has closed and uses by mistake is not that of a file
// of ours. Where none is free up there, any will do.
func (q *Queue) duplicate(fd int32) (int32, unix.Errno) {
	if q.heights == 0 {
		q.heights = heights()
	}
	dup, errno := q.raw(unix.SYS_FCNTL, uintptr(fd), unix.F_DUPFD_CLOEXEC, uintptr(q.heights), 0, 0, 0)
	if errno == unix.EMFILE || errno == unix.EINVAL { // all taken; or the limit is lower by now
		dup, errno = q.raw(unix.SYS_FCNTL, uintptr(fd), unix.F_DUPFD_CLOEXEC, 0, 0, 0, 0)
	}
	return int32(dup), errno
}

// heights is where our numbers begin: half-way to the limit, but not so far that
// tables by number, the kernel's among them, would take much memory.
func heights() int {
	const far = 1 << 14
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1
	}
	return int(max(1, min(limit.Cur/2, far)))
}

// resolve finds the file of an operation when it starts.
func (q *Queue) resolve(op *operation) unix.Errno {
	switch {
	case op.resolved:
		return 0
	case op.sqeFlags&ring.SQEFixedFile == 0 && q.isPrivate(op.fd):
		return unix.EBADF
	case op.sqeFlags&ring.SQEFixedFile != 0:
		fd := q.files.at(op.fd)
		if fd == emptySlot {
			return unix.EBADF
		}
		op.fd = fd
	}
	op.resolved = true
	return 0
}

// takeSlot notes that an entry wants its file in a slot. flag is the one that
// closes a descriptor on exec: an entry for a slot may not have it, and here its
// number must.
func (op *operation) takeSlot(f *queueabi.Entry, flags *uint32, flag uint32) unix.Errno {
	if f.SpliceFD == 0 {
		return 0
	}
	if *flags&flag != 0 {
		return unix.EINVAL
	}
	op.slot = uint32(f.SpliceFD)
	*flags |= flag
	return 0
}

// What a success brings to the program, if it is not the address of two descriptors.
const (
	broughtNothing  = 0
	broughtInResult = 1
)

// brings tells what a success of op brings.
func (op *operation) brings() uint64 {
	switch brings := op.opcode.Brings(); {
	case brings == 0 || op.slot != 0:
		return broughtNothing
	case brings == 1:
		return broughtInResult
	}
	return op.addr
}

// bring makes what an entry asked for of a new file: a descriptor or a slot.
func (q *Queue) bring(op *operation, fd int32) int32 {
	q.fresh(fd)
	if op.slot != 0 {
		return q.install(fd, op.slot)
	}
	return fd
}

func (q *Queue) closeSlot(op *operation) outcome {
	slot := int64(op.slot) - 1
	switch {
	case q.files.slots == nil:
		return op.endError(unix.ENXIO)
	case slot >= int64(len(q.files.slots)):
		return op.endError(unix.EINVAL)
	case q.files.slots[slot] == emptySlot:
		return op.endError(unix.EBADF)
	}
	q.expel(q.files.put(int(slot), emptySlot))
	return op.end(0)
}

func (q *Queue) prepareInstall(op *operation, f *queueabi.Entry) unix.Errno {
	switch {
	case f.Off != 0 || f.Addr != 0 || f.Len != 0 || f.BufGroup != 0 || f.SpliceFD != 0 || f.Addr3 != 0:
		return unix.EINVAL
	case f.Flags&ring.SQEFixedFile == 0:
		return unix.EBADF
	}
	return invalidIf(f.OpFlags&^ring.InstallInherited != 0)
}

// installNumber gives the file in a slot a number that the program may use.
func (q *Queue) installNumber(op *operation) outcome {
	how := uintptr(unix.F_DUPFD_CLOEXEC)
	if op.opFlags&ring.InstallInherited != 0 {
		how = unix.F_DUPFD
	}
	fd, errno := q.raw(unix.SYS_FCNTL, uintptr(op.fd), how, 0, 0, 0, 0)
	if errno != 0 {
		return op.endError(errno)
	}
	q.fresh(int32(fd))
	return op.end(int32(fd))
}

// bitmap is a set of small numbers.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, (n+63)/64) }

// grow makes room for n numbers.
func (b *bitmap) grow(n int) {
	for len(*b)*64 < n {
		*b = append(*b, 0)
	}
}

func (b bitmap) set(i int)   { b[i/64] |= 1 << (i % 64) }
func (b bitmap) clear(i int) { b[i/64] &^= 1 << (i % 64) }

func (b bitmap) has(i int32) bool {
	word := uint32(i) / 64
	return word < uint32(len(b)) && b[word]&(1<<(uint32(i)%64)) != 0
}

// nextClear is the first number from start to before end that is not in b, -1 if
// there is none.
func (b bitmap) nextClear(start, end int) int {
	for i := start; i < end; i = (i/64 + 1) * 64 {
		if free := ^b[i/64] >> (i % 64); free != 0 {
			if i += bits.TrailingZeros64(free); i < end {
				return i
			}
			return -1
		}
	}
	return -1
}
