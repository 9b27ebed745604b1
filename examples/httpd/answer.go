package main

import (
	"io"
	"net/http"
	"strconv"

	"github.com/valyala/fasthttp"
)

// answer is an http.ResponseWriter that fills a response of fasthttp.
type answer struct {
	ctx     *fasthttp.RequestCtx
	session *session
	header  http.Header
	begun   bool
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *answer) WriteHeader(status int) {
	if a.begun {
		return
	}
	a.begun = true
	to := &a.ctx.Response.Header
	a.ctx.SetStatusCode(status)
	for name, values := range a.header {
		switch name {
		case "Content-Length":
			if n, err := strconv.Atoi(values[0]); err == nil {
				to.SetContentLength(n) // stays for HEAD; a body has its own
			}
		case "Content-Type":
			to.SetContentType(values[0])
		default:
			for _, v := range values {
				to.Add(name, v)
			}
		}
	}
	if a.header.Get("Content-Type") == "" {
		to.SetNoDefaultContentType(true)
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.ctx.Write(p)
}

// ReadFrom implements io.ReaderFrom, which http.ServeContent copies a file with. The file
// is sent when the header is.
func (a *answer) ReadFrom(r io.Reader) (int64, error) {
	part, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{a}, r)
	}
	f, ok := part.R.(*file)
	if !ok || int64(int(part.N)) != part.N { // where an int has 32 bits
		return io.Copy(struct{ io.Writer }{a}, r)
	}
	a.WriteHeader(http.StatusOK)
	b := &fileBody{file: f, session: a.session, off: f.at, size: part.N}
	f.kept = true
	if b.direct() {
		a.ctx.Response.ImmediateHeaderFlush, a.session.ahead = true, true
	}
	a.ctx.SetBodyStream(b, int(part.N))
	f.at += part.N
	part.N = 0
	return b.size, nil
}

// fileBody is a part of a file as the body of an answer.
type fileBody struct {
	file    *file
	session *session
	off     int64
	size    int64
}

// smallFile is up to how many bytes a file is read and written behind the header, with one
// send. SendFile is another.
const smallFile = 32 << 10

// direct reports whether SendFile sends it, behind the header that was queued. fasthttp must
// have nothing in its buffer then.
func (b *fileBody) direct() bool { return !b.session.secured && b.size > smallFile }

// SupportsBodyWriteTo implements fasthttp.BodyWriterTo.
func (b *fileBody) SupportsBodyWriteTo() bool { return true }

// WriteTo implements io.WriterTo. w is fasthttp's buffer in front of the connection.
func (b *fileBody) WriteTo(w io.Writer) (sent int64, err error) {
	task := b.session.task
	if b.direct() {
		return b.session.conn.SendFile(b.file.ours, b.off, b.size).Await(task)
	}
	memory := b.session.conn.Loop().Buffer(int(min(b.size, smallFile)))
	defer memory.Release()
	for sent < b.size {
		piece := memory.Bytes()
		n, err := b.file.ours.ReadAt(piece[:min(b.size-sent, int64(len(piece)))], b.off+sent).Await(task)
		if n > 0 {
			if _, err := w.Write(piece[:n]); err != nil {
				return sent, err
			}
			sent += int64(n)
		}
		if err != nil && sent < b.size {
			return sent, err
		}
	}
	return sent, nil
}

// Read implements io.Reader, which fasthttp does not use.
func (b *fileBody) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), b.size)]
	if len(p) == 0 {
		return 0, io.EOF
	}
	n, err := b.file.ours.ReadAt(p, b.off).Await(b.session.task)
	b.off += int64(n)
	b.size -= int64(n)
	return n, err
}

// Close implements io.Closer.
func (b *fileBody) Close() error {
	b.file.close()
	return nil
}
