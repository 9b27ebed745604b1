package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// TestAsPackageNet runs the same calls on a connection of package net and on one
// of ours, and compares what they say.
func TestAsPackageNet(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp", "unix", "unixpacket", "udp", "unixgram"} {
			for name, calls := range scripts {
				t.Run(network+", "+name, func(t *testing.T) {
					theirs, stop := dialedBy(t, network, net.Dial)
					defer stop()
					ours, stop := dialedBy(t, network, func(network, address string) (net.Conn, error) { return dialOurs(t, rt, network, address) })
					defer stop()
					for _, call := range calls {
						if call.streams && (network == "udp" || network == "unixgram") {
							continue
						}
						require.Equal(t, said(call.do(theirs)), said(call.do(ours)), call.name)
					}
				})
			}
		}
	})
}

type netCall struct {
	name    string
	do      func(net.Conn) (int, error)
	streams bool // not for messages
}

var (
	closeIt    = netCall{name: "Close", do: func(c net.Conn) (int, error) { return 0, c.Close() }}
	closeWrite = netCall{name: "CloseWrite", streams: true, do: func(c net.Conn) (int, error) { return 0, c.(interface{ CloseWrite() error }).CloseWrite() }}
	expireAll  = netCall{name: "SetDeadline", do: func(c net.Conn) (int, error) { return 0, c.SetDeadline(past) }}
	restore    = netCall{name: "SetDeadline never", do: func(c net.Conn) (int, error) { return 0, c.SetDeadline(never) }}
	write      = netCall{name: "Write", do: func(c net.Conn) (int, error) { return c.Write([]byte("x")) }}
	writeNone  = netCall{name: "Write nothing", streams: true, do: func(c net.Conn) (int, error) { return c.Write(nil) }}
	readNone   = netCall{name: "Read nothing", do: func(c net.Conn) (int, error) { return c.Read(nil) }}
	read       = netCall{name: "Read", do: func(c net.Conn) (int, error) { return c.Read(make([]byte, 1)) }}
	setRead    = netCall{name: "SetReadDeadline", do: func(c net.Conn) (int, error) { return 0, c.SetReadDeadline(past) }}
	setWrite   = netCall{name: "SetWriteDeadline", do: func(c net.Conn) (int, error) { return 0, c.SetWriteDeadline(past) }}
	addresses  = netCall{name: "addresses", do: func(c net.Conn) (int, error) {
		return 0, fmt.Errorf("%s %v %v", c.RemoteAddr().Network(), c.LocalAddr() != nil, c.RemoteAddr() != nil)
	}}
)

var scripts = map[string][]netCall{
	"closed":        {addresses, write, closeIt, closeIt, read, readNone, write, writeNone, expireAll, restore, setRead, setWrite, closeWrite, addresses, closeIt},
	"half closed":   {closeWrite, closeWrite, write, readNone, closeWrite, closeIt, closeWrite},
	"expired":       {expireAll, read, readNone, write, closeWrite, restore, readNone, closeIt, read},
	"each deadline": {setRead, read, write, setWrite, write, restore, write, closeIt, setRead},
}

// said is what a call said, in words that do not depend on the port.
func said(n int, err error) string {
	if err == nil {
		return fmt.Sprint(n)
	}
	var timeout net.Error
	var op *net.OpError
	s := fmt.Sprint(n, " closed ", errors.Is(err, net.ErrClosed), " EPIPE ", errors.Is(err, syscall.EPIPE),
		" timeout ", errors.As(err, &timeout) && timeout.Timeout(), " deadline ", errors.Is(err, os.ErrDeadlineExceeded),
		" EOF ", err == io.EOF)
	if errors.As(err, &op) {
		s += fmt.Sprint(" ", op.Op, " ", op.Net, " ", op.Source != nil, " ", op.Addr != nil)
		var call *os.SyscallError
		if !errors.As(err, &call) {
			s += " " + op.Err.Error()
		}
		return s
	}
	return s + " " + err.Error()
}

// TestListenerAsPackageNet does the same with listeners, of one socket and of several.
func TestListenerAsPackageNet(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp", "unix", "unixpacket"} {
			for name, calls := range listenerScripts {
				t.Run(network+", "+name, func(t *testing.T) {
					theirs, err := net.Listen(network, listenAddress(t, network))
					require.NoError(t, err)
					defer theirs.Close()
					ln, err := rt.Listen(network, listenAddress(t, network))
					require.NoError(t, err)
					ours := ln.NetListener()
					for _, call := range calls {
						require.Equal(t, said(0, call.do(theirs)), said(0, call.do(ours)), call.name)
					}
				})
			}
		}
	})
}

func listenAddress(t *testing.T, network string) string {
	if network == "tcp" {
		return "127.0.0.1:0"
	}
	return filepath.Join(t.TempDir(), "s")
}

type listenerCall struct {
	name string
	do   func(net.Listener) error
}

var (
	closeListener = listenerCall{"Close", net.Listener.Close}
	accept        = listenerCall{"Accept", func(ln net.Listener) error { _, err := ln.Accept(); return err }}
	expire        = listenerCall{"SetDeadline", func(ln net.Listener) error { return ln.(deadlineListener).SetDeadline(past) }}
	expireNever   = listenerCall{"SetDeadline never", func(ln net.Listener) error { return ln.(deadlineListener).SetDeadline(never) }}
	address       = listenerCall{"Addr", func(ln net.Listener) error {
		return fmt.Errorf("%s %v", ln.Addr().Network(), ln.Addr().String() != "")
	}}
)

type deadlineListener interface{ SetDeadline(time.Time) error }

var listenerScripts = map[string][]listenerCall{
	"closed":  {address, closeListener, closeListener, accept, address, expire, expireNever, accept, closeListener},
	"expired": {expire, accept, accept, closeListener, accept, closeListener},
	"used":    {expire, accept, expireNever, closeListener, expireNever, accept, closeListener},
}

// dialedBy dials something that listens with package net.
func dialedBy(t *testing.T, network string, dial func(network, address string) (net.Conn, error)) (c net.Conn, stop func()) {
	t.Helper()
	address := "127.0.0.1:0"
	if network[0] == 'u' && network != "udp" {
		address = filepath.Join(t.TempDir(), "s")
	}
	var peer io.Closer
	switch network {
	case "udp", "unixgram":
		p, err := net.ListenPacket(network, address)
		require.NoError(t, err)
		peer, address = p, p.LocalAddr().String()
	default:
		ln, err := net.Listen(network, address)
		require.NoError(t, err)
		peer, address = ln, ln.Addr().String()
	}
	c, err := dial(network, address)
	require.NoError(t, err)
	return c, func() { c.Close(); peer.Close() }
}

func dialOurs(t *testing.T, rt *proactor.Runtime, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if network == "udp" || network == "unixgram" {
		c, err := rt.DialPacket(ctx, network, address).Await(ctx)
		if err != nil {
			return nil, err
		}
		return ofTask(t, c).(net.Conn), nil
	}
	c, err := rt.Dial(ctx, network, address).Await(ctx)
	if err != nil {
		return nil, err
	}
	return c.NetConn(ctx), nil
}

// TestDialNothing dials what is no address.
func TestDialNothing(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp", "unix", "unixpacket", "udp", "unixgram"} {
			_, theirs := net.Dial(network, "")
			_, ours := dialOurs(t, rt, network, "")
			require.EqualError(t, ours, theirs.Error())
		}
	})
}
