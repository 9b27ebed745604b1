package epollfallback

import (
	"math"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Operations on files and names. Names are looked up by a worker. Bytes that
// are in the page cache are read at once, without one.

func (q *Queue) prepareVector(op *operation, f *queueabi.Entry) unix.Errno {
	switch {
	case f.Len > maxVector:
		return unix.EINVAL
	case f.Addr == 0 && f.Len > 0:
		return unix.EFAULT
	}
	return q.prepareReadWrite(op, f)
}

func (q *Queue) prepareFsync(op *operation, f *queueabi.Entry) unix.Errno {
	if f.Addr != 0 || f.BufGroup != 0 || f.SpliceFD != 0 || f.OpFlags&^ring.FsyncDataSync != 0 || f.Off != 0 || f.Len != 0 {
		return unix.EINVAL // a part of a file, which the kernel's ring knows, the contract does not
	}
	return 0
}

func (q *Queue) prepareFallocate(op *operation, f *queueabi.Entry) unix.Errno {
	return invalidIf(f.BufGroup != 0 || f.OpFlags != 0 || f.SpliceFD != 0)
}

func (q *Queue) prepareFtruncate(op *operation, f *queueabi.Entry) unix.Errno {
	return invalidIf(f.OpFlags != 0 || f.Addr != 0 || f.Len != 0 || f.BufGroup != 0 || f.SpliceFD != 0 || f.Addr3 != 0)
}

func (q *Queue) prepareFadvise(op *operation, f *queueabi.Entry) unix.Errno {
	return invalidIf(f.BufGroup != 0 || f.SpliceFD != 0)
}

func (q *Queue) prepareOpenat(op *operation, f *queueabi.Entry) unix.Errno {
	if errno := preparePath(f, f.BufGroup != 0); errno != 0 {
		return errno
	}
	return op.takeSlot(f, &op.opFlags, unix.O_CLOEXEC)
}

func (q *Queue) prepareStatx(op *operation, f *queueabi.Entry) unix.Errno {
	return preparePath(f, f.BufGroup != 0 || f.SpliceFD != 0)
}

func (q *Queue) prepareUnlinkat(op *operation, f *queueabi.Entry) unix.Errno {
	return preparePath(f, f.Off != 0 || f.Len != 0 || f.BufGroup != 0 || f.SpliceFD != 0 || f.OpFlags&^unix.AT_REMOVEDIR != 0)
}

func (q *Queue) prepareMkdirat(op *operation, f *queueabi.Entry) unix.Errno {
	return preparePath(f, f.Off != 0 || f.OpFlags != 0 || f.BufGroup != 0 || f.SpliceFD != 0)
}

func (q *Queue) prepareSymlinkat(op *operation, f *queueabi.Entry) unix.Errno {
	if errno := preparePath(f, f.Len != 0 || f.OpFlags != 0 || f.BufGroup != 0 || f.SpliceFD != 0); errno != 0 {
		return errno
	}
	return checkPath(f.Off, false)
}

func (q *Queue) prepareTwoPaths(op *operation, f *queueabi.Entry) unix.Errno {
	if errno := preparePath(f, f.BufGroup != 0 || f.SpliceFD != 0); errno != 0 {
		return errno
	}
	return checkPath(f.Off, false)
}

func invalidIf(bad bool) unix.Errno {
	if bad {
		return unix.EINVAL
	}
	return 0
}

// preparePath checks an entry with a path as the kernel does, which knows no
// registered directories.
func preparePath(f *queueabi.Entry, bad bool) unix.Errno {
	switch {
	case bad:
		return unix.EINVAL
	case f.Flags&ring.SQEFixedFile != 0:
		return unix.EBADF
	}
	return checkPath(f.Addr, mayBeEmpty(f))
}

// mayBeEmpty reports whether an entry may be about its descriptor itself.
func mayBeEmpty(f *queueabi.Entry) bool {
	return (ring.Op(f.Opcode) == ring.OpStatx || ring.Op(f.Opcode) == ring.OpLinkat) && f.OpFlags&unix.AT_EMPTY_PATH != 0
}

func checkPath(addr uint64, mayBeEmpty bool) unix.Errno {
	if addr == 0 {
		return unix.EFAULT
	}
	switch n := len(pathAt(addr)); {
	case n == unix.PathMax:
		return unix.ENAMETOOLONG
	case n == 0 && !mayBeEmpty:
		return unix.ENOENT
	}
	return 0
}

// pathAt is the path at an address, without its zero; of one that is too long
// the beginning.
func pathAt(addr uint64) []byte {
	n := 0
	for p := pointer(addr); n < unix.PathMax && *(*byte)(unsafe.Add(p, n)) != 0; n++ {
	}
	return unsafe.Slice((*byte)(pointer(addr)), n)
}

// hideDirectories takes from a name operation the directories that are gone for
// the program, but whose numbers a worker could still find open. What follows
// from that is for the system call to say: a whole path needs no directory.
func (q *Queue) hideDirectories(op *operation) {
	if q.isPrivate(op.fd) {
		op.fd = -1
	}
	two := op.opcode == ring.OpRenameat || op.opcode == ring.OpLinkat
	if two && q.isPrivate(int32(op.len)) {
		op.len = math.MaxUint32 // -1
	}
}

// keepPath copies the path of an entry.
func (q *Queue) keepPath(op *operation) {
	m := q.newMessage()
	m.paths = append(append(m.paths, pathAt(op.addr)...), 0)
	op.addr = uint64(addressOf(&m.paths[0]))
	q.extraOf(op).message = m
}

// keepPaths copies both.
func (q *Queue) keepPaths(op *operation) {
	m := q.newMessage()
	m.paths = append(append(m.paths, pathAt(op.addr)...), 0)
	second := len(m.paths)
	m.paths = append(append(m.paths, pathAt(op.off)...), 0)
	op.addr, op.off = uint64(addressOf(&m.paths[0])), uint64(addressOf(&m.paths[second]))
	q.extraOf(op).message = m
}

// keepVector copies the vector of an entry.
func (q *Queue) keepVector(op *operation) {
	m := q.newMessage()
	m.vector = limited(append(m.vector, op.pieces()...))
	q.extraOf(op).message = m
}

// pieces is what is still to be transferred of a vector.
func (op *operation) pieces() []iovec {
	if m := op.message(); m != nil {
		return m.vector[m.rest:]
	}
	return unsafe.Slice((*iovec)(pointer(op.addr)), op.len)
}

// transfers reports whether op reads or writes.
func (op *operation) transfers() bool { return op.reads() || op.writes() }

func (op *operation) reads() bool {
	return op.opcode == ring.OpRead || op.opcode == ring.OpReadFixed || op.opcode == ring.OpReadv
}

func (op *operation) writes() bool {
	return op.opcode == ring.OpWrite || op.opcode == ring.OpWriteFixed || op.opcode == ring.OpWritev
}

func (op *operation) vectored() bool {
	return op.opcode == ring.OpReadv || op.opcode == ring.OpWritev
}

// block performs an operation on the calling goroutine, a worker's, whatever
// signals come to its thread.
func (op *operation) block(scratch *workspace) (n int, errno unix.Errno) {
	for {
		if n, errno = scratch.emulations[op.opcode].work(op, scratch); errno != unix.EINTR {
			return n, errno
		}
	}
}

func (op *operation) workFsync(scratch *workspace) (int, unix.Errno) {
	if op.opFlags&ring.FsyncDataSync != 0 {
		return without(unix.Fdatasync(int(op.fd)))
	}
	return without(unix.Fsync(int(op.fd)))
}

func (op *operation) workFallocate(scratch *workspace) (int, unix.Errno) {
	return without(unix.Fallocate(int(op.fd), op.len, int64(op.off), int64(op.addr)))
}

func (op *operation) workFtruncate(scratch *workspace) (int, unix.Errno) {
	n, errno := without(unix.Ftruncate(int(op.fd), int64(op.off)))
	if errno == unix.EINVAL && isNoFile(op.fd) {
		errno = unix.EBADF // which the kernel's ring finds first
	}
	return n, errno
}

func (op *operation) workFadvise(scratch *workspace) (int, unix.Errno) {
	return without(unix.Fadvise(int(op.fd), int64(op.off), int64(op.len), int(op.opFlags)))
}

func (op *operation) workStatx(scratch *workspace) (int, unix.Errno) {
	if scratch.refused.statx {
		return op.statBefore(scratch)
	}
	return sleep(unix.SYS_STATX, uintptr(op.fd), uintptr(op.addr), uintptr(op.opFlags), uintptr(op.len), uintptr(op.off))
}

func (op *operation) workUnlinkat(scratch *workspace) (int, unix.Errno) {
	return sleep(unix.SYS_UNLINKAT, uintptr(op.fd), uintptr(op.addr), uintptr(op.opFlags), 0, 0)
}

func (op *operation) workMkdirat(scratch *workspace) (int, unix.Errno) {
	return sleep(unix.SYS_MKDIRAT, uintptr(op.fd), uintptr(op.addr), uintptr(op.len), 0, 0)
}

func (op *operation) workRenameat(scratch *workspace) (int, unix.Errno) {
	if scratch.refused.renameat2 {
		return op.renameBefore()
	}
	return sleep(unix.SYS_RENAMEAT2, uintptr(op.fd), uintptr(op.addr), uintptr(int32(op.len)), uintptr(op.off), uintptr(op.opFlags))
}

func (op *operation) workLinkat(scratch *workspace) (int, unix.Errno) {
	return sleep(unix.SYS_LINKAT, uintptr(op.fd), uintptr(op.addr), uintptr(int32(op.len)), uintptr(op.off), uintptr(op.opFlags))
}

func (op *operation) workSymlinkat(scratch *workspace) (int, unix.Errno) {
	return sleep(unix.SYS_SYMLINKAT, uintptr(op.addr), uintptr(op.fd), uintptr(op.off), 0, 0)
}

// workOpenat opens as the kernel's ring does: large files whatever the flags say,
// and without waiting for the other end of a named pipe, unless it may make or
// empty the file.
func (op *operation) workOpenat(scratch *workspace) (int, unix.Errno) {
	path := uintptr(op.addr)
	flags := op.opFlags | unix.O_LARGEFILE
	const patient = unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY | unix.O_PATH | unix.O_NONBLOCK
	if flags&patient != 0 {
		return sleep(unix.SYS_OPENAT, uintptr(op.fd), path, uintptr(flags), uintptr(op.len), 0)
	}
	fd, errno := sleep(unix.SYS_OPENAT, uintptr(op.fd), path, uintptr(flags|unix.O_NONBLOCK), uintptr(op.len), 0)
	switch errno {
	case 0:
		unix.SetNonblock(fd, false)
	case unix.EAGAIN: // another has a lease on the file, and is asked to end it (fcntl(2), F_SETLEASE)
		return sleep(unix.SYS_OPENAT, uintptr(op.fd), path, uintptr(flags), uintptr(op.len), 0)
	}
	return fd, errno
}

func (op *operation) blockTransfer(scratch *workspace) (int, unix.Errno) {
	call := uintptr(unix.SYS_PWRITEV2)
	if op.reads() {
		call = unix.SYS_PREADV2
	}
	vector, count := addressOf(&scratch.vector), 1
	scratch.vector = iovec{uintptr(op.addr), uintptr(op.len)}
	if op.vectored() {
		scratch.vector = iovec{}
		if pieces := op.pieces(); len(pieces) > 0 {
			vector, count = addressOf(&pieces[0]), len(pieces)
		}
	}
	if scratch.refused.preadv2 {
		call = withoutFlags(call, op.off)
	}
	return sleep(call, uintptr(op.fd), vector, uintptr(count), uintptr(op.off), uintptr(op.off>>32))
}

// without makes an errno of an error of package unix.
func without(err error) (int, unix.Errno) {
	errno, _ := err.(unix.Errno)
	return 0, errno
}

// conclude sets the result of what a worker did. Bytes that came before an error
// are what counts, and fewer than asked for break a chain.
func (op *operation) conclude(n int, errno unix.Errno) {
	if op.splices() {
		op.endSplice(n, errno)
		return
	}
	if !op.transfers() {
		if errno != 0 {
			op.endError(errno)
			op.failed = op.breaksChain(errno, op.withWorkers)
		} else {
			op.end(int32(n))
		}
		return
	}
	if errno != 0 && op.done == 0 {
		op.endError(errno)
		return
	}
	short := errno != 0 || uint64(n) < op.wants()
	op.end(int32(op.done) + int32(max(n, 0)))
	op.failed = short
}

// breaksChain reports whether a failure does, of what is no transfer: those of
// which ring says so, and of the others that their descriptor is none.
func (op *operation) breaksChain(errno unix.Errno, file bool) bool {
	return op.opcode.BreaksLink() || file && errno == unix.EBADF && isNoFile(op.fd)
}

// isNoFile reports whether the kernel's ring finds no file of that number: what
// was opened with O_PATH is none to it.
func isNoFile(fd int32) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err != nil || flags&unix.O_PATH != 0
}

// wants is how many bytes a transfer still has to move.
func (op *operation) wants() uint64 {
	if !op.vectored() {
		return uint64(op.len)
	}
	n := uint64(0)
	for _, v := range op.pieces() {
		n += uint64(v.len)
	}
	return min(n, maxTransfer)
}

// giveTransferToWorkers leaves a read or write to the workers. One that takes a
// provided buffer takes it now.
func (q *Queue) giveTransferToWorkers(op *operation) outcome {
	if errno := q.takeBuffer(op); errno != 0 {
		return op.endError(errno)
	}
	return q.giveToWorkers(op)
}

// takeBuffer takes the provided buffer that op asks for, if it does.
func (q *Queue) takeBuffer(op *operation) unix.Errno {
	if !op.provided() || op.holding {
		return 0
	}
	addr, n, ok := q.choose(op)
	if !ok {
		return unix.ENOBUFS
	}
	q.reserve(op)
	op.addr, op.len = addr, n
	return 0
}

// isPlain reports whether a number stands for something that is not waited for
// but worked on: a regular file, a directory, a block device.
func (q *Queue) isPlain(fd int32) bool {
	if d := q.lookup(fd); d != nil && d.jobs > 0 && d.events == 0 {
		return true
	}
	if unix.Fstat(int(fd), &q.scratch.stat) != nil {
		return false
	}
	switch q.scratch.stat.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
		return true
	}
	return false
}

// goesAround reports whether op is on a file that was opened with O_DIRECT: then
// nothing is in the page cache, and RWF_NOWAIT waits for the device.
func (q *Queue) goesAround(op *operation) bool {
	if op.d != nil {
		return false // it can be waited for
	}
	if d := q.lookup(op.fd); d != nil && d.events != 0 {
		return false
	}
	flags, errno := q.raw(unix.SYS_FCNTL, uintptr(op.fd), unix.F_GETFL, 0, 0, 0, 0)
	return errno == 0 && flags&unix.O_DIRECT != 0 && q.isPlain(op.fd)
}
