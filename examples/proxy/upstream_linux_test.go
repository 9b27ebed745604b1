package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// testUpstream is a server of package net.
type testUpstream struct {
	net.Listener
	accepted atomic.Int64 // connections that sent something, which health checks do not
}

// start has a server listen on an address and handle its connections. It ends with the
// test.
func start(t *testing.T, address string, handle func(c *net.TCPConn)) *testUpstream {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	require.NoError(t, err)
	u := &testUpstream{Listener: ln}
	var running sync.WaitGroup
	t.Cleanup(func() { ln.Close(); running.Wait() })
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	return u
}

func (u *testUpstream) address() string { return u.Addr().String() }

// echo sends back what it gets.
func echo(c *net.TCPConn) {
	io.Copy(c, c)
	c.CloseWrite()
}

// named answers one request with a name.
func (u *testUpstream) named(name string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		if _, err := c.Read(make([]byte, 16)); err == nil {
			u.accepted.Add(1)
			io.WriteString(c, name)
		}
	}
}

// named is a server that answers one request of each connection with a name.
func named(t *testing.T, address, name string) *testUpstream {
	t.Helper()
	var u *testUpstream
	ready := make(chan struct{})
	u = start(t, address, func(c *net.TCPConn) { <-ready; u.named(name)(c) })
	close(ready)
	return u
}

// freePort is an address where nobody listens, of a host on which other tests do not.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.31.41.59:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// echoed sends random bytes in random pieces, half-closes, and wants them all back and
// then the end.
func echoed(addr string, seed uint64, size int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	var key [32]byte
	key[0] = byte(seed)
	out := make([]byte, size)
	rand.NewChaCha8(key).Read(out)
	sent := make(chan error, 1)
	go func() {
		pieces := rand.New(rand.NewPCG(seed, 0))
		for rest := out; len(rest) > 0; {
			n := min(1+pieces.IntN(100_000>>pieces.IntN(17)), len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				sent <- err
				return
			}
			rest = rest[n:]
		}
		sent <- c.CloseWrite()
	}()
	in, err := io.ReadAll(c)
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	if !bytes.Equal(in, out) {
		return fmt.Errorf("%d of %d bytes came back, or other bytes: %x", len(in), len(out), sha256.Sum256(in))
	}
	return nil
}

// ask sends a request, and returns all that comes back.
func ask(addr string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "who?"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// refused wants the connection to be reset, before anything comes.
func refused(t *testing.T, addr string) {
	t.Helper()
	answer, err := ask(addr)
	require.Error(t, err, "it answered %q", answer)
}
