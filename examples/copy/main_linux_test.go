package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain is the program itself when a test starts it.
func TestMain(m *testing.M) {
	unix.Umask(0o022) // tests look at permissions
	if os.Getenv("COPY_MAIN") != "" {
		limitFiles(os.Getenv("COPY_LIMIT"))
		main()
		return
	}
	os.Exit(m.Run())
}

// copied runs the program, and returns what it printed and its status.
func copied(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), "COPY_MAIN=1")
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		require.IsType(t, new(exec.ExitError), err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

func onEach(t *testing.T, test func(t *testing.T, backend string)) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) { test(t, b.String()) })
}

func TestCopies(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		for _, size := range []int{0, 1, block - 1, block, block + 1, depth * block, 20<<20 + 12345} {
			dir := t.TempDir()
			from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
			data := make([]byte, size)
			rand.NewChaCha8([32]byte{byte(size)}).Read(data)
			require.NoError(t, os.WriteFile(from, data, 0o640))
			require.NoError(t, os.WriteFile(to, []byte("what was there before"), 0o600))
			stdout, stderr, status := copied(t, "-backend", backend, from, to)
			require.Zero(t, status, stderr)
			require.Contains(t, stdout, "backend="+backend)
			require.Empty(t, stderr, "no bar: it is no terminal")
			got, err := os.ReadFile(to)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got), "%d bytes", size)
			info, err := os.Stat(to)
			require.NoError(t, err)
			require.EqualValues(t, 0o640, info.Mode().Perm())
			onlyThese(t, dir, "from", "to")
		}
	})
}

func onlyThese(t *testing.T, dir string, names ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	var found []string
	for _, e := range list {
		found = append(found, e.Name())
	}
	require.ElementsMatch(t, names, found)
}

func TestRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		dir := t.TempDir()
		from, sub := filepath.Join(dir, "from"), filepath.Join(dir, "sub")
		require.NoError(t, os.WriteFile(from, []byte("x"), 0o600))
		require.NoError(t, os.Mkdir(sub, 0o700))
		for _, c := range []struct{ from, to, says string }{
			{filepath.Join(dir, "missing"), filepath.Join(dir, "to"), "no such file or directory"},
			{from, sub, "is a directory"},
			{sub, filepath.Join(dir, "to"), "not a regular file"},
			{from, filepath.Join(dir, "no/to"), "no such file or directory"},
			{from, os.DevNull, "not a regular file"},
		} {
			_, stderr, status := copied(t, "-backend", backend, c.from, c.to)
			require.Equal(t, 1, status)
			require.Contains(t, stderr, c.says)
			onlyThese(t, dir, "from", "sub")
		}
	})
	_, stderr, status := copied(t, "only-one")
	require.Equal(t, 2, status)
	require.Contains(t, stderr, "want SRC and DST")
	_, stderr, status = copied(t, "-backend", "carrier-pigeon", "a", "b")
	require.Equal(t, 2, status)
	require.Contains(t, stderr, "carrier-pigeon")
}

// fileLimit is how much a copy writes at most that is to be stopped in the middle of its
// file: no disk is filled, however late the machine lets the test stop it.
const fileLimit = 64 << 20

// limitFiles has this process fail with EFBIG to write a file beyond so many bytes.
func limitFiles(bytes string) {
	if bytes == "" {
		return
	}
	n, err := strconv.ParseUint(bytes, 10, 64)
	if err == nil {
		signal.Ignore(unix.SIGXFSZ)
		err = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: n})
	}
	if err != nil {
		panic(err)
	}
}

// hole makes a file without data that is much longer than a copy of it may be.
func hole(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	require.NoError(t, os.Truncate(name, 16*fileLimit))
}

// midway starts a copy of a hole, and stops it (SIGSTOP) when it has written some. One that
// was at the limit before the machine let the test stop it is done again.
func midway(t *testing.T, backend, from, to string) (c *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	for {
		stderr = new(bytes.Buffer)
		c = exec.CommandContext(t.Context(), os.Args[0], "-backend", backend, from, to)
		c.Env = append(os.Environ(), "COPY_MAIN=1", fmt.Sprint("COPY_LIMIT=", fileLimit))
		c.Stderr = stderr
		require.NoError(t, c.Start())
		for !begun(to) && !has(t, c, unix.WEXITED|unix.WNOHANG) {
			require.NoError(t, t.Context().Err())
			runtime.Gosched()
		}
		c.Process.Signal(syscall.SIGSTOP)
		has(t, c, unix.WEXITED|unix.WSTOPPED)
		if begun(to) && !has(t, c, unix.WEXITED|unix.WNOHANG) {
			return c, stderr
		}
		c.Process.Signal(syscall.SIGCONT)
		require.Error(t, c.Wait())
		require.Contains(t, stderr.String(), syscall.EFBIG.Error())
	}
}

// begun reports whether a copy has written something.
func begun(to string) bool {
	info, err := os.Stat(to + ".part")
	return err == nil && info.Size() > 0
}

// has reports whether a process has ended or stopped, as waitid(2) is asked, and leaves its
// status for Wait.
func has(t *testing.T, c *exec.Cmd, how int) bool {
	t.Helper()
	for {
		var changed unix.Siginfo
		err := unix.Waitid(unix.P_PID, c.Process.Pid, &changed, how|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			require.NoError(t, err)
			return changed.Signo != 0
		}
	}
}

// It is told to stop in the middle of a file.
func TestInterrupted(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		hole(t, from)
		require.NoError(t, os.WriteFile(to, []byte("what was there before"), 0o600))
		said := syscall.EFBIG.Error()
		for strings.Contains(said, syscall.EFBIG.Error()) { // it was at the limit before it saw the signal
			c, stderr := midway(t, backend, from, to)
			require.NoError(t, c.Process.Signal(syscall.SIGINT))
			require.NoError(t, c.Process.Signal(syscall.SIGCONT))
			require.Error(t, c.Wait())
			require.Equal(t, 1, c.ProcessState.ExitCode())
			onlyThese(t, dir, "from", "to")
			said = stderr.String()
		}
		require.Equal(t, "copy: interrupted\n", said)
		got, err := os.ReadFile(to)
		require.NoError(t, err)
		require.Equal(t, "what was there before", string(got))
	})
}

// A copy that is killed leaves its part behind, which the next one replaces; the
// part of one that is under way it leaves alone.
func TestKilled(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		dir := t.TempDir()
		from, to, long := filepath.Join(dir, "from"), filepath.Join(dir, "to"), filepath.Join(dir, "long")
		require.NoError(t, os.WriteFile(from, []byte("the whole of it"), 0o640))
		hole(t, long)
		c, _ := midway(t, backend, long, to)
		_, stderr, status := copied(t, "-backend", backend, from, to)
		require.Equal(t, 1, status)
		require.Contains(t, stderr, "another copy to the same name is under way")
		require.NoError(t, c.Process.Kill())
		require.Error(t, c.Wait())
		onlyThese(t, dir, "from", "long", "to.part")

		_, stderr, status = copied(t, "-backend", backend, from, to)
		require.Zero(t, status, stderr)
		onlyThese(t, dir, "from", "long", "to")
		got, err := os.ReadFile(to)
		require.NoError(t, err)
		require.Equal(t, "the whole of it", string(got))
		info, err := os.Stat(to)
		require.NoError(t, err)
		require.EqualValues(t, 0o640, info.Mode().Perm())
	})
}

// On a terminal there is a bar, and the last line is one of its own.
func TestProgressOnATerminal(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		require.NoError(t, os.WriteFile(from, make([]byte, 5<<20), 0o600))
		terminal, side := openTerminal(t)
		c := exec.CommandContext(t.Context(), os.Args[0], "-backend", backend, from, to)
		c.Env = append(os.Environ(), "COPY_MAIN=1")
		c.Stdout, c.Stderr = side, side
		require.NoError(t, c.Start())
		side.Close()
		var shown bytes.Buffer
		shown.ReadFrom(terminal) // to EIO: nobody has the other side any more
		require.NoError(t, c.Wait())
		require.Contains(t, shown.String(), "copying")
		require.Contains(t, shown.String(), "100%")
		require.Contains(t, shown.String(), "\n5242880 bytes in ")
	})
}

// openTerminal makes a pseudo terminal, and opens the side that programs see.
func openTerminal(t *testing.T) (terminal, side *os.File) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	fd := int(terminal.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	side, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return terminal, side
}
