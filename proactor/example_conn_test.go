package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// Package net/http on a listener of the runtime: it serves on goroutines of its own.
func ExampleListener_NetListener() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello, ", r.URL.Path[1:])
	})}
	served := make(chan error)
	go func() { served <- server.Serve(ln.NetListener()) }()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer := must(client.Get("http://" + ln.Addr().String() + "/gopher"))
	body := must(io.ReadAll(answer.Body))
	answer.Body.Close()
	fmt.Printf("%s\n", body)
	server.Close()
	fmt.Println(<-served)
	// Output:
	// hello, gopher
	// http: Server closed
}

// A handler for each connection, until the context ends: the handlers' contexts
// end with it.
func ExampleListener_Serve() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- ln.Serve(ctx, func(ctx context.Context, c *proactor.Conn) error {
			c.SendBytes([]byte("welcome"))
			_, err := c.Recv().Await(ctx) // until the client sends something, or ctx ends
			return err
		})
	}()
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	p := make([]byte, 7)
	must(io.ReadFull(peer, p))
	stop()
	fmt.Printf("%s, %v\n", p, <-ended)
	// Output: welcome, context canceled
}

// Close ends accepting, not the connections.
func ExampleListener_Close() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	accepted := ln.Accept()
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	c := must(accepted.Await(context.Background()))
	ln.Close()
	_, err := ln.Accept().Await(context.Background())
	fmt.Println(errors.Is(err, proactor.ErrClosed))
	fmt.Fprint(peer, "still there")
	buf := must(c.Recv().Await(context.Background()))
	fmt.Printf("%s\n", buf.Bytes())
	buf.Release()
	// Output:
	// true
	// still there
}

// Received data is sent from the buffer that it was received in.
func ExampleConn_Send() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.SendBytes([]byte("echo"))
	buf := must(c.Recv().Await(context.Background()))
	n := must(c.Send(buf).Await(context.Background())) // Send takes over the lease: no Release
	answer := must(peer.Recv().Await(context.Background()))
	fmt.Printf("%d %s\n", n, answer.Bytes())
	answer.Release()
	// Output: 4 echo
}

// Queued data is still sent after Close, which does not wait for that.
func ExampleConn_Close() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	c.SendBytes([]byte("goodbye"))
	c.Close()
	for buf, err := range peer.Bufs(context.Background()) {
		fmt.Printf("%s %v\n", buf.Bytes(), err)
		buf.Release()
	}
	_, err := c.SendBytes([]byte("one more")).Await(context.Background())
	fmt.Println(errors.Is(err, proactor.ErrClosed))
	// Output:
	// goodbye <nil>
	// true
}

// When it resolves no operation of the connection is in flight: its descriptor is closed,
// and memory of receives belongs to the program again.
func ExampleConn_Closed() {
	rt := must(proactor.New())
	defer rt.Close()
	c, _ := peerOf(rt)
	p := make([]byte, 64)
	receiving := c.RecvInto(p)
	c.Close()
	must(c.Closed().Await(context.Background()))
	_, err := receiving.Result()
	fmt.Println(errors.Is(err, proactor.ErrClosed), rt.Stats().Total().Conns)
	// Output: true 1
}

// The deadline ends a send to a peer that does not read.
func ExampleConn_SetWriteDeadline() {
	rt := must(proactor.New())
	defer rt.Close()
	c, _ := peerOf(rt)
	c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	p := make([]byte, 64<<20)
	n, err := c.SendBytes(p).Await(context.Background())
	fmt.Println(n < len(p), errors.Is(err, os.ErrDeadlineExceeded))
	// Output: true true
}

// The lease ends: the memory belongs to the library again, for other receives.
func ExampleBuffer_Release() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.SendBytes([]byte("hello"))
	buf := must(c.Recv().Await(context.Background()))
	kept := string(buf.Bytes()) // a copy stays valid after the lease
	buf.Release()
	defer func() { fmt.Println(kept, recover() != nil) }()
	buf.Bytes() // panics: another receive may use the memory by now
	// Output: hello true
}

func ExampleRuntime_Close() {
	rt := must(proactor.New())
	sleeping := rt.Sleep(time.Hour)
	fmt.Println(rt.Close()) // returns when nothing is in flight any more
	_, err := sleeping.Await(context.Background())
	fmt.Println(errors.Is(err, proactor.ErrClosed))
	_, err = rt.Listen("tcp", "127.0.0.1:0")
	fmt.Println(errors.Is(err, proactor.ErrClosed))
	// Output:
	// <nil>
	// true
	// true
}

// A task on the loop of a connection, where its operations are cheapest.
func ExampleLoop_Go() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	peer.SendBytes([]byte("hello"))
	_, err := c.Loop().Go(context.Background(), func(ctx context.Context) error {
		buf, err := c.Recv().Await(ctx) // other tasks of the loop go on
		if err != nil {
			return err
		}
		defer buf.Release()
		fmt.Printf("%s\n", buf.Bytes())
		return nil
	}).Await(context.Background())
	fmt.Println(err)
	// Output:
	// hello
	// <nil>
}

func ExampleTicker_Stop() {
	rt := must(proactor.New())
	defer rt.Close()
	ticks := rt.Every(time.Hour)
	ticks.Stop()
	_, err := ticks.Next().Await(context.Background())
	fmt.Println(err)
	// Output: EOF
}

func ExamplePoller_Stop() {
	rt := must(proactor.New())
	defer rt.Close()
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	defer r.Close()
	defer w.Close()
	events := rt.PollAll(int(r.Fd()), proactor.Readable)
	w.WriteString("x")
	fmt.Println(must(events.Next().Await(context.Background())))
	must(events.Stop().Await(context.Background())) // now the descriptor may be closed
	// Output: readable
}

// A backend named by a command-line flag.
func ExampleParseBackend() {
	for _, s := range []string{"epoll", "kqueue"} {
		backend, err := proactor.ParseBackend(s)
		fmt.Println(backend, err)
	}
	// Output:
	// epoll <nil>
	// auto backend "kqueue": want auto, io_uring or epoll
}

// Only io_uring: the error says what this kernel lacks. Epoll is always available.
func ExampleWithBackend() {
	rt, err := proactor.New(proactor.WithBackend(proactor.IOUring))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		rt = must(proactor.New(proactor.WithBackend(proactor.Epoll)))
	}
	fmt.Println(rt.Close())
	// Output: <nil>
}

func ExampleWithLoops() {
	rt := must(proactor.New(proactor.WithLoops(3)))
	defer rt.Close()
	fmt.Println(len(rt.Loops()))
	_, err := proactor.New(proactor.WithLoops(0))
	fmt.Println(err)
	// Output:
	// 3
	// proactor: 0 loops: want 1 to 1024
}

// Small buffers for many small messages; larger messages come in several pieces.
func ExampleWithBuffers() {
	rt := must(proactor.New(proactor.WithBuffers(64, 16)))
	defer rt.Close()
	c, peer := peerOf(rt)
	must(peer.SendBytes([]byte(strings.Repeat("x", 1000))).Await(context.Background()))
	peer.Close()
	total, largest := 0, 0
	for buf, err := range c.Bufs(context.Background()) {
		if err != nil {
			panic(err)
		}
		total, largest = total+buf.Len(), max(largest, buf.Len())
		buf.Release()
	}
	fmt.Println(total, largest < 1000)
	// Output: 1000 true
}

// Queue waits when that much is unsent: it limits what a server holds for a peer that
// does not read.
func ExampleWithHighWater() {
	rt := must(proactor.New(proactor.WithHighWater(1 << 20)))
	defer rt.Close()
	c, peer := peerOf(rt)
	go func() { // sends as long as the peer reads
		for p := make([]byte, 64<<10); ; {
			if _, err := peer.SendBytes(p).Await(context.Background()); err != nil {
				return
			}
		}
	}()
	_, err := c.Loop().Go(context.Background(), func(ctx context.Context) error {
		for total := 0; ; {
			buf, err := c.Recv().Await(ctx)
			if err != nil {
				return err
			}
			total += buf.Len()
			if _, err := c.Queue(buf).Result(); err == futures.ErrPending { // await it, usually
				fmt.Println("to wait with more than 1 MiB unsent:", total > 1<<20)
				return nil
			}
		}
	}).Await(context.Background())
	fmt.Println(err)
	// Output:
	// to wait with more than 1 MiB unsent: true
	// <nil>
}

// The peer never reads, so queued data is dropped after that time.
func ExampleWithDrainTimeout() {
	rt := must(proactor.New(proactor.WithDrainTimeout(time.Millisecond)))
	defer rt.Close()
	c, _ := peerOf(rt)
	sending := c.SendBytes(make([]byte, 64<<20))
	c.Close()
	must(c.Closed().Await(context.Background()))
	_, err := sending.Await(context.Background())
	fmt.Println(strings.Contains(err.Error(), "closed with data unsent"))
	// Output: true
}

// At the limit accepting pauses, until a connection is closed.
func ExampleWithMaxConns() {
	rt := must(proactor.New(proactor.WithMaxConns(1)))
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	first, second := ln.Accept(), ln.Accept()
	for range 2 {
		peer := must(net.Dial("tcp", ln.Addr().String()))
		defer peer.Close()
	}
	c := must(first.Await(context.Background()))
	_, err := second.Result()
	fmt.Println(errors.Is(err, futures.ErrPending))
	c.Close()
	must(second.Await(context.Background()))
	fmt.Println("accepted")
	// Output:
	// true
	// accepted
}

// What a handler failed with is logged, with whom it served, and ends that handler
// only.
func ExampleWithLogger() {
	same := func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey:
			return slog.Attr{}
		case "peer", "local", "listener": // their ports are others each time
			a.Value = slog.StringValue("127.0.0.1")
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: same}))
	rt := must(proactor.New(proactor.WithLoops(1), proactor.WithLogger(log)))
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	go ln.Serve(context.Background(), func(context.Context, *proactor.Conn) error {
		return errors.New("no such user")
	})
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	io.ReadAll(peer) // until the connection is closed
	// Output: level=ERROR msg="handler failed" loop=0 peer=127.0.0.1 local=127.0.0.1 listener=127.0.0.1 err="no such user"
}

// A callback that blocks its loop is logged, with its stack.
func ExampleWithStallLimit() {
	report := make(chan string, 16)
	log := slog.New(slog.NewTextHandler(lines(report), nil))
	rt := must(proactor.New(proactor.WithLogger(log), proactor.WithStallLimit(time.Millisecond)))
	defer rt.Close()
	answer := make(chan bool)
	rt.Loops()[0].Do(func() { <-answer }) // never wait like this on a loop
	for stack := range report {
		if strings.Contains(stack, "ExampleWithStallLimit") {
			break
		}
	}
	close(answer)
	fmt.Println("reported")
	// Output: reported
}

// lines is a writer to a channel. It drops lines that nobody receives.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// A few loops that never sleep while there is traffic, each on a processor of its
// own.
func ExampleWithBusyPoll() {
	rt := must(proactor.New(proactor.WithLoops(1), proactor.WithPinning(), proactor.WithBusyPoll(50*time.Microsecond)))
	defer rt.Close()
	ln := echoing(rt)
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	p := make([]byte, 4)
	for range 3 {
		fmt.Fprint(peer, "ping")
		must(io.ReadFull(peer, p))
	}
	fmt.Printf("%s\n", p)
	// Output: ping
}

// One loop whose system calls a thread of the kernel makes, where io_uring is there. On a
// machine with processors to spare each has one of its own: WithSubmissionThread(time.Second, 2)
// puts the thread on the third.
func ExampleWithSubmissionThread() {
	rt := must(proactor.New(proactor.WithLoops(1), proactor.WithPinning(), proactor.WithSubmissionThread(10*time.Millisecond)))
	defer rt.Close()
	ln := echoing(rt)
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	p := make([]byte, 4)
	fmt.Fprint(peer, "ping")
	must(io.ReadFull(peer, p))
	fmt.Printf("%s\n", p)
	// Output: ping
}

// Every large send is a SendZeroCopy: its memory belongs to the program again when the
// peer has acknowledged it.
func ExampleWithZeroCopy() {
	rt := must(proactor.New(proactor.WithZeroCopy(64 << 10)))
	defer rt.Close()
	ln := echoing(rt)
	ctx := context.Background()
	c := must(rt.Dial(ctx, "tcp", ln.Addr().String()).Await(ctx))
	large := make([]byte, 256<<10)
	sending := c.SendBytes(large)
	back := 0
	for buf, err := range c.Bufs(ctx) {
		if err != nil {
			panic(err)
		}
		back += buf.Len()
		buf.Release()
		if back == len(large) {
			break
		}
	}
	fmt.Println(must(sending.Await(ctx)) == back)
	// Output: true
}
