package main

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"syscall"
)

// root is the directory of -root. No name leads out of it, by .. or by a symbolic link.
type root struct {
	dir  *os.Root
	base *os.File // the directory itself
}

// openRoot returns nil for no directory.
func openRoot(name string) (*root, error) {
	if name == "" {
		return nil, nil
	}
	dir, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	base, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	return &root{dir, base}, nil
}

// open opens a regular file or a directory, and describes it. The name is that of a
// request: it begins with a slash. What must not be served does not exist.
func (r *root) open(name string) (*os.File, fs.FileInfo, error) {
	// A named pipe would be waited for without O_NONBLOCK.
	f, err := r.dir.OpenFile(below(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	return described(f, err)
}

// openCached is open for a loop: it does not wait, and fails with syscall.EAGAIN if it
// would have to.
func (r *root) openCached(name string) (*os.File, fs.FileInfo, error) {
	return described(openCached(r.base, below(name)))
}

// below is the name of a request relative to the root.
func below(name string) string {
	if name = strings.TrimPrefix(path.Clean(name), "/"); name == "" {
		return "."
	}
	return name
}

func described(f *os.File, err error) (*os.File, fs.FileInfo, error) {
	if err != nil {
		return nil, nil, hidden(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// hidden makes fs.ErrNotExist of errors that say that there is no such name: those that
// os.Root finds by itself have no errno.
func hidden(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fs.ErrNotExist
	}
	switch errno {
	case syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL, syscall.ENXIO, syscall.EXDEV:
		return fs.ErrNotExist
	}
	return err
}

// Open implements http.FileSystem for goroutines. The *os.File lets package net use
// sendfile(2).
func (r *root) Open(name string) (http.File, error) {
	f, _, err := r.open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}
