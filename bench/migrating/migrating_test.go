package migrating

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/cloudwego/netpoll"
	"github.com/panjf2000/gnet/v2"
	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
)

const (
	patience = 30 * time.Second
	idle     = 300 * time.Millisecond
	never    = time.Hour
)

// start starts a server that ends with the test, and returns its address.
type start func(t *testing.T) string

func onNet(serve func(ln net.Listener) error) start {
	return func(t *testing.T) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- serve(ln) }()
		t.Cleanup(func() { ln.Close(); <-served })
		return ln.Addr().String()
	}
}

func onGnet(h func() gnet.EventHandler) start {
	return func(t *testing.T) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0") // gnet does not tell its address
		require.NoError(t, err)
		addr := ln.Addr().String()
		ln.Close()
		ctx, stop := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- serveGnet(ctx, addr, h()) }()
		t.Cleanup(func() { stop(); require.NoError(t, <-served) })
		require.Eventually(t, func() bool {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err == nil
		}, patience, 10*time.Millisecond)
		return addr
	}
}

func onNetpoll(loop func() (netpoll.EventLoop, error)) start {
	return func(t *testing.T) string {
		ln, err := netpoll.CreateListener("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		l, err := loop()
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- l.Serve(ln) }()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			l.Shutdown(ctx)
			<-served
		})
		return ln.Addr().String()
	}
}

func onOurs(b proactor.Backend, serve func(ln *proactor.Listener) error) start {
	return func(t *testing.T) string {
		rt := proactortest.Start(t, proactor.WithBackend(b))
		ln, err := rt.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- serve(ln) }()
		t.Cleanup(func() { ln.Close(); <-served })
		return ln.Addr().String()
	}
}

// linesServers are the servers that number lines, by what they run on.
func linesServers(t *testing.T, idle time.Duration) map[string]start {
	all := map[string]start{
		"net":     onNet(func(ln net.Listener) error { return linesOnNet(ln, idle) }),
		"gnet":    onGnet(func() gnet.EventHandler { return &linesOnGnet{idle: idle} }),
		"netpoll": onNetpoll(func() (netpoll.EventLoop, error) { return linesOnNetpoll(idle) }),
	}
	for _, b := range proactortest.Backends(t) {
		all[b.String()] = onOurs(b, func(ln *proactor.Listener) error { return lines(context.Background(), ln, idle) })
		all[b.String()+", callback"] = onOurs(b, func(ln *proactor.Listener) error { return linesByCallback(ln, idle) })
	}
	return all
}

func roomServers(t *testing.T) map[string]start {
	all := map[string]start{
		"net":  onNet(roomOnNet),
		"gnet": onGnet(func() gnet.EventHandler { return &roomOnGnet{members: map[gnet.Conn]bool{}} }),
		"netpoll": onNetpoll(func() (netpoll.EventLoop, error) {
			r := &roomOnNetpoll{members: map[netpoll.Connection]bool{}}
			return netpoll.NewEventLoop(r.handle, netpoll.WithOnPrepare(r.prepare))
		}),
	}
	for _, b := range proactortest.Backends(t) {
		all[b.String()] = onOurs(b, func(ln *proactor.Listener) error { return ln.Serve(context.Background(), new(room).serve) })
	}
	return all
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

func TestLines(t *testing.T) {
	for name, start := range linesServers(t, never) {
		t.Run(name, func(t *testing.T) {
			addr := start(t)
			for range 3 {
				c := dial(t, addr)
				in := bufio.NewReader(c)
				for _, sent := range []string{"one\n", "two\nthree\nfo", "ur\n"} {
					_, err := io.WriteString(c, sent)
					require.NoError(t, err)
				}
				for i, word := range []string{"one", "two", "three", "four"} {
					line, err := in.ReadString('\n')
					require.NoError(t, err)
					require.Equal(t, fmt.Sprintf("%d %s\n", i+1, word), line)
				}
			}
		})
	}
}

func TestIdle(t *testing.T) {
	for name, start := range linesServers(t, idle) {
		if name == "netpoll" {
			continue // its idle timeout is that of TCP's keep-alive
		}
		t.Run(name, func(t *testing.T) {
			addr := start(t)
			for begun := time.Now(); ; {
				c := dial(t, addr)
				io.WriteString(c, "one\n")
				all, err := io.ReadAll(c)
				if failed, ok := err.(net.Error); ok {
					require.False(t, failed.Timeout())
				}
				if string(all) == "1 one\n" {
					return
				}
				// Where one of the two stands still, the connection was idle for too long before.
				require.Empty(t, all)
				require.Less(t, time.Since(begun), patience)
			}
		})
	}
}

func TestRoom(t *testing.T) {
	for name, start := range roomServers(t) {
		t.Run(name, func(t *testing.T) {
			addr := start(t)
			var members []net.Conn
			var readers []*bufio.Reader
			for i := range 5 {
				c := dial(t, addr)
				in := bufio.NewReader(c)
				members, readers = append(members, c), append(readers, in)
				// It is a member when it hears itself.
				_, err := fmt.Fprintf(c, "hello %d\n", i)
				require.NoError(t, err)
				for _, in := range readers {
					line, err := in.ReadString('\n')
					require.NoError(t, err)
					require.Equal(t, fmt.Sprintf("hello %d\n", i), line)
				}
			}
			for i, c := range members {
				_, err := fmt.Fprintf(c, "from %d\n", i)
				require.NoError(t, err)
			}
			for _, in := range readers {
				var heard []string
				for range members {
					line, err := in.ReadString('\n')
					require.NoError(t, err)
					heard = append(heard, line)
				}
				slices.Sort(heard)
				require.Equal(t, []string{"from 0\n", "from 1\n", "from 2\n", "from 3\n", "from 4\n"}, heard)
			}
		})
	}
}
