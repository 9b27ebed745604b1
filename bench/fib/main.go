// Command fib is a server on fib, for the benchmark: a module of its own, for fib needs a
// newer Go than the rest. It has event loops and fib's own pool of workers; everything else
// is its default.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/lesismal/fib"
	fibhttp "github.com/lesismal/fib/http"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "fib:", err)
		os.Exit(1)
	}
}

func serve() error {
	addr := flag.String("addr", "127.0.0.1:0", "listen on this `host:port`")
	what := flag.String("serve", "echo", "echo, http or proxy")
	broadcast := flag.Bool("broadcast", false, "send what comes in to every connection instead of back")
	loops := flag.Int("loops", 1, "event loops")
	upstream := flag.String("upstream", "", "what the proxy is for, `host:port`")
	flag.Parse()
	config := fib.DefaultConfig()
	config.IOPollers, config.IOPollerCount = true, *loops
	p := &proxy{upstream: *upstream}
	var handler fib.Handler
	switch {
	case *broadcast:
		handler = newRoom()
	case *what == "echo":
		handler = fib.HandlerFuncs{Data: func(c *fib.Connection, p []byte) { c.Send(p) }}
	case *what == "http":
		handler = fibhttp.NewHandler(fibhttp.HandlerFunc(greet))
	case *what == "proxy":
		handler = p.client()
	default:
		return fmt.Errorf("-serve %q: want echo, http or proxy", *what)
	}
	engine, err := fib.New(config, fib.Binding{Network: "tcp", Addr: *addr, Handler: handler})
	if err != nil {
		return err
	}
	defer engine.Close()
	p.engine = engine
	addrs, err := engine.BindingAddrs(0)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on tcp %s\n", addrs[0])
	return engine.Run()
}

var greeting = []byte("Hello, World!")

func greet(c *fibhttp.Context) { c.Respond(http.StatusOK, "text/plain; charset=utf-8", greeting) }

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
