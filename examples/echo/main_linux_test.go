package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// build makes the program once for all tests.
var build = sync.OnceValues(func() (program string, err error) {
	dir, err := os.MkdirTemp("", "echo")
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "echo")
	if err := os.Chmod(dir, 0o755); err != nil { // another user runs it, too
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return program, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if program, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

// server is the program while it serves.
type server struct {
	*exec.Cmd
	banner string // its first line
	addr   string
	stderr *bufio.Reader
}

var banner = regexp.MustCompile(`^listening on (\w+) (\S+) backend=(\w+) loops=(\d+) style=(\w+)( reason=".+")?$`)

// start runs the program and waits for its banner.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	program, err := build()
	require.NoError(t, err)
	return await(t, exec.Command(program, args...))
}

// await starts a command that becomes the program.
func await(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	s := &server{Cmd: cmd, stderr: bufio.NewReader(pipe)}
	line, err := s.stderr.ReadString('\n')
	require.NoError(t, err, "it said %q", line)
	s.banner = strings.TrimSuffix(line, "\n")
	require.Regexp(t, banner, s.banner)
	s.addr = banner.FindStringSubmatch(s.banner)[2]
	return s
}

// stop asks it to end and returns what it said.
func (s *server) stop(t *testing.T, how os.Signal) string {
	t.Helper()
	require.NoError(t, s.Process.Signal(how))
	rest, err := io.ReadAll(s.stderr)
	require.NoError(t, err)
	require.NoError(t, s.Wait(), "it said %q", rest)
	return string(rest)
}

// fails runs the program with arguments it must refuse with one line.
func fails(t *testing.T, code int, args ...string) string {
	t.Helper()
	program, err := build()
	require.NoError(t, err)
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%q", args)
	said := stderr.String()
	require.Equal(t, code, exit.ExitCode(), "%q: %q", args, said)
	require.Empty(t, stdout.String())
	require.True(t, strings.HasPrefix(said, "echo: "), "%q: %q", args, said)
	require.Equal(t, 1, strings.Count(said, "\n"), "%q: want one line, got %q", args, said)
	require.True(t, strings.HasSuffix(said, "\n"))
	return said
}

// backends are those that this machine has.
var backends = sync.OnceValue(func() []string {
	program, err := build()
	if err != nil {
		return nil
	}
	// An address that nobody has: it gets past the backend, and no further.
	out, _ := exec.Command(program, "-backend", "io_uring", "-addr", "192.0.2.1:1").CombinedOutput()
	if strings.Contains(string(out), "io_uring") {
		return []string{"epoll"}
	}
	return []string{"io_uring", "epoll"}
})

func TestEcho(t *testing.T) {
	for _, backend := range backends() {
		for _, style := range []string{"await", "callback"} {
			t.Run(backend+"/"+style, func(t *testing.T) {
				s := start(t, "-addr", "127.0.0.1:0", "-network", "tcp", "-backend", backend, "-style", style, "-loops", "2")
				host, port, err := net.SplitHostPort(s.addr)
				require.NoError(t, err)
				require.Equal(t, "127.0.0.1", host)
				require.NotEqual(t, "0", port)
				require.Equal(t, fmt.Sprintf("listening on tcp %s backend=%s loops=2 style=%s", s.addr, backend, style), s.banner)

				const conns = 8
				var all sync.WaitGroup
				for i := range conns {
					all.Go(func() {
						if err := echoed("tcp", s.addr, uint64(i), 1<<20); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				said := s.stop(t, syscall.SIGTERM)
				require.Regexp(t, `(?m)^total: accepted=8 .* conns=0 .* out=0 `, said)
			})
		}
	}
}

// echoed sends random bytes in random pieces, half-closes, and wants them all
// back and then the end.
func echoed(network, addr string, seed uint64, size int) error {
	c, err := net.Dial(network, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	var key [32]byte
	key[0] = byte(seed)
	out := make([]byte, size)
	rand.NewChaCha8(key).Read(out)
	sent := make(chan error, 1)
	go func() {
		pieces := rand.New(rand.NewPCG(seed, 0))
		for rest := out; len(rest) > 0; {
			n := min(1+pieces.IntN(100_000>>pieces.IntN(17)), len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				sent <- err
				return
			}
			rest = rest[n:]
		}
		sent <- c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	in, err := io.ReadAll(c)
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	if !bytes.Equal(in, out) {
		return fmt.Errorf("%d of %d bytes came back, or other bytes", len(in), len(out))
	}
	return nil
}

func TestOtherNetworks(t *testing.T) {
	for _, backend := range backends() {
		t.Run(backend+"/unix", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "socket")
			for range 2 { // the second time, too
				s := start(t, "-network", "unix", "-addr", path, "-backend", backend)
				require.Equal(t, path, s.addr)
				require.NoError(t, echoed("unix", path, 1, 1<<20))
				s.stop(t, os.Interrupt)
			}
		})
		t.Run(backend+"/tcp6", func(t *testing.T) {
			if ln, err := net.Listen("tcp6", "[::1]:0"); err != nil {
				t.Skip("no IPv6 here: ", err)
			} else {
				ln.Close()
			}
			s := start(t, "-network", "tcp6", "-addr", "[::1]:0", "-backend", backend)
			require.NoError(t, echoed("tcp6", s.addr, 1, 1<<20))
			s.stop(t, syscall.SIGTERM)
		})
	}
}

func TestPinned(t *testing.T) {
	s := start(t, "-addr", "127.0.0.1:0", "-pin")
	require.NoError(t, echoed("tcp", s.addr, 1, 1<<20))
	s.stop(t, syscall.SIGTERM)
}

// TestStopWithConnectionsOpen finishes idle connections, and those that hold
// it up when the grace is over.
func TestStopWithConnectionsOpen(t *testing.T) {
	for _, backend := range backends() {
		for _, style := range []string{"await", "callback"} {
			t.Run(backend+"/"+style, func(t *testing.T) {
				s := start(t, "-addr", "127.0.0.1:0", "-backend", backend, "-style", style)
				idle, err := net.Dial("tcp", s.addr)
				require.NoError(t, err)
				defer idle.Close()
				stuck, err := net.Dial("tcp", s.addr)
				require.NoError(t, err)
				defer stuck.Close()
				require.NoError(t, stuck.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
				for err == nil {
					_, err = stuck.Write(make([]byte, 64<<10))
				}
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				said := s.stop(t, syscall.SIGTERM)
				require.Contains(t, said, "\ntotal: accepted=2 ")
				rest, err := io.ReadAll(idle)
				require.NoError(t, err)
				require.Empty(t, rest)
			})
		}
	}
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`style "x"`:                {"-style", "x"},
		`backend "y"`:              {"-backend", "y"},
		"0 loops":                  {"-loops", "0"},
		"-1 loops":                 {"-loops", "-1"},
		`invalid value "many"`:     {"-loops", "many"},
		"-unknown":                 {"-unknown"},
		`unexpected argument "up"`: {"up"},
		"needs an argument":        {"-addr"},
	} {
		require.Contains(t, fails(t, 2, args...), says)
	}
}

func TestCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	other := start(t, "-addr", "127.0.0.1:0")
	for says, args := range map[string][]string{
		taken.Addr().String():      {"-addr", taken.Addr().String()},
		other.addr:                 {"-addr", other.addr},
		"unknown network":          {"-network", "carrier-pigeon"},
		"missing port":             {"-addr", "127.0.0.1"},
		"no such file":             {"-network", "unix", "-addr", filepath.Join(t.TempDir(), "no", "socket")},
		"loops":                    {"-loops", "100000"},
		"assign requested address": {"-addr", "192.0.2.1:1"},
	} {
		require.Contains(t, fails(t, 1, args...), says)
	}
	require.Contains(t, fails(t, 1, "-addr", taken.Addr().String()), "address already in use")
	require.NoError(t, echoed("tcp", other.addr, 1, 1000), "the other one is none the worse")
	other.stop(t, syscall.SIGTERM)
}

func TestHelp(t *testing.T) {
	program, err := build()
	require.NoError(t, err)
	out, err := exec.Command(program, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-addr", "-network", "-backend", "-style", "-loops", "-pin"} {
		require.Contains(t, string(out), flag)
	}
}

// TestLittleLockedMemory: where an ordinary user may lock too little for a ring
// (newer kernels count rings), auto serves on epoll and says why.
func TestLittleLockedMemory(t *testing.T) {
	program, err := build()
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", "ulimit -l 64 && exec "+program+" -addr 127.0.0.1:0")
	if os.Getuid() == 0 { // whom the limit does not bind
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	s := await(t, cmd)
	if !strings.Contains(s.banner, "backend=io_uring") {
		require.Regexp(t, ` backend=epoll .* reason=".*(RLIMIT_MEMLOCK|io_uring_setup).*"$`, s.banner)
	}
	require.NoError(t, echoed("tcp", s.addr, 1, 1<<20))
	s.stop(t, syscall.SIGTERM)
}

// TestNoIOUring runs in CI where io_uring is switched off.
func TestNoIOUring(t *testing.T) {
	reason := os.Getenv("GOPROACTOR_EXPECT_NO_IOURING")
	if reason == "" {
		t.Skip("runs where CI knows that there is no io_uring: set GOPROACTOR_EXPECT_NO_IOURING to the reason to be given, such as kernel.io_uring_disabled=2")
	}
	s := start(t, "-addr", "127.0.0.1:0")
	require.Regexp(t, ` backend=epoll .* reason=".*`+regexp.QuoteMeta(reason)+`.*"$`, s.banner)
	require.NoError(t, echoed("tcp", s.addr, 1, 1<<20))
	s.stop(t, syscall.SIGTERM)
	require.Contains(t, fails(t, 1, "-addr", "127.0.0.1:0", "-backend", "io_uring"), reason)
}
