package proactor

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
)

// AdoptFile takes an open file of package os onto the caller's loop, or onto the next in
// turn: a file that was opened below an os.Root, for example, or that came with RecvFiles.
// AdoptFile closes f and goes on with a duplicate of its descriptor. The cursor stays
// where it was. What has no offsets, such as a socket or a pipe, is for FileConn.
//
// An AdoptFile that fails leaves f as it was. Errors are *fs.PathError with Op "adopt":
// errors.Is finds fs.ErrClosed, os.ErrInvalid for nil, syscall.EMFILE, and ErrClosed when
// the runtime is shutting down.
func (rt *Runtime) AdoptFile(f *os.File) (*File, error) {
	if f == nil {
		return nil, &fs.PathError{Op: "adopt", Err: os.ErrInvalid}
	}
	fd, err := sockets.Duplicate(f)
	if err != nil {
		return nil, &fs.PathError{Op: "adopt", Path: f.Name(), Err: err}
	}
	adopted := rt.someLoop().newFile(fd, f.Name())
	if err := adopted.join(); err != nil {
		sockets.Close(fd)
		return nil, &fs.PathError{Op: "adopt", Path: f.Name(), Err: err}
	}
	f.Close()
	return adopted, nil
}

// join adds an adopted file to those of its loop.
func (f *File) join() error {
	var err error
	if f.append, f.direct, err = howOpened(f.fd); err != nil {
		return err
	}
	sockets.SetBlocking(f.fd, true) // else the queue answers EAGAIN for what is not in memory
	ok := f.loop.engine.Begin(func() {
		f.loop.openFiles.Add(f, &f.listed)
		if f.loop.stopping() {
			f.shut()
		}
	})
	if !ok {
		return f.loop.closedBy(errFileClosed)
	}
	return nil
}

// SyscallConn implements syscall.Conn. A function of Control gets a duplicate of the
// descriptor. Read and Write fail: a file is never waited for.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	if f.Fd() < 0 {
		return nil, f.failed("raw-control", errFileClosed)
	}
	return rawFile{f}, nil
}

// rawFile is access to a file for system calls.
type rawFile struct{ file *File }

// Control implements syscall.RawConn.
func (r rawFile) Control(fn func(fd uintptr)) error {
	fd, err := r.file.duplicate()
	if err != nil {
		return r.file.failed("raw-control", err)
	}
	defer sockets.Close(fd)
	fn(uintptr(fd))
	return nil
}

// Read implements syscall.RawConn.
func (r rawFile) Read(func(fd uintptr) bool) error {
	return r.file.failed("raw-read", syscall.ENOTSUP)
}

// Write implements syscall.RawConn.
func (r rawFile) Write(func(fd uintptr) bool) error {
	return r.file.failed("raw-write", syscall.ENOTSUP)
}

func (f *File) duplicate() (fd int, err error) {
	f.naming.Lock()
	defer f.naming.Unlock()
	if f.Fd() < 0 {
		return -1, errFileClosed
	}
	return sockets.DuplicateNumber(f.fd)
}

var _ syscall.Conn = (*File)(nil)
