package program

import (
	"context"
	"net"

	"github.com/valyala/fasthttp"

	"github.com/goproactor/goproactor/bench/load"
)

var _ = register(Program{
	Name:    "fasthttp",
	About:   "HTTP/1.1, 64 connections, a short answer",
	Unit:    "request",
	Listen:  serveFast,
	Handler: handleFast,
	Load:    load.Job{Conns: 64, Window: 1},
	drive:   driveRequests([]byte(helloRequest), answered),
})

var _ = register(Program{
	Name:    "fasthttp-pipelined",
	About:   "the same, 16 requests on the way on each connection",
	Unit:    "request",
	Listen:  serveFast,
	Handler: handleFast,
	Load:    load.Job{Conns: 64, Window: 16},
	drive:   driveRequests([]byte(helloRequest), answered),
})

func fastServer() *fasthttp.Server {
	return &fasthttp.Server{Handler: func(c *fasthttp.RequestCtx) { c.WriteString(hello) }}
}

func serveFast(ln net.Listener, _ Options) error { return fastServer().Serve(ln) }

func handleFast(Options) (Handler, error) {
	s := fastServer()
	return func(_ context.Context, c net.Conn) error { return s.ServeConn(c) }, nil
}
