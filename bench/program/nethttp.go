package program

import (
	"net"
	"net/http"

	"github.com/goproactor/goproactor/bench/load"
)

const hello = "Hello, World!"

// helloRequest is what a load generator for HTTP usually sends.
const helloRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"

var _ = register(Program{
	Name:   "net/http",
	About:  "HTTP/1.1, 64 connections, a short answer",
	Unit:   "request",
	Listen: serveHTTP,

	NoCoroutine: "it waits on channels and locks",

	Load:  load.Job{Conns: 64, Window: 1},
	drive: driveRequests([]byte(helloRequest), answered),
})

func serveHTTP(ln net.Listener, _ Options) error {
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(hello))
	}))
}
