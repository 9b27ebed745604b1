package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
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
	dir, err := os.MkdirTemp("", "udpecho")
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "udpecho")
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
	cmd := exec.Command(program, args...)
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
	require.True(t, strings.HasPrefix(said, "udpecho: "), "%q: %q", args, said)
	require.Equal(t, 1, strings.Count(said, "\n"), "%q: want one line, got %q", args, said)
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

// small sizes are sent a few at a time, large ones by one client alone: a
// socket's buffer takes three of those, and drops the rest.
var small, large = []int{1, 64, 0, 1472, 5}, []int{9000, 65507}

// echoed sends messages of those sizes and wants each back.
func echoed(addr string, who int, sizes ...int) error {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	p := make([]byte, 1<<16)
	for i, size := range sizes {
		for k := range 3 {
			message := bytes.Repeat([]byte{byte(who), byte(i), byte(k)}, size/3+1)[:size]
			if _, err := c.Write(message); err != nil {
				return err
			}
		}
		for k := range 3 {
			message := bytes.Repeat([]byte{byte(who), byte(i), byte(k)}, size/3+1)[:size]
			n, err := c.Read(p)
			if err != nil {
				return err
			}
			if !bytes.Equal(p[:n], message) {
				return fmt.Errorf("a message of %d bytes came back as %d bytes, or others", size, n)
			}
		}
	}
	return nil
}

func TestUDPEcho(t *testing.T) {
	for _, backend := range backends() {
		for _, style := range []string{"await", "callback"} {
			t.Run(backend+"/"+style, func(t *testing.T) {
				s := start(t, "-addr", "127.0.0.1:0", "-backend", backend, "-style", style, "-loops", "2")
				require.Equal(t, fmt.Sprintf("listening on udp %s backend=%s loops=2 style=%s", s.addr, backend, style), s.banner)
				var all sync.WaitGroup
				for i := range 8 {
					all.Go(func() {
						if err := echoed(s.addr, i, small...); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				require.NoError(t, echoed(s.addr, 9, large...))
				said := s.stop(t, syscall.SIGTERM)
				require.Regexp(t, `(?m)^total: submitted=.* in-flight=\d+ .* out=0 `, said)
			})
		}
	}
}

func TestIPv6(t *testing.T) {
	if c, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		c.Close()
	}
	for _, backend := range backends() {
		s := start(t, "-addr", "[::1]:0", "-network", "udp6", "-backend", backend)
		require.NoError(t, echoed(s.addr, 1, small...))
		s.stop(t, os.Interrupt)
	}
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`style "x"`:                {"-style", "x"},
		`backend "y"`:              {"-backend", "y"},
		"0 loops":                  {"-loops", "0"},
		`invalid value "many"`:     {"-loops", "many"},
		"-unknown":                 {"-unknown"},
		`unexpected argument "up"`: {"up"},
	} {
		require.Contains(t, fails(t, 2, args...), says)
	}
}

func TestCannotListen(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	other := start(t, "-addr", "127.0.0.1:0")
	for says, args := range map[string][]string{
		"address already in use":   {"-addr", taken.LocalAddr().String()},
		other.addr:                 {"-addr", other.addr},
		"unknown network":          {"-network", "carrier-pigeon"},
		"missing port":             {"-addr", "127.0.0.1"},
		"assign requested address": {"-addr", "192.0.2.1:1"},
	} {
		require.Contains(t, fails(t, 1, args...), says)
	}
	require.NoError(t, echoed(other.addr, 1, small...), "the other one is none the worse")
	other.stop(t, syscall.SIGTERM)
}

func TestHelp(t *testing.T) {
	program, err := build()
	require.NoError(t, err)
	out, err := exec.Command(program, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-addr", "-network", "-backend", "-style", "-loops"} {
		require.Contains(t, string(out), flag)
	}
}
