package proactor_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"github.com/goproactor/goproactor/proactor"
)

// A handler looks at the first bytes, and gives what is not its own to a library that
// uses goroutines.
func ExampleConn_Detach() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	c, peer := peerOf(rt)
	defer peer.Close()
	must(peer.SendBytes([]byte("hello")).Await(context.Background()))

	first := must(c.Recv().Await(context.Background()))
	c.Unread(first) // nothing is lost
	conn := must(c.Detach())
	defer conn.Close()

	p := make([]byte, 5)
	must(io.ReadFull(conn, p))
	fmt.Println(string(p))
	// Output: hello
}

// A connection of package net goes on, on a loop.
func ExampleRuntime_Adopt() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	peer := must(net.Dial("tcp", ln.Addr().String()))
	defer peer.Close()

	c := must(rt.Adopt(must(ln.Accept())))
	defer c.Close()
	must(c.SendBytes([]byte("from the loop")).Await(context.Background()))

	p := make([]byte, 13)
	must(io.ReadFull(peer, p))
	fmt.Println(string(p))
	// Output: from the loop
}

// Whoever calls gets what suits it: a goroutine a connection of package net, a task one
// of its loop.
func ExampleRuntime_DialContext() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	address := echoing(rt).Addr().String()

	conn := must(rt.DialContext(context.Background(), "tcp", address))
	fmt.Printf("%T\n", conn)
	conn.Close()

	must(rt.Go(context.Background(), func(ctx context.Context) error {
		conn, err := rt.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		fmt.Fprint(conn, "hello")
		p := make([]byte, 5)
		_, err = io.ReadFull(conn, p) // the loop goes on meanwhile
		fmt.Println(string(p))
		return err
	}).Await(context.Background()))
	// Output:
	// *net.TCPConn
	// hello
}

// A process is started with a listening socket, as a service manager does it
// (sd_listen_fds(3)). Here the example starts itself, and is the service then.
func ExampleRuntime_Activation() {
	if os.Getenv("LISTEN_FDS") != "" {
		activatedService()
		os.Exit(0)
	}
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	socket := must(ln.(*net.TCPListener).File())
	ln.Close() // the port stays open: the file is another descriptor for its socket
	service := exec.Command(must(os.Executable()), "-test.run=^ExampleRuntime_Activation$")
	service.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=greeting")
	service.ExtraFiles = []*os.File{socket} // descriptor 3
	if err := service.Start(); err != nil {
		panic(err)
	}
	socket.Close()
	conn := must(net.Dial("tcp", ln.Addr().String()))
	fmt.Println(string(must(io.ReadAll(conn))))
	if err := service.Wait(); err != nil {
		panic(err)
	}
	// Output: hello from the service
}

// activatedService is the other process: it takes over the socket by its name.
func activatedService() {
	rt := must(proactor.New(proactor.WithLoops(1)))
	defer rt.Close()
	activated := must(rt.Activation())
	ln := activated.Listeners["greeting"][0]
	c := must(ln.Accept().Await(context.Background()))
	must(c.SendBytes([]byte("hello from the service")).Await(context.Background()))
	c.Close()
	must(c.Closed().Await(context.Background()))
}
