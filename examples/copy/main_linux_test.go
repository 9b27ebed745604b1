package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain is the program itself when a test starts it.
func TestMain(m *testing.M) {
	if os.Getenv("COPY_MAIN") != "" {
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

// It is told to stop in the middle of a file that has no data, and much of it.
func TestInterrupted(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		require.NoError(t, os.WriteFile(from, nil, 0o600))
		require.NoError(t, os.Truncate(from, 1<<40))
		require.NoError(t, os.WriteFile(to, []byte("what was there before"), 0o600))
		var errs bytes.Buffer
		c := exec.CommandContext(t.Context(), os.Args[0], "-backend", backend, from, to)
		c.Env = append(os.Environ(), "COPY_MAIN=1")
		c.Stderr = &errs
		require.NoError(t, c.Start())
		for {
			if info, err := os.Stat(to + ".part"); err == nil && info.Size() > 0 {
				break
			}
			require.NoError(t, t.Context().Err())
			runtime.Gosched()
		}
		require.NoError(t, c.Process.Signal(syscall.SIGINT))
		require.Error(t, c.Wait())
		require.Equal(t, 1, c.ProcessState.ExitCode())
		require.Equal(t, "copy: interrupted\n", errs.String())
		onlyThese(t, dir, "from", "to")
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
		from, to, endless := filepath.Join(dir, "from"), filepath.Join(dir, "to"), filepath.Join(dir, "endless")
		require.NoError(t, os.WriteFile(from, []byte("the whole of it"), 0o640))
		require.NoError(t, os.WriteFile(endless, nil, 0o600))
		require.NoError(t, os.Truncate(endless, 1<<40))
		c := exec.CommandContext(t.Context(), os.Args[0], "-backend", backend, endless, to)
		c.Env = append(os.Environ(), "COPY_MAIN=1")
		require.NoError(t, c.Start())
		for {
			if info, err := os.Stat(to + ".part"); err == nil && info.Size() > 0 {
				break
			}
			require.NoError(t, t.Context().Err())
			runtime.Gosched()
		}
		// Stopped, it is under way for as long as is wanted, and does not fill the disk.
		require.NoError(t, c.Process.Signal(syscall.SIGSTOP))
		_, stderr, status := copied(t, "-backend", backend, from, to)
		require.Equal(t, 1, status)
		require.Contains(t, stderr, "another copy to the same name is under way")
		require.NoError(t, c.Process.Kill())
		require.Error(t, c.Wait())
		onlyThese(t, dir, "from", "endless", "to.part")

		_, stderr, status = copied(t, "-backend", backend, from, to)
		require.Zero(t, status, stderr)
		onlyThese(t, dir, "from", "endless", "to")
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
