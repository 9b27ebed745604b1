package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGarbage has servers answer with what is no HTTP, or with too much of it: the
// download fails with one line, in the end, and leaves no file.
func TestGarbage(t *testing.T) {
	random := make([]byte, 64<<10)
	rand.NewChaCha8([32]byte{4}).Read(random)
	answers := map[string]func(w io.Writer){
		"random bytes":         func(w io.Writer) { w.Write(random) },
		"nothing":              func(w io.Writer) {},
		"a status without end": func(w io.Writer) { io.WriteString(w, "HTTP/1.1 200 "+strings.Repeat("x", 4<<20)) },
		"headers without end": func(w io.Writer) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\n"+strings.Repeat("A: b\r\n", 4<<20))
		},
		"a bad length": func(w io.Writer) { io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello") },
		"a bad chunk":  func(w io.Writer) { io.WriteString(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n") },
		"two lengths": func(w io.Writer) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
		},
	}
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		serve(w, request, "1", []byte("good"))
	}, func(t *testing.T, r *remote) {
		for name, answer := range answers {
			ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: r.TLS.Certificates})
			require.NoError(t, err)
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					go func(c net.Conn) {
						defer c.Close()
						if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
							answer(c)
						}
					}(c)
				}
			}()
			_, stderr, status := r.fetch("-retries", "1", "https://"+ln.Addr().String()+"/file")
			ln.Close()
			require.Equal(t, 1, status, "%s: %q", name, stderr)
			require.Contains(t, stderr, "file", name)
			require.NotContains(t, stderr, "panic", name)
			_, err = os.Stat(filepath.Join(r.dir, "file"))
			require.ErrorIs(t, err, os.ErrNotExist, name)
		}
		r.fetches(at(r, "good"))
	})
}
