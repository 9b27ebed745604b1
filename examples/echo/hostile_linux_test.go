package main_test

import (
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

// TestStopped stops the server amid exchanges (SIGSTOP) and lets it go on: nothing is
// lost, not even of clients that came in between.
func TestStopped(t *testing.T) {
	for _, backend := range exampletest.Backends(t) {
		for _, style := range []string{"await", "callback"} {
			t.Run(backend+"/"+style, func(t *testing.T) {
				s := exampletest.Start(t, "-addr", "127.0.0.1:0", "-backend", backend, "-style", style)
				var all sync.WaitGroup
				begin := func(seed uint64) {
					all.Go(func() {
						if err := echoed("tcp", s.Addr, seed, 4<<20); err != nil {
							t.Error(err)
						}
					})
				}
				for i := range uint64(5) {
					begin(i)
					require.NoError(t, s.Process.Signal(syscall.SIGSTOP))
					begin(100 + i)
					c, err := net.Dial("tcp", s.Addr) // the kernel takes it
					require.NoError(t, err)
					require.NoError(t, c.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
					for err == nil {
						_, err = c.Write(make([]byte, 1<<20))
					}
					c.(*net.TCPConn).SetLinger(0)
					c.Close()
					require.NoError(t, s.Process.Signal(syscall.SIGCONT))
				}
				all.Wait()
				require.Regexp(t, `(?m)^total: .* conns=0 .* out=0 `, s.Stop(t, syscall.SIGTERM))
			})
		}
	}
}
