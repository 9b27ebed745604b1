package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// netHTTP serves with net/http: each connection is a *net.TCPConn with a goroutine of its
// own. HTTP/2, and handlers that wait on channels or locks, work as ever.
type netHTTP struct {
	*server
	http http.Server
}

func newNetHTTP(s *server) engine {
	e := &netHTTP{server: s}
	e.http = http.Server{
		Handler:           e.handler(),
		TLSConfig:         s.tls,
		ReadHeaderTimeout: s.timeout,
		ReadTimeout:       s.timeout,
		WriteTimeout:      s.timeout, // see paced
		IdleTimeout:       s.idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that break off are everyday
	}
	return e
}

// maxHeader is how many bytes the header of a request may have.
const maxHeader = 16 << 10

func (e *netHTTP) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, greeting)
	})
	if e.files != nil {
		files := http.StripPrefix("/files", http.FileServer(e.files))
		mux.HandleFunc("GET /files/", func(w http.ResponseWriter, r *http.Request) {
			files.ServeHTTP(&paced{w, e.timeout}, r)
		})
	}
	return http.MaxBytesHandler(mux, int64(e.maxBody))
}

func (e *netHTTP) serve(ln *proactor.Listener) error {
	std := ln.NetListener()
	var err error
	if e.tls != nil {
		err = e.http.ServeTLS(std, "", "")
	} else {
		err = e.http.Serve(std)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (e *netHTTP) shutdown(ctx context.Context) error {
	err := e.http.Shutdown(ctx)
	if err != nil {
		e.http.Close()
	}
	return errors.Join(err, e.rt.Shutdown(context.Background()))
}

// paced gives a client the timeout for each piece of a file. The WriteTimeout of
// http.Server is one for the whole answer, however long that is.
type paced struct {
	http.ResponseWriter
	timeout time.Duration
}

// pace is how many bytes have the timeout together.
const pace = 1 << 20

// ReadFrom implements io.ReaderFrom, which http.ServeContent copies a file with.
func (p *paced) ReadFrom(r io.Reader) (sent int64, err error) {
	file, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(p.ResponseWriter, r)
	}
	control := http.NewResponseController(p.ResponseWriter)
	for {
		piece := io.LimitedReader{R: file.R, N: min(file.N, pace)} // in which package net finds the *os.File
		n, err := io.Copy(p.ResponseWriter, &piece)
		sent += n
		file.N -= n
		if err != nil || file.N == 0 || piece.N > 0 {
			return sent, err
		}
		control.SetWriteDeadline(time.Now().Add(p.timeout))
	}
}

// Unwrap is for http.ResponseController.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }
