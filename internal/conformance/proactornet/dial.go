package proactornet

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// Dial is net.Dial.
func Dial(network, address string) (net.Conn, error) {
	return DialContext(new(net.Dialer), context.Background(), network, address)
}

// DialTimeout is net.DialTimeout.
func DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return DialContext(&net.Dialer{Timeout: timeout}, context.Background(), network, address)
}

// DialTCP is net.DialTCP.
func DialTCP(network string, local, remote *net.TCPAddr) (net.Conn, error) {
	d := new(net.Dialer)
	if local != nil {
		d.LocalAddr = local
	}
	return DialContext(d, context.Background(), network, remote.String())
}

// DialContext is d.DialContext.
func DialContext(d *net.Dialer, ctx context.Context, network, address string) (net.Conn, error) {
	if onNet() {
		return d.DialContext(ctx, network, address)
	}
	if !d.Deadline.IsZero() {
		limited, cancel := context.WithDeadline(ctx, d.Deadline)
		defer cancel()
		ctx = limited
	}
	ours := proactor.Dialer{Timeout: d.Timeout, LocalAddr: d.LocalAddr, FallbackDelay: d.FallbackDelay}
	if d.Resolver != nil {
		ours.Resolver = d.Resolver
	}
	if !onLoop() || isPacket(network) {
		return ours.DialContext(ctx, Runtime(), network, address)
	}
	c, err := ours.Dial(ctx, Runtime(), network, address).Await(ctx)
	if err != nil {
		return nil, err
	}
	return c.NetConn(context.Background()), nil
}

func isPacket(network string) bool {
	return len(network) >= 3 && network[:3] == "udp" || network == "unixgram"
}

// Pipe is net.Pipe with what a socket holds in between: both ends of a connection.
func Pipe() (net.Conn, net.Conn) {
	one, other, err := Pair("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return one, other
}

// Pair is both ends of a connection: the one that was dialed, the one accepted.
func Pair(network, address string) (dialed, accepted net.Conn, err error) {
	ln, err := Listen(network, address)
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if dialed, err = Dial(network, ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	if accepted, err = ln.Accept(); err != nil {
		dialed.Close()
		return nil, nil, err
	}
	return dialed, accepted, nil
}

func typeName(v any) string { return fmt.Sprintf("%T", v) }
