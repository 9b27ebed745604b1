package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGarbage sends random bytes to a proxy that wants a header first, and to one whose
// upstream answers with random bytes: others are served, and what is no header is reset.
func TestGarbage(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		random := rand.NewChaCha8([32]byte{3})
		garbage := func() []byte {
			p := make([]byte, 1000+int(random.Uint64()%(64<<10)))
			random.Read(p)
			return p
		}
		wants := proxied(t, backend, start(t, "127.0.0.1:0", echo).address(), "-accept-proxy")
		for range 50 {
			c, err := net.Dial("tcp", wants.Addr)
			require.NoError(t, err)
			_, cut := c.Write(garbage())
			answer, err := io.ReadAll(c)
			require.ErrorIs(t, errors.Join(cut, err), syscall.ECONNRESET, "the kernel says it once")
			require.Empty(t, answer)
			c.Close()
		}
		c, err := net.Dial("tcp", wants.Addr)
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, "hello", said(t, c, "PROXY UNKNOWN\r\n", "hello"))

		answers := garbage()
		passes := proxied(t, backend, start(t, "127.0.0.1:0", func(c *net.TCPConn) {
			c.Write(answers)
			c.CloseWrite()
			io.Copy(io.Discard, c)
		}).address())
		for range 10 { // it is none of the proxy's business
			c, err := net.Dial("tcp", passes.Addr)
			require.NoError(t, err)
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, answers, got)
			c.Close()
		}
	})
}
