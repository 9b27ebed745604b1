package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"golang.org/x/sys/unix"
)

var errUnderWay = errors.New("another copy to the same name is under way")

// claim makes the part and locks it until it is closed. An existing part that is not
// locked was left by a copy that was killed, and is replaced.
func (j *job) claim(ctx context.Context, perm fs.FileMode) (err error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	j.dst, err = j.rt.OpenFile(j.part, flags, perm).Await(ctx)
	if errors.Is(err, fs.ErrExist) {
		if err = j.clear(ctx); err == nil {
			j.dst, err = j.rt.OpenFile(j.part, flags, perm).Await(ctx)
		}
	}
	if err != nil {
		return err
	}
	if err = j.lock(ctx, j.dst); err != nil {
		j.dst.Close()
	}
	return err
}

// clear removes the part of a copy that was killed.
func (j *job) clear(ctx context.Context) error {
	f, err := j.rt.OpenFile(j.part, os.O_WRONLY|unix.O_NOFOLLOW, 0).Await(ctx)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := j.lock(ctx, f); err != nil {
		return err
	}
	_, err = j.rt.Remove(j.part).Await(ctx)
	return err
}

// lock locks a file, and checks that it is still the part: the holder of the lock before
// may have removed or renamed it.
func (j *job) lock(ctx context.Context, f *proactor.File) error {
	inUse := &fs.PathError{Op: "copy", Path: j.part, Err: errUnderWay}
	err := unix.Flock(f.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	// The ring of a killed copy has the file open until a moment after the end of
	// the process.
	for tries := 0; err == unix.EWOULDBLOCK && tries < 20; tries++ {
		if _, err := j.rt.Sleep(50 * time.Millisecond).Await(ctx); err != nil {
			return err
		}
		err = unix.Flock(f.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	}
	switch err {
	case nil:
	case unix.EWOULDBLOCK:
		return inUse
	default:
		return &fs.PathError{Op: "flock", Path: j.part, Err: err}
	}
	ours, err := f.Stat().Await(ctx)
	if err != nil {
		return err
	}
	named, err := j.rt.Lstat(j.part).Await(ctx)
	if err != nil || !sameFile(ours, named) {
		return inUse
	}
	return nil
}

func sameFile(a, b fs.FileInfo) bool {
	x, y := a.Sys().(*unix.Statx_t), b.Sys().(*unix.Statx_t)
	return x.Ino == y.Ino && x.Dev_major == y.Dev_major && x.Dev_minor == y.Dev_minor
}
