package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var errUnderWay = errors.New("another fetch to the same name is under way")

// claim opens the part and locks it until it is closed.
func (d *download) claim(ctx context.Context) (err error) {
	if d.file, err = d.rt.OpenFile(d.part, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o666).Await(ctx); err != nil {
		return err
	}
	if err = d.lock(ctx); err != nil {
		d.file.Close().Await(context.WithoutCancel(ctx))
	}
	return err
}

// lock locks the part, and checks that the file still has this name: who had the lock
// before may have renamed or removed it.
func (d *download) lock(ctx context.Context) error {
	err := unix.Flock(d.file.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	// The ring of a killed process has the file open until a moment after its end.
	for tries := 0; err == unix.EWOULDBLOCK && tries < 20; tries++ {
		if _, err := d.rt.Sleep(50 * time.Millisecond).Await(ctx); err != nil {
			return err
		}
		err = unix.Flock(d.file.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil && err != unix.EWOULDBLOCK {
		return &fs.PathError{Op: "flock", Path: d.part, Err: err}
	}
	if err == nil {
		var ours, named unix.Stat_t
		if unix.Fstat(d.file.Fd(), &ours) == nil && unix.Lstat(d.part, &named) == nil && ours.Dev == named.Dev && ours.Ino == named.Ino {
			return nil
		}
	}
	return &fs.PathError{Op: "fetch", Path: d.part, Err: errUnderWay}
}
