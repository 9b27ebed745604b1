package ring_test

import (
	"fmt"
	"runtime"

	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// receiveQueue opens a queue that receives into an area, from a network card if that can do
// it, else from any interface with a copy.
func receiveQueue(device string, queue int, a *ring.ReceiveArea) (ring.Queue, error) {
	r, err := ring.Open(ring.Options{ZeroCopyReceive: true})
	if err == nil {
		if err = r.RegisterReceiveArea(device, queue, a); err == nil {
			return r, nil
		}
		r.Close() // err says what the card, or the process, lacks
	}
	q, err := epollfallback.Open(epollfallback.Options{ZeroCopyReceive: true})
	if err != nil {
		return nil, err
	}
	return q, q.RegisterReceiveArea(device, queue, a)
}

func ExampleReceiveArea() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	area, err := ring.NewReceiveArea(64)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer area.Close() // after the queue
	q, err := receiveQueue("lo", 0, area)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()

	conn, peer, err := connection()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unix.Close(conn)
	unix.Write(peer, []byte("hello"))
	unix.Close(peer)
	e := q.Next()
	e.PrepRecvZC(conn, 0)
	e.SetUserData(1)
	for {
		if err := q.Enter(ring.Forever); err != nil {
			fmt.Println(err)
			return
		}
		var c [16]ring.CQE
		for _, c := range c[:q.Reap(c[:])] {
			if !c.More() {
				fmt.Println("ended with", c.Result())
				return
			}
			fmt.Printf("%s\n", area.Bytes(c.BufferID()))
			area.Return(c.BufferID())
		}
		area.Publish()
	}
	// Output:
	// hello
	// ended with 0
}

// connection is a TCP connection of the process with itself.
func connection() (conn, peer int, err error) {
	const kind = unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	listener, err := unix.Socket(unix.AF_INET, kind, 0)
	if err != nil {
		return -1, -1, err
	}
	defer unix.Close(listener)
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, -1, err
	}
	if err := unix.Listen(listener, 1); err != nil {
		return -1, -1, err
	}
	address, err := unix.Getsockname(listener)
	if err != nil {
		return -1, -1, err
	}
	if peer, err = unix.Socket(unix.AF_INET, kind, 0); err != nil {
		return -1, -1, err
	}
	if err := unix.Connect(peer, address); err != nil {
		return -1, -1, err
	}
	conn, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	return conn, peer, err
}
