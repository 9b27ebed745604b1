package main

import (
	"context"
	"errors"
	"io/fs"
	"os/signal"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"golang.org/x/sys/unix"
)

var errInUse = errors.New("another server writes this file")

// A write beyond RLIMIT_FSIZE fails with EFBIG; the signal that comes with it would end
// the process.
func ignoreFileLimit() { signal.Ignore(unix.SIGXFSZ) }

// lockFile locks the file for as long as it is open.
func lockFile(ctx context.Context, rt *proactor.Runtime, f *proactor.File) error {
	err := unix.Flock(f.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	// The kernel ends the ring of a killed server, which has the file, a moment after
	// the process.
	for tries := 0; err == unix.EWOULDBLOCK && tries < 40; tries++ {
		if _, err := rt.Sleep(50 * time.Millisecond).Await(ctx); err != nil {
			return err
		}
		err = unix.Flock(f.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	}
	switch err {
	case nil:
		return nil
	case unix.EWOULDBLOCK:
		return &fs.PathError{Op: "aof", Path: f.Name(), Err: errInUse}
	}
	return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
}
