package epollfallback

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// refusals is which of the newer system calls the process cannot make, because its
// kernel has not got them or a seccomp filter forbids them. A filter older than a
// call answers EPERM, as container runtimes did for years, which a call that was
// made answers as well. So each is tried once on no file.
type refusals struct {
	epollPwait2 bool // Linux 5.11
	preadv2     bool // Linux 4.6, and pwritev2
	statx       bool // Linux 4.11
	renameat2   bool // Linux 3.15
	batches     bool // sendmmsg or recvmmsg, Linux 3.0
}

// probeRefusals tries the calls.
func probeRefusals() refusals {
	const none = ^uintptr(0) // descriptor -1
	return refusals{
		epollPwait2: isRefused(unix.SYS_EPOLL_PWAIT2, none),
		preadv2:     isRefused(unix.SYS_PREADV2, none) || isRefused(unix.SYS_PWRITEV2, none),
		statx:       isRefused(unix.SYS_STATX, none),
		renameat2:   isRefused(unix.SYS_RENAMEAT2, none),
		batches:     isRefused(unix.SYS_SENDMMSG, none) || isRefused(unix.SYS_RECVMMSG, none),
	}
}

// isRefused makes a call with arguments that are good for nothing: no descriptor and
// no memory. One that is made says so (EBADF, EFAULT, EINVAL).
func isRefused(call, fd uintptr) bool {
	_, _, errno := syscall.RawSyscall6(call, fd, 0, 0, 0, 0, 0)
	return errno == unix.ENOSYS || errno == unix.EPERM || errno == unix.EACCES
}

// statBefore is statx(2) by the call before it, fstatat(2), which knows no time of
// birth.
func (op *operation) statBefore(scratch *workspace) (int, unix.Errno) {
	const known = unix.AT_EMPTY_PATH | unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	const other = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC
	if op.opFlags&^(known|other) != 0 || op.len&unix.STATX__RESERVED != 0 {
		return 0, unix.EINVAL
	}
	s := &scratch.stat
	path := string(pathAt(op.addr))
	if err := unix.Fstatat(int(op.fd), path, s, int(op.opFlags&known)); err != nil {
		return without(err)
	}
	*(*unix.Statx_t)(pointer(op.off)) = unix.Statx_t{
		Mask: unix.STATX_BASIC_STATS, Mode: uint16(s.Mode), Nlink: uint32(s.Nlink), Uid: s.Uid, Gid: s.Gid,
		Ino: s.Ino, Size: uint64(s.Size), Blocks: uint64(s.Blocks), Blksize: uint32(s.Blksize),
		Atime: statxTime(s.Atim), Mtime: statxTime(s.Mtim), Ctime: statxTime(s.Ctim),
		Dev_major: unix.Major(s.Dev), Dev_minor: unix.Minor(s.Dev),
		Rdev_major: unix.Major(s.Rdev), Rdev_minor: unix.Minor(s.Rdev),
	}
	return 0, 0
}

func statxTime(t unix.Timespec) unix.StatxTimestamp {
	return unix.StatxTimestamp{Sec: int64(t.Sec), Nsec: uint32(t.Nsec)}
}

// renameBefore is renameat2(2) by the call before it, which has no flags: with
// some it fails as on a file system that does not know them.
func (op *operation) renameBefore() (int, unix.Errno) {
	if op.opFlags != 0 {
		return 0, unix.EINVAL
	}
	return without(unix.Renameat(int(op.fd), string(pathAt(op.addr)), int(int32(op.len)), string(pathAt(op.off))))
}
