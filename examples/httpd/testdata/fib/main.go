// Fib answers / as httpd does, on fib: what TestCompare compares it with. It is a module
// of its own because fib asks for a newer Go.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/lesismal/fib"
	fibhttp "github.com/lesismal/fib/http"
)

var greeting = []byte("Hello, World!\n")

func main() {
	app := fibhttp.HandlerFunc(func(c *fibhttp.Context) {
		c.Respond(http.StatusOK, "text/plain; charset=utf-8", greeting)
	})
	engine, err := fib.New(fib.DefaultConfig(), fib.Binding{Network: "tcp", Addr: "127.0.0.1:0", Handler: fibhttp.NewHandler(app)})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- engine.Run() }()
	addresses, err := engine.BindingAddrs(0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "listening on tcp %s\n", addresses[0])
	log.Fatal(<-served)
}
