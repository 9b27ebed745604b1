package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

func ExampleRuntime_Dial() {
	rt, err := proactor.New()
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ln.OnConn(func(c *proactor.Conn) {
		c.SendBytes([]byte("welcome")).Then(func(int, error) { c.Close() })
	})

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := rt.Dial(ctx, "tcp", ln.Addr().String()).Await(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for buf, err := range c.Bufs(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(string(buf.Bytes()))
		buf.Release()
	}
	// Output: welcome
}

func ExampleDialer_Dial() {
	rt, err := proactor.New()
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	ctx := context.Background()
	d := proactor.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	_, err = d.Dial(ctx, rt, "tcp", "127.0.0.1:1").Await(ctx)
	fmt.Println(errors.Is(err, syscall.ECONNREFUSED))
	// Output: true
}
