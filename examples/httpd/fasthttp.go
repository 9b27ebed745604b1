package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"

	"github.com/goproactor/goproactor/proactor"
	"github.com/valyala/fasthttp"
)

// fastHTTP serves with fasthttp: each connection is a coroutine of its loop. Handlers
// must not wait for anything but futures.
type fastHTTP struct {
	*server
	http fasthttp.Server
}

func newFastHTTP(s *server) engine {
	e := &fastHTTP{server: s}
	e.http = fasthttp.Server{
		Handler:               e.handle,
		ErrorHandler:          refused,
		LazyRequestTime:       true,      // nobody asks for it
		ReadBufferSize:        maxHeader, // a header must fit
		MaxRequestBodySize:    s.maxBody,
		Concurrency:           1 << 30, // WithMaxConns is the limit of a Runtime
		NoDefaultServerHeader: true,
		Logger:                log.New(io.Discard, "", 0), // clients that break off are everyday
	}
	return e
}

func (e *fastHTTP) handle(ctx *fasthttp.RequestCtx) {
	path := ctx.Path()
	switch {
	case string(path) == "/":
		ctx.SetContentType("text/plain; charset=utf-8")
		ctx.WriteString(greeting)
	case e.files != nil && len(path) >= len("/files/") && string(path[:len("/files/")]) == "/files/":
		e.serveFile(ctx)
	default:
		ctx.Error("404 page not found", fasthttp.StatusNotFound)
	}
}

// refused answers what is no request that is served, before the connection is closed.
func refused(ctx *fasthttp.RequestCtx, err error) {
	var tooLong *fasthttp.ErrSmallBuffer
	var failed net.Error
	switch {
	case errors.As(err, &tooLong):
		ctx.Error("the header is too long", fasthttp.StatusRequestHeaderFieldsTooLarge)
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		ctx.Error("the body is too long", fasthttp.StatusRequestEntityTooLarge)
	case errors.As(err, &failed) && failed.Timeout():
		ctx.Error("the request did not come in time", fasthttp.StatusRequestTimeout)
	default:
		ctx.Error("bad request", fasthttp.StatusBadRequest)
	}
}

func (e *fastHTTP) serve(ln *proactor.Listener) error {
	err := ln.Serve(context.Background(), e.serveConn)
	if errors.Is(err, proactor.ErrClosed) {
		return nil
	}
	return err
}

// serveConn is the handler of one connection.
func (e *fastHTTP) serveConn(ctx context.Context, c *proactor.Conn) error {
	c.SetIdleTimeout(e.idle)
	s := &session{Conn: c.NetConn(ctx), task: ctx, conn: c, timeout: e.timeout}
	if e.tls != nil {
		s.Conn, s.secured = tls.Server(s.Conn, e.tls), true
	}
	s.limit() // the handshake and the first request
	return e.http.ServeConn(s)
}

func (e *fastHTTP) shutdown(ctx context.Context) error { return e.rt.Shutdown(ctx) }
