package proactor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestConformanceListenerClose(t *testing.T) { conform(t, closingListeners) }

var closingListeners = []behaviour{
	{name: "when Close returns the kernel refuses, and the address is free", show: func(t *testing.T, rt *proactor.Runtime) {
		addresses := map[string][2]string{
			"tcp":             {"tcp", ownAddress()},
			"tcp, both":       {"tcp", fmt.Sprint(":", ownPort(t))},
			"path":            {"unix", filepath.Join(t.TempDir(), "s")},
			"abstract":        {"unix", abstractName("closing")},
			"packets":         {"unixpacket", filepath.Join(t.TempDir(), "s")},
			"abstract packet": {"unixpacket", abstractName("closing-packets")},
		}
		for name, a := range addresses {
			t.Run(name, func(t *testing.T) {
				network, address := a[0], a[1]
				once := func() error {
					ln, err := rt.Listen(network, address)
					if err != nil {
						return err
					}
					address = ln.Addr().String()
					ln.OnConn(func(c *proactor.Conn) { c.Close() })
					early, err := net.Dial(network, address) // accepted or not
					if err != nil {
						return err
					}
					defer early.Close()
					if err := ln.Close(); err != nil {
						return err
					}
					if c, err := net.Dial(network, address); err == nil {
						c.Close()
						return fmt.Errorf("connected to what is closed")
					}
					return ln.Close()
				}
				for range 50 {
					require.NoError(t, once(), "on a goroutine")
				}
				for _, l := range rt.Loops() {
					_, err := l.Go(t.Context(), func(context.Context) error {
						for range 50 {
							if err := once(); err != nil {
								return err
							}
						}
						return nil
					}).Await(t.Context())
					require.NoError(t, err, "in a task")
				}
				ln, err := net.Listen(network, address)
				require.NoError(t, err)
				require.NoError(t, ln.Close())
			})
		}
	}},
	{name: "everybody closes at once", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 20 {
			ln, err := rt.Listen("tcp", ownAddress())
			require.NoError(t, err)
			waiting := ln.Accept()
			var all sync.WaitGroup
			for _, l := range rt.Loops() {
				all.Add(2)
				l.Do(func() { ln.Close(); all.Done() })
				l.Go(t.Context(), func(context.Context) error { ln.Close(); all.Done(); return nil })
			}
			for range 2 {
				all.Go(func() {
					ln.Close()
					if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
						c.Close()
						t.Error("connected to what is closed")
					}
				})
			}
			all.Wait()
			_, err = waiting.Await(t.Context())
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = net.Dial("tcp", ln.Addr().String())
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		}
	}},
}

// ownPort is a port at which nobody listens, and which the kernel gives to nobody who asks for
// any: on every address, what was closed there refuses connections, and is free.
func ownPort(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	require.NoError(t, err)
	var least, most int
	_, err = fmt.Sscan(string(text), &least, &most)
	require.NoError(t, err)
	for range 1000 {
		port := 1024 + rand.IntN(1<<16-1024)
		if least <= port && port <= most {
			continue
		}
		if ln, err := net.Listen("tcp", fmt.Sprint(":", port)); err == nil {
			require.NoError(t, ln.Close())
			return port
		}
	}
	return 0 // all are given to whoever asks for any
}
