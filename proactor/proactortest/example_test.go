package proactortest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
)

var t *testing.T // as the function of a test is given one
var b *testing.B

// greet is the handler under test.
func greet(ctx context.Context, c *proactor.Conn) error {
	name, err := c.Reader().ReadSlice(ctx, '\n')
	if err != nil {
		return err
	}
	w := c.Writer()
	w.WriteString("hello, ")
	w.Write(name)
	_, err = w.Flush().Await(ctx)
	return err
}

// A handler, on every backend. That it returns, and gives back what it had, is looked
// at in the end.
func ExampleServe() {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		conn := proactortest.Serve(t, greet, proactor.WithBackend(b))
		fmt.Fprintln(conn, "world")
		answer, err := io.ReadAll(conn) // until the handler has returned
		if err != nil || string(answer) != "hello, world\n" {
			t.Fatalf("got %q, %v", answer, err)
		}
	})
}

// A handler of messages.
func ExampleServePacket() {
	conn := proactortest.ServePacket(t, func(ctx context.Context, pc *proactor.PacketConn) error {
		for m, err := range pc.Messages(ctx) {
			if err != nil {
				return err
			}
			if _, err := pc.Reply(m).Await(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	fmt.Fprint(conn, "ping")
	answer := make([]byte, 16)
	if n, err := conn.Read(answer); err != nil || string(answer[:n]) != "ping" {
		t.Fatalf("got %q, %v", answer[:n], err)
	}
}

// Several clients of one handler.
func ExampleListen() {
	address := proactortest.Listen(t, greet)
	for _, name := range []string{"one", "two"} {
		conn, err := net.Dial(address.Network(), address.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintln(conn, name)
		if answer, err := io.ReadAll(conn); string(answer) != "hello, "+name+"\n" {
			t.Fatalf("got %q, %v", answer, err)
		}
	}
}

// What is no handler: two ends of a socket pair, on one loop.
func ExampleStart() {
	rt := proactortest.Start(t)
	one, other, err := rt.SocketPair("unix")
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Recv().Await(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// A handler whose operations are cut short, late, interrupted and refused.
func ExampleFaults() {
	for seed := range uint64(50) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			conn := proactortest.Serve(t, greet, proactortest.Faults(seed))
			fmt.Fprintln(conn, "world")
			if answer, err := io.ReadAll(conn); string(answer) != "hello, world\n" {
				t.Fatalf("got %q, %v", answer, err)
			}
		})
	}
}

// A benchmark on each backend that this machine has.
func ExampleBackends() {
	for _, backend := range proactortest.Backends(b) {
		b.Run(backend.String(), func(b *testing.B) {
			conn := proactortest.Serve(b, echo, proactor.WithBackend(backend))
			p := make([]byte, 64)
			for b.Loop() {
				conn.Write(p)
				io.ReadFull(conn, p)
			}
		})
	}
}

// Descriptors and goroutines of the whole process.
func ExampleCheckProcess() {
	proactortest.CheckProcess(t) // first: it looks last
	conn := proactortest.Serve(t, greet)
	fmt.Fprintln(conn, "world")
}
