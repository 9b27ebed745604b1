package proactor

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

// Stat describes the file of that name, the one a symbolic link leads to
// (statx(2), Linux 5.6). Errors are *fs.PathError.
func (rt *Runtime) Stat(name string) futures.Future[fs.FileInfo] {
	return rt.statName("stat", name, statFollow)
}

// Lstat is Stat, but describes a symbolic link itself.
func (rt *Runtime) Lstat(name string) futures.Future[fs.FileInfo] {
	return rt.statName("lstat", name, statLink)
}

func (rt *Runtime) statName(op, name string, flags uint32) futures.Future[fs.FileInfo] {
	if _, err := pathBytes(name); err != nil {
		return futures.Failed[fs.FileInfo](&fs.PathError{Op: op, Path: name, Err: err})
	}
	return statCall(&call[fs.FileInfo]{loop: rt.someLoop(), wrap: pathError(op, name)}, name, currentDir, name, flags)
}

// Mkdir makes a directory with perm, less the umask (mkdirat(2), Linux 5.15).
// Errors are *fs.PathError.
func (rt *Runtime) Mkdir(name string, perm fs.FileMode) futures.Future[struct{}] {
	return rt.onName("mkdir", name, func(sqe *ring.SQE, path *byte) {
		sqe.PrepMkdirat(currentDir, path, uint32(permissions(perm)))
	})
}

// Remove removes a file or an empty directory (unlinkat(2), Linux 5.11). Errors
// are *fs.PathError; errors.Is finds fs.ErrNotExist, syscall.ENOTEMPTY.
func (rt *Runtime) Remove(name string) futures.Future[struct{}] {
	path, err := pathBytes(name)
	if err != nil {
		return futures.Failed[struct{}](&fs.PathError{Op: "remove", Path: name, Err: err})
	}
	c := &call[struct{}]{loop: rt.someLoop(), wrap: pathError("remove", name), take: nothing}
	var flags uint32
	var first syscall.Errno
	c.prepare = func(sqe *ring.SQE) { sqe.PrepUnlinkat(currentDir, &path[0], flags) }
	c.fails = func(errno syscall.Errno) (error, bool) {
		switch {
		case flags == 0: // perhaps it is a directory
			flags, first = removeDirectory, errno
			return nil, true
		case errno == syscall.ENOTDIR:
			return first, false
		}
		return errno, false
	}
	return c.start()
}

// Rename gives a file another name, and replaces a file that has that name
// (renameat2(2), Linux 5.11). Errors are *os.LinkError.
func (rt *Runtime) Rename(from, to string) futures.Future[struct{}] {
	return rt.onNames("rename", from, to, func(sqe *ring.SQE, from, to *byte) {
		sqe.PrepRenameat(currentDir, from, currentDir, to, 0)
	})
}

// Link gives a file an additional name (linkat(2), Linux 5.15). Errors are
// *os.LinkError.
func (rt *Runtime) Link(from, to string) futures.Future[struct{}] {
	return rt.onNames("link", from, to, func(sqe *ring.SQE, from, to *byte) {
		sqe.PrepLinkat(currentDir, from, currentDir, to, 0)
	})
}

// Symlink makes a symbolic link to target (symlinkat(2), Linux 5.15). Errors are
// *os.LinkError.
func (rt *Runtime) Symlink(target, name string) futures.Future[struct{}] {
	return rt.onNames("symlink", target, name, func(sqe *ring.SQE, target, name *byte) {
		sqe.PrepSymlinkat(target, currentDir, name)
	})
}

// onName starts an operation on one name. The path stays reachable through prepare.
func (rt *Runtime) onName(op, name string, prepare func(*ring.SQE, *byte)) futures.Future[struct{}] {
	path, err := pathBytes(name)
	if err != nil {
		return futures.Failed[struct{}](&fs.PathError{Op: op, Path: name, Err: err})
	}
	c := &call[struct{}]{loop: rt.someLoop(), wrap: pathError(op, name), take: nothing}
	c.prepare = func(sqe *ring.SQE) { prepare(sqe, &path[0]) }
	return c.start()
}

func (rt *Runtime) onNames(op, from, to string, prepare func(sqe *ring.SQE, from, to *byte)) futures.Future[struct{}] {
	wrap := func(err error) error { return &os.LinkError{Op: op, Old: from, New: to, Err: err} }
	one, err := pathBytes(from)
	two, err2 := pathBytes(to)
	if err != nil || err2 != nil {
		return futures.Failed[struct{}](wrap(syscall.EINVAL))
	}
	c := &call[struct{}]{loop: rt.someLoop(), wrap: wrap, take: nothing}
	c.prepare = func(sqe *ring.SQE) { prepare(sqe, &one[0], &two[0]) }
	return c.start()
}
