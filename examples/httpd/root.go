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
type root struct{ dir *os.Root }

// openRoot returns nil for no directory.
func openRoot(name string) (*root, error) {
	if name == "" {
		return nil, nil
	}
	dir, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &root{dir}, nil
}

// open opens a regular file or a directory, and describes it. The name is that of a
// request: it begins with a slash. What must not be served does not exist.
func (r *root) open(name string) (*os.File, fs.FileInfo, error) {
	name = strings.TrimPrefix(path.Clean(name), "/")
	if name == "" {
		name = "."
	}
	// A named pipe would be waited for without O_NONBLOCK.
	f, err := r.dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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
	case syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL, syscall.ENXIO:
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
