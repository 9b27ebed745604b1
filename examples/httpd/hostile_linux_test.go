package main_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// connect is a client that does as it likes.
func (s *site) connect(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	if s.secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	return c
}

// answers are the status lines of what comes until the connection ends, however it does.
func answers(t *testing.T, c net.Conn) (lines []string) {
	t.Helper()
	all, err := io.ReadAll(c)
	if failed, ok := err.(net.Error); ok {
		require.False(t, failed.Timeout(), "the server has not ended the connection: %q", all)
	}
	for line := range strings.Lines(string(all)) {
		if strings.HasPrefix(line, "HTTP/1.") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// send writes what the server takes of p: it may have answered and closed before the end.
func send(c net.Conn, p string) { io.WriteString(c, p) }

// badRequests, by what is bad about them, and the statuses that answer them.
var badRequests = map[string]struct{ request, status string }{
	"garbage":               {garbage(64 << 10), "400|431"},
	"garbage in a line":     {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"},
	"no version":            {"GET /\r\n\r\n", "400"},
	"other protocol":        {"GET / SPDY/3\r\n\r\n", "400|505"},
	"no host":               {"GET / HTTP/1.1\r\n\r\n", "400"},
	"a line without end":    {"GET /" + strings.Repeat("x", 1<<20), "400|414|431"},
	"a header without end":  {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 1<<20), "431"},
	"headers without end":   {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 100_000), "431"},
	"a bad header":          {"GET / HTTP/1.1\r\nHost: x\r\nA b\r\n\r\n", "400"},
	"a large body":          {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + strings.Repeat("x", 1<<20), "413|200"},
	"a large chunked body":  {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10000\r\n"+strings.Repeat("x", 1<<16)+"\r\n", 100), "413|200"},
	"a negative length":     {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
	"two lengths":           {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
	"a bad chunk":           {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400|200"},
	"a preface of HTTP/2":   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400|505"},
	"a length and chunks":   {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400|200"},
	"an unknown encoding":   {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n", "400|501"},
	"the end in the middle": {"GET / HTTP/1.1\r\nHo", "400"},
}

func garbage(n int) string {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(p)
	return string(p)
}

// TestBadRequests get one answer at most, and the connection is ended.
func TestBadRequests(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		for name, v := range badRequests {
			c := s.connect(t)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				send(c, v.request)
				if half, ok := c.(interface{ CloseWrite() error }); ok {
					half.CloseWrite()
				}
			}()
			lines := answers(t, c)
			c.Close()
			<-sent
			require.LessOrEqual(t, len(lines), 1, "%s: %q", name, lines)
			for _, line := range lines {
				require.Regexp(t, `^HTTP/1\.[01] (`+v.status+`)\b`, line, name)
			}
		}
		s.works(t)
	})
}

// TestSlowClients are ended by timeouts: those that send nothing, those that send a byte
// now and then, and those that stop in the middle of a body.
func TestSlowClients(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		for name, begin := range map[string]string{
			"silent": "", "in a line": "GET /", "in the header": "GET / HTTP/1.1\r\nHost: x\r\n", "in a body": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx",
		} {
			c := s.connect(t)
			send(c, begin)
			over := make(chan struct{})
			var dripping sync.WaitGroup
			if begin != "" {
				dripping.Go(func() { // a byte each time that the timer fires
					for drip := time.NewTicker(20 * time.Millisecond); ; {
						select {
						case <-drip.C:
							send(c, "A")
						case <-over:
							return
						}
					}
				})
			}
			lines := answers(t, c)
			close(over)
			dripping.Wait()
			require.LessOrEqual(t, len(lines), 1, name)
			for _, line := range lines {
				require.Regexp(t, ` (408|400|200) `, line+" ", name)
			}
		}
		s.works(t)
	}, "-timeout", "300ms", "-idle", "600ms")
}

// TestHandshakeThatStops ends by the timeout.
func TestHandshakeThatStops(t *testing.T) {
	onEachWith(t, true, func(t *testing.T, s *site) {
		for _, begin := range []string{"", "\x16\x03\x01", "GET / HTTP/1.1\r\n\r\n", string(bytes.Repeat([]byte{0}, 100))} {
			c, err := net.Dial("tcp", s.Addr)
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
			send(c, begin)
			answers(t, c)
		}
		s.works(t)
	}, "-timeout", "300ms", "-idle", "600ms")
}

// TestIdle ends a connection that waits too long with its next request.
func TestIdle(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		for until := time.Now().Add(patience); ; { // on a slow machine a client may itself be too late
			c := s.connect(t)
			said, err := ask(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if err == nil {
				require.Equal(t, greeting, said)
				require.Empty(t, answers(t, c))
				break
			}
			require.True(t, time.Now().Before(until), err)
		}
		s.works(t)
	}, "-timeout", "300ms", "-idle", "300ms")
}

// TestClientsThatDoNotRead are ended, and others are served meanwhile.
func TestClientsThatDoNotRead(t *testing.T) {
	dir := testFiles(t)
	onEachWith(t, false, func(t *testing.T, s *site) {
		var deaf []net.Conn
		for range 50 {
			d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
				return c.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
			}}
			c, err := d.Dial("tcp", s.Addr)
			require.NoError(t, err)
			defer c.Close()
			send(c, "GET /files/large HTTP/1.1\r\nHost: x\r\n\r\n")
			deaf = append(deaf, c)
		}
		s.works(t)
		for _, c := range deaf {
			// What it writes is refused once the server has ended the connection.
			require.Eventually(t, func() bool {
				c.SetWriteDeadline(time.Now().Add(time.Second))
				_, err := io.WriteString(c, "x")
				return err != nil
			}, patience, 50*time.Millisecond)
		}
		s.works(t)
	}, "-root", dir, "-timeout", "500ms", "-idle", "500ms")
}

// TestClientsThatGo leave in the middle of an answer.
func TestClientsThatGo(t *testing.T) {
	dir := testFiles(t)
	onEach(t, func(t *testing.T, s *site) {
		for range 50 {
			c := s.connect(t)
			send(c, "GET /files/large HTTP/1.1\r\nHost: x\r\n\r\n")
			io.ReadFull(c, make([]byte, 100))
			if raw, ok := c.(*net.TCPConn); ok {
				raw.SetLinger(0)
			}
			c.Close()
		}
		s.works(t)
	}, "-root", dir)
}
