package main_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

const greeting = "Hello, World!\n"

var engines = []string{"nethttp", "fasthttp"}

// site is a server under test, with the scheme that it speaks.
type site struct {
	*exampletest.Server
	engine string
	secure bool
}

func (s *site) url(path string) string {
	if s.secure {
		return "https://" + s.Addr + path
	}
	return "http://" + s.Addr + path
}

// client trusts the certificate that nobody trusts.
func (s *site) client(t *testing.T) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// works requires that the server serves.
func (s *site) works(t *testing.T) {
	t.Helper()
	for until := time.Now().Add(patience); ; { // on a slow machine a client may itself be too late
		said, err := s.greeting(t)
		if err == nil {
			require.Equal(t, greeting, said)
			return
		}
		require.True(t, time.Now().Before(until), err)
	}
}

func (s *site) greeting(t *testing.T) (string, error) {
	t.Helper()
	answer, err := s.client(t).Get(s.url("/"))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// onEach runs a test with a server on each engine and backend, in the clear and with TLS.
func onEach(t *testing.T, test func(t *testing.T, s *site), args ...string) {
	for _, secure := range []bool{false, true} {
		onEachWith(t, secure, test, args...)
	}
}

func onEachWith(t *testing.T, secure bool, test func(t *testing.T, s *site), args ...string) {
	for _, engine := range engines {
		for _, backend := range exampletest.Backends(t) {
			all := append([]string{"-addr", "127.0.0.1:0", "-engine", engine, "-backend", backend}, args...)
			if secure {
				all = append(all, "-tls")
			}
			t.Run(strings.Join(append([]string{engine, backend}, all[6+len(args):]...), "/"), func(t *testing.T) {
				s := &site{exampletest.Start(t, all...), engine, secure}
				test(t, s)
				said := s.Stop(t, syscall.SIGTERM)
				require.Regexp(t, `(?m)^total: .* conns=0 .* out=0 `, said)
			})
		}
	}
}

func TestBanner(t *testing.T) {
	for _, engine := range engines {
		for _, backend := range exampletest.Backends(t) {
			s := exampletest.Start(t, "-addr", "127.0.0.1:0", "-engine", engine, "-backend", backend, "-loops", "2", "-pin", "-busypoll", "10us")
			require.Equal(t, fmt.Sprintf("listening on tcp %s backend=%s loops=2 engine=%s", s.Addr, backend, engine), s.Banner)
			s.Stop(t, os.Interrupt)
		}
	}
	require.Regexp(t, ` loops=1 engine=nethttp`, exampletest.Start(t, "-addr", "127.0.0.1:0").Banner)
}

func TestOtherNetworks(t *testing.T) {
	for _, engine := range engines {
		for _, backend := range exampletest.Backends(t) {
			t.Run(engine+"/"+backend, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "socket")
				s := exampletest.Start(t, "-network", "unix", "-addr", path, "-engine", engine, "-backend", backend)
				c, err := net.Dial("unix", path)
				require.NoError(t, err)
				defer c.Close()
				require.Equal(t, greeting, asked(t, c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
				s.Stop(t, syscall.SIGTERM)
			})
		}
	}
}

// asked sends a request, and returns the body of the answer.
func asked(t *testing.T, c net.Conn, request string) string {
	t.Helper()
	body, err := ask(c, request)
	require.NoError(t, err)
	return body
}

func ask(c net.Conn, request string) (string, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// TestPipelining has many requests on the way at once, which are answered in their order.
func TestPipelining(t *testing.T) {
	dir := testFiles(t)
	onEachWith(t, false, func(t *testing.T, s *site) {
		c, err := net.Dial("tcp", s.Addr)
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		paths := []string{"/", "/files/small", "/nothing", "/files/large", "/files/medium", "/"}
		const rounds = 20
		go func() {
			for range rounds {
				for _, path := range paths {
					fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
				}
			}
		}()
		in := bufio.NewReader(c)
		for range rounds {
			for _, path := range paths {
				answer, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				body, err := io.ReadAll(answer.Body)
				require.NoError(t, err)
				switch name, isFile := strings.CutPrefix(path, "/files/"); {
				case isFile:
					require.True(t, string(body) == content(t, dir, name), path)
				case path == "/":
					require.Equal(t, greeting, string(body))
				default:
					require.Equal(t, http.StatusNotFound, answer.StatusCode)
				}
			}
		}
	}, "-root", dir, "-loops", "2")
}

// TestStop ends idle connections, lets one finish that is being served, and aborts those
// that hold it up when the grace is over.
func TestStop(t *testing.T) {
	dir := testFiles(t)
	huge, err := os.Create(filepath.Join(dir, "huge")) // with a hole: more than all buffers hold
	require.NoError(t, err)
	require.NoError(t, huge.Truncate(1<<30))
	require.NoError(t, huge.Close())
	for _, engine := range engines {
		for _, backend := range exampletest.Backends(t) {
			t.Run(engine+"/"+backend, func(t *testing.T) {
				s := exampletest.Start(t, "-addr", "127.0.0.1:0", "-engine", engine, "-backend", backend, "-root", dir)
				idle, err := net.Dial("tcp", s.Addr)
				require.NoError(t, err)
				defer idle.Close()
				require.Equal(t, greeting, asked(t, idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
				deaf, err := net.Dial("tcp", s.Addr)
				require.NoError(t, err)
				defer deaf.Close()
				_, err = io.WriteString(deaf, "GET /files/huge HTTP/1.1\r\nHost: x\r\n\r\n")
				require.NoError(t, err)
				require.NoError(t, deaf.SetReadDeadline(time.Now().Add(patience)))
				_, err = io.ReadFull(deaf, make([]byte, 1))
				require.NoError(t, err, "it is being served")
				said := s.Stop(t, syscall.SIGTERM)
				require.Contains(t, said, "\ntotal: ")
				require.Contains(t, said, "connections still open after 2s were aborted")
				rest, err := io.ReadAll(idle)
				require.NoError(t, err)
				require.Empty(t, rest)
			})
		}
	}
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`engine "x"`:               {"-engine", "x"},
		`backend "y"`:              {"-backend", "y"},
		"-1 loops":                 {"-loops", "-1"},
		"busy polling for -1s":     {"-busypoll", "-1s"},
		"both or neither":          {"-tls", "-cert", "x"},
		"-cert without -tls":       {"-cert", "x", "-key", "y"},
		"timeout 0s":               {"-timeout", "0"},
		"bodies of 0 bytes":        {"-maxbody", "0"},
		"-unknown":                 {"-unknown"},
		`unexpected argument "up"`: {"up"},
	} {
		require.Contains(t, exampletest.Fails(t, 2, args...), says)
	}
	nothing := filepath.Join(t.TempDir(), "nothing")
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "192.0.2.1:1"), "192.0.2.1:1")
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "127.0.0.1:0", "-root", nothing), "no such file")
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "127.0.0.1:0", "-root", "main.go"), "not a directory")
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "127.0.0.1:0", "-tls", "-cert", nothing, "-key", nothing), "certificate: open "+nothing)
}

func TestHelp(t *testing.T) {
	out, err := exampletest.Command(t, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-addr", "-network", "-backend", "-loops", "-pin", "-busypoll", "-engine", "-tls", "-cert", "-key", "-root", "-timeout", "-idle", "-maxbody"} {
		require.Contains(t, string(out), flag)
	}
}
