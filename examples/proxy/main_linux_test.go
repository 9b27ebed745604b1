package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// onEach runs a test on each backend that there is.
func onEach(t *testing.T, test func(t *testing.T, backend string)) {
	for _, backend := range exampletest.Backends(t) {
		t.Run(backend, func(t *testing.T) { test(t, backend) })
	}
}

// proxied starts the program in front of an upstream.
func proxied(t *testing.T, backend, upstream string, args ...string) *exampletest.Server {
	t.Helper()
	return exampletest.Start(t, append([]string{"-addr", "127.0.0.1:0", "-backend", backend, "-loops", "2", "-upstream", upstream}, args...)...)
}

func TestProxy(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		u := start(t, "127.0.0.1:0", echo)
		s := proxied(t, backend, u.address())
		require.Equal(t, fmt.Sprintf("listening on tcp %s backend=%s loops=2 style=await", s.Addr, backend), s.Banner)
		const conns, size = 8, 4 << 20
		var all sync.WaitGroup
		for i := range conns {
			all.Go(func() {
				if err := echoed(s.Addr, uint64(i), size); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		said := s.Stop(t, syscall.SIGTERM)
		require.Contains(t, said, fmt.Sprintf("upstream %s: up conns=0 served=8 failed=0 sent=%d received=%d\n", u.address(), conns*size, conns*size))
		require.Regexp(t, `(?m)^total: accepted=8 .* out=0 `, said)
	})
}

func TestUnixSockets(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		dir := t.TempDir()
		inner := start(t, "127.0.0.1:0", echo)
		path := filepath.Join(dir, "socket")
		behind := exampletest.Start(t, "-network", "unix", "-addr", path, "-upstream", inner.address(), "-backend", backend)
		s := proxied(t, backend, "unix:"+path)
		require.NoError(t, echoed(s.Addr, 1, 1<<20))
		s.Stop(t, os.Interrupt)
		behind.Stop(t, os.Interrupt)
		require.NoFileExists(t, path)
	})
}

// TestHalfClose has each side end before the other.
func TestHalfClose(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		u := start(t, "127.0.0.1:0", func(c *net.TCPConn) {
			asked, _ := io.ReadAll(c) // to the end
			fmt.Fprintf(c, "%d bytes", len(asked))
			c.CloseWrite()
		})
		first := start(t, "127.0.0.1:0", func(c *net.TCPConn) {
			io.WriteString(c, "all that I say")
			c.CloseWrite()
			asked, err := io.ReadAll(c)
			if err == nil && string(asked) != "and more" && len(asked) > 0 {
				t.Errorf("%q came", asked)
			}
		})
		s := proxied(t, backend, u.address())
		conn, err := net.Dial("tcp", s.Addr)
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Write(make([]byte, 100_000))
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "100000 bytes", string(answer))
		s.Stop(t, syscall.SIGTERM)

		s = proxied(t, backend, first.address())
		conn, err = net.Dial("tcp", s.Addr)
		require.NoError(t, err)
		defer conn.Close()
		answer, err = io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "all that I say", string(answer))
		_, err = io.WriteString(conn, "and more")
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		s.Stop(t, syscall.SIGTERM)
	})
}

// TestNetcat is half-close as nc does it.
func TestNetcat(t *testing.T) {
	nc, err := exec.LookPath("nc")
	if err != nil {
		t.Skip("needs nc (Debian: netcat-openbsd)")
	}
	onEach(t, func(t *testing.T, backend string) {
		s := proxied(t, backend, start(t, "127.0.0.1:0", echo).address())
		host, port, err := net.SplitHostPort(s.Addr)
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), nc, "-N", host, port)
		text := strings.Repeat("a line of text\n", 100_000)
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		require.NoError(t, err)
		require.True(t, string(out) == text, "%d bytes came back", len(out))
		s.Stop(t, syscall.SIGTERM)
	})
}

// TestCurl has curl talk to net/http.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("needs curl")
	}
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	web := http.NewServeMux()
	web.HandleFunc("GET /body", func(w http.ResponseWriter, r *http.Request) { w.Write(body) })
	web.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: web}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	onEach(t, func(t *testing.T, backend string) {
		s := proxied(t, backend, ln.Addr().String())
		url := "http://" + s.Addr
		out, err := exec.CommandContext(t.Context(), curl, "-sS", url+"/body", url+"/body").Output() // one connection
		require.NoError(t, err)
		require.True(t, bytes.Equal(out, append(body, body...)), "%d bytes came", len(out))
		upload := exec.CommandContext(t.Context(), curl, "-sS", "--data-binary", "@-", url+"/count")
		upload.Stdin = bytes.NewReader(body)
		out, err = upload.Output()
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(len(body)), string(out))
		s.Stop(t, syscall.SIGTERM)
	})
}

// TestUpstreamDown has connections go where somebody listens, and a server that comes
// back get its share.
func TestUpstreamDown(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		away := freePort(t)
		here := named(t, "127.0.0.1:0", "here")
		s := proxied(t, backend, away+","+here.address(), "-health", "10ms", "-balance", "round")
		for range 20 {
			answer, err := ask(s.Addr)
			require.NoError(t, err)
			require.Equal(t, "here", answer)
		}
		named(t, away, "back")
		for answer := ""; answer != "back"; {
			var err error
			answer, err = ask(s.Addr)
			require.NoError(t, err)
		}
		said := s.Stop(t, syscall.SIGTERM)
		require.Contains(t, said, "upstream "+away+" is down: ")
		require.Contains(t, said, "connection refused")
		require.Contains(t, said, "upstream "+away+" is up\n")
	})
}

// TestNoUpstream resets connections that can go nowhere, and those of which the upstream
// resets.
func TestNoUpstream(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		s := proxied(t, backend, freePort(t)+","+freePort(t), "-health", "0")
		refused(t, s.Addr)
		require.Contains(t, s.Stop(t, syscall.SIGTERM), "served=0 failed=1 ")

		u := start(t, "127.0.0.1:0", func(c *net.TCPConn) {
			c.Read(make([]byte, 1))
			io.WriteString(c, "part of an answer")
			c.SetLinger(0)
		})
		s = proxied(t, backend, u.address())
		refused(t, s.Addr)
		s.Stop(t, syscall.SIGTERM)
	})
}

func TestBalance(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		var addresses []string
		var upstreams []*testUpstream
		for _, name := range []string{"a", "b", "c"} {
			u := named(t, "127.0.0.1:0", name)
			upstreams = append(upstreams, u)
			addresses = append(addresses, u.address())
		}
		for _, balance := range []string{"round", "least"} {
			s := proxied(t, backend, strings.Join(addresses, ","), "-balance", balance, "-health", "0")
			var waiting []net.Conn // which count, although they say nothing yet
			for range 9 {
				c, err := net.Dial("tcp", s.Addr)
				require.NoError(t, err)
				defer c.Close()
				waiting = append(waiting, c)
			}
			for _, c := range waiting {
				_, err := io.WriteString(c, "who?")
				require.NoError(t, err)
			}
			for _, c := range waiting {
				_, err := io.ReadAll(c)
				require.NoError(t, err)
				require.NoError(t, c.Close())
			}
			for _, u := range upstreams {
				require.EqualValues(t, 3, u.accepted.Swap(0), balance)
			}
			s.Stop(t, syscall.SIGTERM)
		}
	})
}

func TestIdle(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		s := proxied(t, backend, start(t, "127.0.0.1:0", echo).address(), "-idle", "200ms")
		for until := time.Now().Add(30 * time.Second); ; { // on a slow machine the client may itself be too late
			c, err := net.Dial("tcp", s.Addr)
			require.NoError(t, err)
			defer c.Close()
			io.WriteString(c, "hello")
			answer, err := io.ReadAll(c) // until the proxy ends the connection
			if string(answer) == "hello" {
				break
			}
			require.True(t, time.Now().Before(until), "%q, %v", answer, err)
		}
		require.Regexp(t, `connections: idle=[1-9]`, s.Stop(t, syscall.SIGTERM))
	})
}

func TestLimits(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		u := start(t, "127.0.0.1:0", echo)
		s := proxied(t, backend, u.address(), "-max-conns", "1", "-loops", "1")
		c := greet(t, s.Addr)
		second, err := net.Dial("tcp", s.Addr) // waits in the kernel's queue
		require.NoError(t, err)
		defer second.Close()
		_, err = io.WriteString(second, "hello")
		require.NoError(t, err)
		for range 100 { // a proxy without the limit comes to the second meanwhile
			_, err = io.WriteString(c, "hello")
			require.NoError(t, err)
			_, err = io.ReadFull(c, make([]byte, 5))
			require.NoError(t, err)
		}
		require.NoError(t, second.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
		_, err = second.Read(make([]byte, 5))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it was served")
		require.NoError(t, c.Close())
		require.NoError(t, second.SetReadDeadline(time.Time{}))
		_, err = io.ReadFull(second, make([]byte, 5))
		require.NoError(t, err)
		require.NoError(t, second.Close())
		s.Stop(t, syscall.SIGTERM)

		s = proxied(t, backend, u.address(), "-max-conns-per-address", "1")
		c = greet(t, s.Addr)
		refused(t, s.Addr)
		require.NoError(t, c.Close())
		for echoed(s.Addr, 1, 1000) != nil { // until the first has left
		}
		s.Stop(t, syscall.SIGTERM)
	})
}

// greet opens a connection and awaits an echo on it.
func greet(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = io.WriteString(c, "hello")
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 5))
	require.NoError(t, err)
	return c.(*net.TCPConn)
}

// TestSlowReader has a client not read: the proxy holds little for it, and others are
// served.
func TestSlowReader(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		took := make(chan int64, 2)
		source := start(t, "127.0.0.1:0", func(c *net.TCPConn) {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				return // a health check
			}
			total := int64(0)
			for piece := make([]byte, 64<<10); ; {
				c.SetWriteDeadline(time.Now().Add(time.Second))
				n, err := c.Write(piece)
				total += int64(n)
				if err != nil {
					took <- total
					return
				}
			}
		})
		s := proxied(t, backend, source.address(), "-health", "0", "-loops", "1")
		c, err := net.Dial("tcp", s.Addr)
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "x")
		require.NoError(t, err)
		total := <-took
		require.Less(t, total, int64(64<<20), "the sockets' buffers and a little more")
		require.Less(t, residentMemory(t, s.Process.Pid), 128<<20)
		other, err := net.Dial("tcp", s.Addr)
		require.NoError(t, err)
		defer other.Close()
		_, err = io.WriteString(other, "x")
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, other, 8<<20)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, other.Close())
		s.Stop(t, syscall.SIGTERM)
	})
}

// residentMemory is that of a process, in bytes.
func residentMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	require.NoError(t, err)
	var size, resident int
	_, err = fmt.Sscan(string(status), &size, &resident)
	require.NoError(t, err)
	return resident * os.Getpagesize()
}

// TestGrace ends what is still open when the grace is over, and waits for what ends.
func TestGrace(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		u := start(t, "127.0.0.1:0", echo)
		s := proxied(t, backend, u.address(), "-grace", "100ms")
		c := greet(t, s.Addr)
		require.Contains(t, s.Stop(t, syscall.SIGTERM), "connections still open after 100ms were aborted\n")
		_, err := io.ReadAll(c)
		require.ErrorIs(t, err, syscall.ECONNRESET)

		s = proxied(t, backend, u.address(), "-grace", "1h")
		c = greet(t, s.Addr)
		stopped := make(chan string)
		go func() { stopped <- s.Stop(t, syscall.SIGTERM) }()
		for dialable(s.Addr) {
		}
		_, err = io.WriteString(c, "the rest")
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		rest, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "the rest", string(rest))
		require.NotContains(t, <-stopped, "aborted")
	})
}

func dialable(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func TestStatsWhileServing(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		u := start(t, "127.0.0.1:0", echo)
		s := proxied(t, backend, u.address())
		require.NoError(t, echoed(s.Addr, 1, 1000))
		require.NoError(t, s.Process.Signal(syscall.SIGUSR1))
		require.NoError(t, echoed(s.Addr, 1, 1000))
		said := s.Stop(t, syscall.SIGTERM)
		require.Contains(t, said, "sent=2000 received=2000\n")
	})
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`backend "y"`:              {"-backend", "y"},
		"0 loops":                  {"-loops", "0"},
		"busy polling for -1s":     {"-busypoll", "-1s"},
		`balance "best"`:           {"-balance", "best"},
		`send-proxy "v3"`:          {"-send-proxy", "v3"},
		"an empty upstream":        {"-upstream", "127.0.0.1:1,"},
		"dial timeout of 0s":       {"-dial-timeout", "0"},
		"none that is negative":    {"-idle", "-1s"},
		"retries and limits":       {"-max-conns", "-1"},
		"-unknown":                 {"-unknown"},
		`unexpected argument "up"`: {"up"},
	} {
		require.Contains(t, exampletest.Fails(t, 2, args...), says)
	}
}

func TestCannotListen(t *testing.T) {
	taken := start(t, "127.0.0.1:0", echo)
	said := exampletest.Fails(t, 1, "-addr", taken.address())
	require.Contains(t, said, taken.address())
	require.Contains(t, said, "address already in use")
}

func TestHelp(t *testing.T) {
	out, err := exampletest.Command(t, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-addr", "-upstream", "-balance", "-health", "-idle", "-restart", "-accept-proxy", "-send-proxy", "-grace"} {
		require.Contains(t, string(out), flag)
	}
}
