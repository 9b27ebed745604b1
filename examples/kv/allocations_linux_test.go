package main

import (
	"context"
	"net"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestAllocations: what is asked for most often allocates nothing.
func TestAllocations(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, backend proactor.Backend) {
		rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
		require.NoError(t, err)
		t.Cleanup(func() { rt.Close() })
		ln, err := rt.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		srv := newServer(rt, config{frameLimit: 1 << 20, queueLimit: 1 << 20})
		go ln.Serve(context.Background(), srv.serve)
		conn, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		f, err := conn.(*net.TCPConn).File() // blocking, and read without package net
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		fd := int(f.Fd())
		for _, c := range []struct {
			request []byte
			reply   string
		}{
			{request("SET", "key", "value"), "+OK\r\n"},
			{request("SET", "key", "other"), "+OK\r\n"},
			{request("GET", "key"), "$5\r\nother\r\n"},
			{request("GET", "nothing"), "$-1\r\n"},
			{request("PING"), "+PONG\r\n"},
			{request("SET", "n", "0"), "+OK\r\n"},
			{request("EXISTS", "key"), ":1\r\n"},
			{request("HGET", "h", "f"), "$-1\r\n"},
		} {
			p := make([]byte, len(c.reply))
			round := func() {
				if _, err := unix.Write(fd, c.request); err != nil {
					panic(err)
				}
				for n := 0; n < len(p); {
					k, err := unix.Read(fd, p[n:])
					if k <= 0 {
						panic(err)
					}
					n += k
				}
			}
			round()
			require.Equal(t, c.reply, string(p))
			require.Zero(t, testing.AllocsPerRun(500, round), "%q", c.request)
		}
	})
}
