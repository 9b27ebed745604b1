// Command fib is an echo server on fib, for the benchmark: a module of its own, for fib
// needs a newer Go than the rest. One event loop and fib's own pool of workers; everything
// else is its default.
package main

import (
	"flag"
	"fmt"
	"os"
	"sync"

	"github.com/lesismal/fib"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "fib:", err)
		os.Exit(1)
	}
}

func serve() error {
	addr := flag.String("addr", "127.0.0.1:0", "listen on this `host:port`")
	broadcast := flag.Bool("broadcast", false, "send what comes in to every connection instead of back")
	flag.Parse()
	handler := fib.Handler(fib.HandlerFuncs{Data: func(c *fib.Connection, p []byte) { c.Send(p) }})
	if *broadcast {
		handler = newRoom()
	}
	config := fib.DefaultConfig()
	config.IOPollers, config.IOPollerCount = true, 1
	engine, err := fib.New(config, fib.Binding{Network: "tcp", Addr: *addr, Handler: handler})
	if err != nil {
		return err
	}
	defer engine.Close()
	addrs, err := engine.BindingAddrs(0)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on tcp %s\n", addrs[0])
	return engine.Run()
}

// newRoom sends what one connection says to all.
func newRoom() fib.Handler {
	var mu sync.Mutex
	members := map[*fib.Connection]bool{}
	return fib.HandlerFuncs{
		Open: func(c *fib.Connection) {
			mu.Lock()
			defer mu.Unlock()
			members[c] = true
		},
		Close: func(c *fib.Connection, _ error) {
			mu.Lock()
			defer mu.Unlock()
			delete(members, c)
		},
		Data: func(_ *fib.Connection, p []byte) {
			mu.Lock()
			defer mu.Unlock()
			for c := range members {
				c.Send(p)
			}
		},
	}
}
