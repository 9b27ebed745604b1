package main

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

const resolveCached = 0x20 // RESOLVE_CACHED

// openCached opens a file below a directory if all that leads to it is in memory
// (openat2(2), RESOLVE_CACHED: Linux 5.12). What openat2(2) cannot tell or may not be
// asked (old kernels, seccomp) is unix.EAGAIN, too.
func openCached(base *os.File, name string) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, // named pipes
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | resolveCached,
	}
	fd, err := unix.Openat2(int(base.Fd()), name, &how)
	switch err {
	case nil:
		return os.NewFile(uintptr(fd), name), nil
	case unix.ENOENT, unix.ENOTDIR, unix.ENAMETOOLONG:
		return nil, &fs.PathError{Op: "openat2", Path: name, Err: err}
	}
	return nil, unix.EAGAIN
}
