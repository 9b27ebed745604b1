package proactor_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/goproactor/goproactor/proactor"
)

// A server of a line protocol. Lines are slices of the receive buffers, and answers to
// lines that came together are sent together.
func ExampleConn_Reader() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	go ln.Serve(context.Background(), func(ctx context.Context, c *proactor.Conn) error {
		r, w := c.Reader(), c.Writer()
		for line, err := range r.Lines(ctx, 1024) {
			if err != nil {
				return err // proactor.ErrFrameTooLong, for example
			}
			verb, argument, _ := bytes.Cut(line, []byte(" "))
			switch string(verb) {
			case "ECHO":
				w.WriteString("+")
				w.Write(argument)
			case "LENGTH":
				w.WriteString(":")
				w.Write(strconv.AppendInt(w.AvailableBuffer(), int64(len(argument)), 10))
			default:
				w.WriteString("-unknown command")
			}
			w.WriteString("\r\n")
			if r.Buffered() == 0 { // no more to answer now
				if _, err := w.Flush().Await(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})

	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()
	fmt.Fprint(peer, "ECHO hello\r\nLENGTH 12345\r\nQUIT\r\n")
	answers := bufio.NewScanner(peer)
	for range 3 {
		answers.Scan()
		fmt.Println(answers.Text())
	}
	// Output:
	// +hello
	// :5
	// -unknown command
}

// Frames that begin with their length.
func ExampleReader_Peek() {
	rt := must(proactor.New())
	defer rt.Close()
	one, other, err := rt.SocketPair("unix")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range []string{"first", "second"} {
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(s)))
		one.SendBytes(append(frame, s...))
	}
	one.Close()

	ctx := context.Background()
	r := other.Reader(proactor.WithFrameLimit(1 << 20))
	defer r.Release()
	for {
		header, err := r.Peek(ctx, 4)
		if err == io.EOF {
			break // between two frames; within one it is io.ErrUnexpectedEOF
		}
		size := binary.BigEndian.Uint32(header)
		r.Discard(len(header))
		body := must(r.Peek(ctx, int(size)))
		fmt.Printf("%s\n", body)
		r.Discard(len(body))
	}
	// Output:
	// first
	// second
}

// Flush sends what was written.
func ExampleConn_Writer() {
	rt := must(proactor.New())
	defer rt.Close()
	one, other, err := rt.SocketPair("unix")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	w := one.Writer()
	w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: ")
	w.Write(strconv.AppendInt(w.AvailableBuffer(), 5, 10))
	fmt.Fprintf(w, "\r\n\r\n%s", "hello")
	fmt.Println(must(w.Flush().Await(ctx)))

	b := must(other.Recv().Await(ctx))
	fmt.Printf("%q\n", b.Bytes())
	b.Release()
	// Output:
	// 43
	// "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
}

// A chat room: every message is sent to all. Nothing is copied, and a client that does not
// read is disconnected.
func ExampleBroadcast() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	var (
		mu   sync.Mutex
		room []*proactor.Conn
	)
	joined := make(chan struct{}, 3)
	go ln.Serve(context.Background(), func(ctx context.Context, c *proactor.Conn) error {
		c.SetQueueLimit(1<<20, proactor.QueueDrop)
		mu.Lock()
		room = append(room, c)
		mu.Unlock()
		joined <- struct{}{}
		for said, err := range c.Bufs(ctx) {
			if err != nil {
				return err
			}
			mu.Lock()
			proactor.Broadcast(said, room...)
			mu.Unlock()
		}
		return nil
	})

	var peers []net.Conn
	for range 3 {
		peer := must(net.Dial("tcp", ln.Addr().String()))
		defer peer.Close()
		<-joined
		peers = append(peers, peer)
	}
	fmt.Fprint(peers[0], "hello")
	for _, peer := range peers {
		p := make([]byte, 5)
		must(io.ReadFull(peer, p))
		fmt.Printf("%s\n", p)
	}
	// Output:
	// hello
	// hello
	// hello
}

// A proxy that ends idle connections, and counts the bytes that it forwards.
func ExampleConn_SetIdleTimeout() {
	rt := must(proactor.New())
	defer rt.Close()
	one, other, err := rt.SocketPair("unix")
	if err != nil {
		fmt.Println(err)
		return
	}
	other.SetIdleTimeout(1)
	_, err = other.Recv().Await(context.Background())
	fmt.Println(err.(net.Error).Timeout())
	one.Close()
	// Output: true
}
