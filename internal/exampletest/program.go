// Package exampletest builds the example whose test calls it, and runs it as
// somebody would who types its name.
//
//   - [Main] is the body of its TestMain;
//   - [Start] runs a server and waits for its banner;
//   - [Fails] runs what must be refused with one line.
package exampletest

import (
	"bufio"
	"bytes"
	"errors"
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

	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
)

// build makes the program once for all tests, where any user may run it.
var build = sync.OnceValues(func() (program string, err error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", filepath.Base(here))
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	program = filepath.Join(dir, filepath.Base(here))
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, os.Chmod(program, 0o755) // whatever the umask
})

// Main runs the tests and removes what they built.
func Main(m *testing.M) {
	code := m.Run()
	if program, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

// Program is the path of the program.
func Program(t testing.TB) string {
	t.Helper()
	program, err := build()
	require.NoError(t, err)
	return program
}

// Command is the program, to be run with these arguments.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(Program(t), args...)
}

// Server is the program while it serves.
type Server struct {
	*exec.Cmd
	Banner string // its first line
	Addr   string // in it
	stderr *bufio.Reader
}

var banner = regexp.MustCompile(`^listening on (\w+) (\S+) backend=(\w+) loops=(\d+)( (?:style|engine)=\w+)?( reason=".+")?$`)

// Start runs the program and waits for its banner. It is ended with the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return Await(t, Command(t, args...))
}

// Await is Start of a command that becomes the program.
func Await(t testing.TB, cmd *exec.Cmd) *Server {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	s := &Server{Cmd: cmd, stderr: bufio.NewReader(pipe)}
	line, err := s.stderr.ReadString('\n')
	require.NoError(t, err, "it said %q", line)
	s.Banner = strings.TrimSuffix(line, "\n")
	require.Regexp(t, banner, s.Banner)
	s.Addr = banner.FindStringSubmatch(s.Banner)[2]
	return s
}

// Line is the next line that it says, without its end.
func (s *Server) Line(t testing.TB) string {
	t.Helper()
	line, err := s.stderr.ReadString('\n')
	require.NoError(t, err, "it said %q", line)
	return strings.TrimSuffix(line, "\n")
}

// Stop asks it to end, waits for that, and returns what it said.
func (s *Server) Stop(t testing.TB, how os.Signal) string {
	t.Helper()
	require.NoError(t, s.Process.Signal(how))
	rest, err := io.ReadAll(s.stderr)
	require.NoError(t, err)
	require.NoError(t, s.Wait(), "it said %q", rest)
	return string(rest)
}

// Fails runs the program with arguments that it must refuse with one line, which
// it returns, and this exit code.
func Fails(t testing.TB, code int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := Command(t, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%q", args)
	said := stderr.String()
	require.Equal(t, code, exit.ExitCode(), "%q: %q", args, said)
	require.Empty(t, stdout.String())
	require.True(t, strings.HasPrefix(said, filepath.Base(cmd.Path)+": "), "%q: %q", args, said)
	require.Equal(t, 1, strings.Count(said, "\n"), "%q: want one line, got %q", args, said)
	require.True(t, strings.HasSuffix(said, "\n"))
	return said
}

// Backends are the names of those that this machine has.
func Backends(t testing.TB) (names []string) {
	t.Helper()
	for _, b := range proactortest.Backends(t) {
		names = append(names, b.String())
	}
	return names
}

// IPv6 reports whether this machine has its loopback address of IPv6, and logs why not.
func IPv6(t testing.TB) bool {
	t.Helper()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Log("no IPv6 here: ", err)
		return false
	}
	require.NoError(t, err)
	ln.Close()
	return true
}
