package program

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
)

var _ = workload.Register(workload.Workload{
	Name:    "http",
	About:   "HTTP/1.1, plain text, connections kept alive; 16 deep, 16 requests are on the way on each",
	Unit:    "requests",
	Section: workload.Programs,
	Cells:   []workload.Cell{steady(quick(httpCell(0, 0, 1, 0))), httpCell(0, 0, 16, 0)},
	Custom:  httpCell,
	Rated:   true,
	Contestants: slices.Concat(netHTTP(greet).contestants(), fastHTTP(greetFast).contestants(),
		[]contestant.Contestant{contestant.Fib("fib-http", "fib 1.7.0, its HTTP server", "http")}),
	Baseline: "nethttp-net",
	Drive: workload.Requests{
		Request: func(load.Job) []byte { return httpRequest("/") },
		Probe: workload.ProbeHTTP(func(_ load.Job, body []byte) error {
			if string(body) != greeting {
				return fmt.Errorf("body is %.64q: want %q", body, greeting)
			}
			return nil
		}),
	}.Drive,
})

func httpCell(_, conns, window, _ int) workload.Cell {
	return workload.Cell{Workload: "http", Size: len(greeting), Conns: or(conns, 64), Window: or(window, 1)}
}

// quick and steady mark a cell.
func quick(c workload.Cell) workload.Cell {
	c.Quick = true
	return c
}

func steady(c workload.Cell) workload.Cell {
	c.Steady = true
	return c
}

// or is a number of the command line, where zero is the default.
func or(n, zero int) int {
	if n == 0 {
		return zero
	}
	return n
}

const greeting = "Hello, World!"

// httpRequest is what a load generator for HTTP usually sends.
func httpRequest(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
}

func greet(contestant.Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(greeting)) })
}

// netHTTP is net/http. It cannot run in a coroutine: it waits on channels and locks.
func netHTTP(handler func(contestant.Options) http.Handler) server {
	return server{
		name:     "nethttp",
		about:    "net/http",
		detached: true,
		listen: func(ln net.Listener, o contestant.Options) error {
			return http.Serve(ln, handler(o))
		},
	}
}

func greetFast(contestant.Options) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) { c.WriteString(greeting) }
}

func fastHTTP(handle func(contestant.Options) fasthttp.RequestHandler) server {
	return server{
		name:     "fasthttp",
		about:    "fasthttp",
		detached: true,
		listen: func(ln net.Listener, o contestant.Options) error {
			return (&fasthttp.Server{Handler: handle(o)}).Serve(ln)
		},
		handler: func(o contestant.Options) (handler, error) {
			s := &fasthttp.Server{Handler: handle(o)}
			return func(_ context.Context, c net.Conn) error { return s.ServeConn(c) }, nil
		},
	}
}
