// Onnet serves what httpd does, on package net: what TestCompare compares it with.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/valyala/fasthttp"
)

const greeting = "Hello, World!\n"

func main() {
	engine := flag.String("engine", "nethttp", "nethttp or fasthttp")
	root := flag.String("root", ".", "directory of /files/")
	flag.Parse()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "listening on tcp %s\n", ln.Addr())
	if *engine == "fasthttp" {
		err = fastServer().Serve(ln)
	} else {
		err = netServer(*root).Serve(ln)
	}
	log.Fatal(err)
}

// The settings are httpd's.

func fastServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("text/plain; charset=utf-8")
			ctx.WriteString(greeting)
		},
		ReadTimeout:           10 * time.Second,
		IdleTimeout:           time.Minute,
		LazyRequestTime:       true,
		ReadBufferSize:        16 << 10,
		NoDefaultServerHeader: true,
	}
}

func netServer(root string) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, greeting)
	})
	mux.Handle("GET /files/", http.StripPrefix("/files", http.FileServer(http.Dir(root))))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}
