// Forwarding compares what a proxy costs: Conn.Forward on each backend against io.Copy
// between connections of package net, which splices.
//
//	go -C bench run ./forwarding
//
// A proxy is a process of its own with one processor (GOMAXPROCS=1); the clients and the
// upstream are in this one. What counts is the processor time of the proxy alone. The
// variants take turns, and the ratio is the median of the rounds'.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goproactor/goproactor/bench/process"
	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// workload is what each client does, over and over: it sends a request and awaits an
// answer.
type workload struct {
	name          string
	clients       int
	answer        int // bytes, of an answer
	asked         int // bytes, of a request
	requestsRound int // of all clients
}

var workloads = []workload{
	{"small: 64 B there and back, 64 clients", 64, 64, 64, 60_000},
	{"bulk: 1 MiB back, 8 clients", 8, 1 << 20, 64, 1500},
	{"upload: 1 MiB there, 8 clients", 8, 64, 1 << 20, 1500},
	{"64 KiB back, 16 clients", 16, 64 << 10, 64, 12_000},
}

var variants = []string{"net", "io_uring", "epoll"}

func main() {
	rounds := flag.Int("rounds", 7, "rounds of each variant")
	only := flag.String("only", "", "workloads whose name contains this")
	proxy := flag.String("proxy", "", "be a proxy of this variant (used by the program itself)")
	upstream := flag.String("upstream", "", "its upstream")
	flag.Parse()
	if *proxy != "" {
		check(serve(*proxy, *upstream))
		return
	}
	for _, w := range workloads {
		if strings.Contains(w.name, *only) {
			check(w.compare(*rounds))
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "forwarding:", err)
		os.Exit(1)
	}
}

// compare prints the cost of each variant.
func (w workload) compare(rounds int) error {
	up, err := w.upstream()
	if err != nil {
		return err
	}
	defer up.Close()
	costs := map[string][]float64{}
	for range rounds {
		for _, v := range variants {
			cost, err := w.round(v, up.Addr().String())
			if err != nil {
				return fmt.Errorf("%s: %w", v, err)
			}
			costs[v] = append(costs[v], float64(cost.Nanoseconds())/1000/float64(w.requestsRound))
		}
	}
	fmt.Println(w.name)
	for _, v := range variants {
		var ratios []float64
		for i, c := range costs[v] {
			ratios = append(ratios, c/costs["net"][i])
		}
		slices.Sort(ratios)
		all := slices.Sorted(slices.Values(costs[v]))
		fmt.Printf("  %-9s %8.1f µs a request   %.2f of net (%.2f to %.2f)\n",
			v, all[len(all)/2], ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
	}
	return nil
}

// upstream answers each request.
func (w workload) upstream() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer, request := make([]byte, w.answer), make([]byte, w.asked)
				for {
					if _, err := io.ReadFull(c, request); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln, nil
}

// round runs a proxy under the workload and returns the processor time that it took,
// starting and warming up apart.
func (w workload) round(variant, upstream string) (time.Duration, error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(program, "-proxy", variant, "-upstream", upstream)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, err
	}
	conns := make([]net.Conn, w.clients)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", strings.TrimSpace(addr)); err != nil {
			return 0, err
		}
		defer conns[i].Close()
	}
	if err := w.load(conns, w.requestsRound/10); err != nil {
		return 0, err
	}
	before, err := process.CPU(cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if err := w.load(conns, w.requestsRound); err != nil {
		return 0, err
	}
	after, err := process.CPU(cmd.Process.Pid)
	return after - before, err
}

// load makes so many requests.
func (w workload) load(conns []net.Conn, requests int) error {
	var running sync.WaitGroup
	failures := make(chan error, len(conns))
	for _, c := range conns {
		running.Go(func() {
			answer, request := make([]byte, w.answer), make([]byte, w.asked)
			for range requests / len(conns) {
				if _, err := c.Write(request); err != nil {
					failures <- err
					return
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	running.Wait()
	close(failures)
	return <-failures
}

// serve is a proxy.
func serve(variant, upstream string) error {
	if variant == "net" {
		return serveNet(upstream)
	}
	backend, err := proactor.ParseBackend(variant)
	if err != nil {
		return err
	}
	rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
	if err != nil {
		return err
	}
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	return ln.Serve(context.Background(), func(ctx context.Context, client *proactor.Conn) error {
		server, err := rt.Dial(ctx, "tcp", upstream).Await(ctx)
		if err != nil {
			return err
		}
		defer server.Close()
		_, err = futures.All(client.Forward(server), server.Forward(client)).Await(ctx)
		return err
	})
}

func serveNet(upstream string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	for {
		client, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				return
			}
			defer server.Close()
			done := make(chan struct{})
			go func() {
				io.Copy(server, client)
				server.(*net.TCPConn).CloseWrite()
				close(done)
			}()
			io.Copy(client, server)
			client.(*net.TCPConn).CloseWrite()
			<-done
		}()
	}
}
