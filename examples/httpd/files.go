package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// What HTTP says about files (ranges, conditions, types, directories) http.FileServer
// knows, in a coroutine, too: it reads and opens through a file system whose calls await
// operations of the library, and it writes to an answer that sends the file with SendFile.

// serveFile answers a request for a file.
func (e *fastHTTP) serveFile(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsHead() {
		ctx.Error("method not allowed", fasthttp.StatusMethodNotAllowed)
		ctx.Response.Header.Set("Allow", "GET, HEAD")
		return
	}
	var r http.Request
	if err := fasthttpadaptor.ConvertRequest(ctx, &r, true); err != nil {
		ctx.Error("bad request", fasthttp.StatusBadRequest)
		return
	}
	if several(r.Header.Get("Range")) {
		r.Header.Del("Range")
	}
	s := sessionOf(ctx)
	files := http.FileServer(taskFiles{s.task, e.server})
	http.StripPrefix("/files", files).ServeHTTP(&answer{ctx: ctx, session: s}, &r)
}

// several reports whether a Range names more than one. http.ServeContent answers such with
// a goroutine and a pipe, for which the loop would wait. A server may ignore a Range.
func several(ranges string) bool {
	for _, c := range ranges {
		if c == ',' {
			return true
		}
	}
	return false
}

// taskFiles implements http.FileSystem for a task.
type taskFiles struct {
	task   context.Context
	server *server
}

// Open implements http.FileSystem. What has to wait is another goroutine's.
func (t taskFiles) Open(name string) (http.File, error) {
	f, err := t.described(t.server.files.openCached(name))
	if errors.Is(err, syscall.EAGAIN) {
		f, err = futures.Blocking(t.task, func() (*file, error) { return t.described(t.server.files.open(name)) })
	}
	if err != nil {
		return nil, err
	}
	if f.info.IsDir() {
		return f, nil
	}
	if f.ours, err = t.server.rt.AdoptFile(f.File); err != nil {
		f.File.Close()
		return nil, err
	}
	return f, nil
}

func (t taskFiles) described(opened *os.File, info fs.FileInfo, err error) (*file, error) {
	if err != nil {
		return nil, err
	}
	return &file{task: t.task, File: opened, info: info}, nil
}

// file implements http.File for a task.
type file struct {
	task context.Context
	*os.File
	info fs.FileInfo
	ours *proactor.File // nil for a directory
	at   int64
	kept bool // by an answer, which closes it
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ours.ReadAt(p, f.at).Await(f.task)
	f.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.info.Size()
	}
	if offset < 0 {
		return f.at, fs.ErrInvalid
	}
	f.at = offset
	return offset, nil
}

// ReadDir lists a directory.
func (f *file) ReadDir(n int) ([]fs.DirEntry, error) {
	return futures.Blocking(f.task, func() ([]fs.DirEntry, error) { return f.File.ReadDir(n) })
}

func (f *file) Close() error {
	if !f.kept {
		f.close()
	}
	return nil
}

func (f *file) close() {
	if f.ours == nil {
		f.File.Close()
	} else {
		f.ours.Close()
	}
}
