package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// must is for examples, which end where something fails.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// peerOf is a connection whose other end the example is.
func peerOf(rt *proactor.Runtime) (c, peer *proactor.Conn) {
	c, peer, err := rt.SocketPair("unix")
	if err != nil {
		panic(err)
	}
	return c, peer
}

// echoing is a server that sends back what it is sent.
func echoing(rt *proactor.Runtime) *proactor.Listener {
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	ln.OnConn(func(c *proactor.Conn) {
		c.OnRecv(func(buf proactor.Buffer, err error) {
			if err != nil {
				c.Close()
				return
			}
			c.Queue(buf)
		})
	})
	return ln
}

func ExampleNew() {
	rt, err := proactor.New(proactor.WithLoops(2), proactor.WithBackend(proactor.Auto))
	if err != nil {
		fmt.Println(err) // says what was tried
		return
	}
	defer rt.Close()
	fmt.Println(len(rt.Loops()), "loops")
	// Output: 2 loops
}

func ExampleRuntime_Backend() {
	rt := must(proactor.New(proactor.WithBackend(proactor.Epoll)))
	defer rt.Close()
	fmt.Println(rt.Backend().Backend)
	// Output: epoll
}

func ExampleRuntime_Listen() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	go ln.Serve(context.Background(), func(ctx context.Context, c *proactor.Conn) error {
		for {
			buf, err := c.Recv().Await(ctx)
			if err != nil {
				return err
			}
			if _, err := c.Send(buf).Await(ctx); err != nil {
				return err
			}
		}
	})
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	fmt.Fprint(peer, "hello")
	p := make([]byte, 5)
	must(io.ReadFull(peer, p))
	fmt.Printf("%s\n", p)
	// Output: hello
}

func ExampleListener_OnConn() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	ln.OnConn(func(c *proactor.Conn) {
		c.OnRecv(func(buf proactor.Buffer, err error) {
			if err != nil {
				c.Close()
				return
			}
			c.Queue(buf)
		})
	})
	peer := must(net.Dial("tcp", ln.Addr().String()))
	fmt.Fprint(peer, "by callback")
	peer.(*net.TCPConn).CloseWrite()
	fmt.Printf("%s\n", must(io.ReadAll(peer)))
	// Output: by callback
}

func ExampleListener_Accept() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	accepted := ln.Accept()
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	c := must(accepted.Await(context.Background()))
	fmt.Println(c.RemoteAddr().String() == peer.LocalAddr().String())
	// Output: true
}

func ExampleListener_Conns() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	go func() {
		for i := range 3 {
			peer := must(net.Dial("tcp", ln.Addr().String()))
			fmt.Fprint(peer, i)
			peer.Close()
		}
	}()
	n := 0
	for c, err := range ln.Conns(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		c.Close()
		if n++; n == 3 {
			ln.Close() // ends the range
		}
	}
	fmt.Println(n, "connections")
	// Output: 3 connections
}

func ExampleWithSpread() {
	rt := must(proactor.New(proactor.WithLoops(2)))
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0", proactor.WithSpread(proactor.SpreadRoundRobin)))
	on := map[*proactor.Loop]int{}
	for range 10 {
		f := ln.Accept()
		peer := must(net.Dial("tcp", ln.Addr().String()))
		defer peer.Close()
		on[must(f.Await(context.Background())).Loop()]++
	}
	for _, l := range rt.Loops() {
		fmt.Println(on[l])
	}
	// Output:
	// 5
	// 5
}

func ExampleConn_Recv() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.SendBytes([]byte("a lease on this"))
	buf := must(c.Recv().Await(context.Background()))
	fmt.Printf("%s\n", buf.Bytes())
	buf.Release()
	// Output: a lease on this
}

func ExampleConn_RecvInto() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.SendBytes([]byte("into my own memory"))
	p := make([]byte, 64)
	n := must(c.RecvInto(p).Await(context.Background()))
	fmt.Printf("%s\n", p[:n])
	// Output: into my own memory
}

func ExampleConn_Bufs() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.SendBytes([]byte("everything until the end"))
	peer.CloseWrite()
	var all strings.Builder
	for buf, err := range c.Bufs(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		all.Write(buf.Bytes())
		buf.Release()
	}
	fmt.Println(all.String())
	// Output: everything until the end
}

func ExampleConn_SendVector() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	n := must(c.SendVector([]byte("head "), []byte("and body")).Await(context.Background()))
	c.Close()
	var all []byte
	for buf := range peer.Bufs(context.Background()) {
		all = append(all, buf.Bytes()...)
		buf.Release()
	}
	fmt.Printf("%d bytes: %s\n", n, all)
	// Output: 13 bytes: head and body
}

// Own memory, sent whole; it is the library's until the future resolves.
func ExampleConn_SendBytes() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	p := []byte("all of it")
	n := must(c.SendBytes(p).Await(context.Background()))
	clear(p)
	buf := must(peer.Recv().Await(context.Background()))
	fmt.Printf("%d %s\n", n, buf.Bytes())
	buf.Release()
	// Output: 9 all of it
}

// Queue waits for nothing as long as the peer keeps up: the future of a send
// that fits under the high-water mark has resolved already.
func ExampleConn_Queue() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	served := c.Loop().Go(context.Background(), func(ctx context.Context) error {
		for buf, err := range c.Bufs(ctx) {
			if err != nil {
				return err
			}
			if _, err := c.Queue(buf).Await(ctx); err != nil { // the lease goes with it
				return err
			}
		}
		return c.Close() // when what is queued has gone out
	})
	peer.SendBytes([]byte("echo"))
	peer.CloseWrite()
	for buf := range peer.Bufs(context.Background()) {
		fmt.Printf("%s\n", buf.Bytes())
		buf.Release()
	}
	_, err := served.Await(context.Background())
	fmt.Println(err)
	// Output:
	// echo
	// <nil>
}

func ExampleConn_OnRecv() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	end := make(chan error, 1)
	c.OnRecv(func(buf proactor.Buffer, err error) { // on the connection's loop
		if err != nil {
			end <- err
			return
		}
		fmt.Printf("%s\n", buf.Bytes())
		buf.Release()
	})
	peer.SendBytes([]byte("called back"))
	peer.CloseWrite()
	fmt.Println(<-end)
	// Output:
	// called back
	// EOF
}

func ExampleConn_SetDeadline() {
	rt := must(proactor.New())
	defer rt.Close()
	c, _ := peerOf(rt)
	c.SetDeadline(time.Now().Add(-time.Second))
	_, err := c.SendBytes([]byte("too late")).Await(context.Background())
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	c.SetDeadline(time.Time{}) // no limit any more
	_, err = c.SendBytes([]byte("in time")).Await(context.Background())
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// Abort leaves unsent what is queued, and a TCP peer with a reset.
func ExampleConn_Abort() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	accepted := ln.Accept()
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	must(accepted.Await(context.Background())).Abort()
	_, err := peer.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, syscall.ECONNRESET))
	// Output: true
}

func ExampleConn_SetReadDeadline() {
	rt := must(proactor.New())
	defer rt.Close()
	c, _ := peerOf(rt)
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Recv().Await(context.Background())
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	// Output: true
}

func ExampleConn_CloseWrite() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	must(c.CloseWrite().Await(context.Background()))
	_, err := peer.Recv().Await(context.Background())
	fmt.Println(err)
	// Output: EOF
}

func ExampleConn_Move() {
	rt := must(proactor.New(proactor.WithLoops(2)))
	defer rt.Close()
	c, peer := peerOf(rt)
	to := rt.Loops()[0]
	moved := must(c.Move(to).Await(context.Background()))
	_, err := c.Recv().Await(context.Background())
	fmt.Println(moved.Loop() == to, errors.Is(err, proactor.ErrMoved))
	peer.SendBytes([]byte("to the new one"))
	buf := must(moved.Recv().Await(context.Background()))
	fmt.Printf("%s\n", buf.Bytes())
	buf.Release()
	// Output:
	// true true
	// to the new one
}

func ExampleConn_NetConn() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.SendBytes([]byte("a line\n"))
	var word string
	fmt.Fscan(c.NetConn(context.Background()), &word)
	fmt.Println(word)
	// Output: a
}

func ExampleRuntime_Chain() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	ln.OnConn(func(c *proactor.Conn) { c.OnRecv(func(buf proactor.Buffer, err error) { c.Queue(buf) }) })

	c, connect, err := rt.Unconnected("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := make([]byte, 4)
	results, err := rt.Chain(connect, c.SendStep([]byte("ping")), c.RecvFullStep(answer)).Await(context.Background())
	fmt.Println(results[1].N, results[2].N, string(answer), err)
	// Output: 4 4 ping <nil>
}

func ExampleRuntime_Sleep() {
	rt := must(proactor.New())
	defer rt.Close()
	start := time.Now()
	must(rt.Sleep(5 * time.Millisecond).Await(context.Background()))
	fmt.Println(time.Since(start) >= 5*time.Millisecond)
	// Output: true
}

// A timer of a loop, for many of them: it allocates little, and arming and
// stopping take O(log n).
func ExampleLoop_AfterFunc() {
	rt := must(proactor.New())
	defer rt.Close()
	l := rt.Loops()[0]
	fired := make(chan string)
	stop := l.AfterFunc(time.Hour, func() { fired <- "never" })
	l.AfterFunc(time.Millisecond, func() { fired <- "in time" })
	fmt.Println(<-fired, stop())
	// Output: in time true
}

func ExampleRuntime_Every() {
	rt := must(proactor.New())
	defer rt.Close()
	tick := rt.Every(time.Millisecond)
	n := 0
	for range tick.All(context.Background()) {
		if n++; n == 3 {
			tick.Stop()
			break
		}
	}
	fmt.Println(n, "ticks")
	// Output: 3 ticks
}

func ExampleRuntime_Go() {
	rt := must(proactor.New())
	defer rt.Close()
	_, err := rt.Go(context.Background(), func(ctx context.Context) error {
		_, err := rt.Sleep(time.Millisecond).Await(ctx) // holds up nobody
		return err
	}).Await(context.Background())
	fmt.Println(err)
	// Output: <nil>
}

func ExampleLoop_Do() {
	rt := must(proactor.New())
	defer rt.Close()
	done := make(chan bool)
	l := rt.Loops()[0]
	l.Do(func() { done <- l.Inside() })
	fmt.Println(<-done)
	// Output: true
}

func ExampleRuntime_Stats() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.SendBytes([]byte("x"))
	buf := must(c.Recv().Await(context.Background()))
	fmt.Println(rt.Stats().Total().Conns, "connections,", rt.Stats().Total().BuffersOut, "buffer out")
	buf.Release()
	// Output: 2 connections, 1 buffer out
}

func ExampleRuntime_Shutdown() {
	rt := must(proactor.New())
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	fmt.Println(rt.Shutdown(ctx)) // handlers finish, what is queued is sent
	// Output: <nil>
}
