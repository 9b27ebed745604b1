package main

import (
	"math/rand/v2"
	"net"
	"testing"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

// TestGarbage sends random bytes, alone and after the beginning of a request: it ends
// that connection at most.
func TestGarbage(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		other := dial(t, "tcp", s.Addr)
		random := rand.NewChaCha8([32]byte{2})
		for i := range 60 {
			garbage := make([]byte, 1+int(random.Uint64()%(64<<10)))
			random.Read(garbage)
			begin := []string{"", "*3\r\n$3\r\nSET\r\n", "*2\r\n$3\r\nGET\r\n$1000\r\n", "PING "}[i%4]
			c, err := net.Dial("tcp", s.Addr)
			require.NoError(t, err)
			c.Write(append([]byte(begin), garbage...)) // may be cut off
			c.Close()
			require.Equal(t, "+PONG\r\n", other.do(t, "PING"))
		}
	})
}
