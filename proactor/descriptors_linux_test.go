package proactor_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFewDescriptors runs itself in processes that may have few descriptors: New
// succeeds, and there are enough to serve a connection, or it says what is missing.
func TestFewDescriptors(t *testing.T) {
	const child = "GOPROACTOR_FEW_DESCRIPTORS"
	if v := os.Getenv(child); v != "" {
		backend, limit, _ := strings.Cut(v, ":")
		serveWithFew(t, backend, limit)
		return
	}
	for _, backend := range []string{"auto", "io_uring", "epoll"} {
		t.Run(backend, func(t *testing.T) {
			if b, err := proactor.ParseBackend(backend); err == nil && b == proactor.IOUring {
				requireBackend(t, b)
			}
			served := 0
			for limit := 4; limit <= 40; limit++ {
				// Without a time limit: its timer would open the poller before the test does.
				c := exec.Command(os.Args[0], "-test.run=^TestFewDescriptors$", "-test.timeout=0", "-test.v")
				// A race build sleeps a second before it exits, for each of the many processes.
				c.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", child, backend, limit), "GORACE=atexit_sleep_ms=0")
				out, err := c.CombinedOutput()
				require.NoError(t, err, "limit %d: %s", limit, out)
				require.Contains(t, string(out), "--- PASS: TestFewDescriptors", "limit %d", limit)
				if strings.Contains(string(out), "served") {
					served++
				}
			}
			require.Greater(t, served, 20)
		})
	}
}

// serveWithFew tries to serve a connection in a process with that limit.
func serveWithFew(t *testing.T, backend, limit string) {
	n, err := strconv.ParseUint(limit, 10, 64)
	require.NoError(t, err)
	inUse := func() (numbers []int) {
		for fd := range int(n) {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				numbers = append(numbers, fd)
			}
		}
		return numbers
	}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}))
	before := inUse()
	var opts []proactor.Option
	if b, err := proactor.ParseBackend(backend); err == nil {
		opts = append(opts, proactor.WithBackend(b))
	}
	rt, err := proactor.New(append(opts, proactor.WithLoops(1))...)
	if err != nil {
		t.Log(err)
		require.ErrorIs(t, err, syscall.EMFILE)
		require.ErrorContains(t, err, "RLIMIT_NOFILE is "+limit)
		require.LessOrEqual(t, len(inUse()), len(before)+2, "all but the poller's are closed")
		return
	}
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dialed := rt.Dial(t.Context(), "tcp", ln.Addr().String())
	served, err := ln.Accept().Await(t.Context())
	require.NoError(t, err)
	c, err := dialed.Await(t.Context())
	require.NoError(t, err)
	_, err = c.SendBytes([]byte("echo")).Await(t.Context())
	require.NoError(t, err)
	b, err := served.Recv().Await(t.Context())
	require.NoError(t, err)
	_, err = served.Send(b).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, "echo", receivedAll(t, t.Context(), c, 4))
	require.NoError(t, rt.Close())
	require.LessOrEqual(t, len(inUse()), len(before)+2, "all but the poller's are closed")
	t.Log("served")
}

// withoutDescriptors runs fn while the process can open nothing more. The limit is far below
// the numbers in use: others may be closed meanwhile, by the garbage collector for one. It is
// not 0, which poll(2) would refuse.
func withoutDescriptors(t *testing.T, fn func()) {
	t.Helper()
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max}))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) }()
	fn()
}
