package main_test

import (
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

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

func TestEcho(t *testing.T) {
	for _, backend := range exampletest.Backends(t) {
		for _, style := range []string{"await", "callback"} {
			t.Run(backend+"/"+style, func(t *testing.T) {
				s := exampletest.Start(t, "-addr", "127.0.0.1:0", "-network", "tcp", "-backend", backend, "-style", style, "-loops", "2")
				host, port, err := net.SplitHostPort(s.Addr)
				require.NoError(t, err)
				require.Equal(t, "127.0.0.1", host)
				require.NotEqual(t, "0", port)
				require.Equal(t, fmt.Sprintf("listening on tcp %s backend=%s loops=2 style=%s", s.Addr, backend, style), s.Banner)

				const conns = 8
				var all sync.WaitGroup
				for i := range conns {
					all.Go(func() {
						if err := echoed("tcp", s.Addr, uint64(i), 1<<20); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				said := s.Stop(t, syscall.SIGTERM)
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
	for _, backend := range exampletest.Backends(t) {
		t.Run(backend+"/unix", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "socket")
			for range 2 { // the second time, too
				s := exampletest.Start(t, "-network", "unix", "-addr", path, "-backend", backend)
				require.Equal(t, path, s.Addr)
				require.NoError(t, echoed("unix", path, 1, 1<<20))
				s.Stop(t, os.Interrupt)
			}
		})
		t.Run(backend+"/tcp6", func(t *testing.T) {
			if !exampletest.IPv6(t) {
				t.Skip("needs IPv6, see above")
			}
			s := exampletest.Start(t, "-network", "tcp6", "-addr", "[::1]:0", "-backend", backend)
			require.NoError(t, echoed("tcp6", s.Addr, 1, 1<<20))
			s.Stop(t, syscall.SIGTERM)
		})
	}
}

func TestPinned(t *testing.T) {
	s := exampletest.Start(t, "-addr", "127.0.0.1:0", "-pin")
	require.NoError(t, echoed("tcp", s.Addr, 1, 1<<20))
	s.Stop(t, syscall.SIGTERM)
}

// TestStopWithConnectionsOpen finishes idle connections, and those that hold
// it up when the grace is over.
func TestStopWithConnectionsOpen(t *testing.T) {
	for _, backend := range exampletest.Backends(t) {
		for _, style := range []string{"await", "callback"} {
			t.Run(backend+"/"+style, func(t *testing.T) {
				s := exampletest.Start(t, "-addr", "127.0.0.1:0", "-backend", backend, "-style", style)
				idle, err := net.Dial("tcp", s.Addr)
				require.NoError(t, err)
				defer idle.Close()
				_, err = io.WriteString(idle, "x")
				require.NoError(t, err)
				_, err = io.ReadFull(idle, make([]byte, 1)) // it was accepted
				require.NoError(t, err)
				stuck, err := net.Dial("tcp", s.Addr)
				require.NoError(t, err)
				defer stuck.Close()
				_, err = io.WriteString(stuck, "x")
				require.NoError(t, err)
				_, err = io.ReadFull(stuck, make([]byte, 1)) // so was this
				require.NoError(t, err)
				require.NoError(t, stuck.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
				for err == nil {
					_, err = stuck.Write(make([]byte, 64<<10))
				}
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				said := s.Stop(t, syscall.SIGTERM)
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
		`style "x"`:                 {"-style", "x"},
		`backend "y"`:               {"-backend", "y"},
		"0 loops":                   {"-loops", "0"},
		"-1 loops":                  {"-loops", "-1"},
		"busy polling for -1s":      {"-busypoll", "-1s"},
		"is idle for -1s":           {"-submissionthread", "-1s"},
		`processors: "x"`:           {"-submissionthread", "1s", "-submissionprocessors", "0,x"},
		"without -submissionthread": {"-submissionprocessors", "0"},
		`invalid value "many"`:      {"-loops", "many"},
		"-unknown":                  {"-unknown"},
		`unexpected argument "up"`:  {"up"},
		"needs an argument":         {"-addr"},
	} {
		require.Contains(t, exampletest.Fails(t, 2, args...), says)
	}
}

func TestCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	other := exampletest.Start(t, "-addr", "127.0.0.1:0")
	for says, args := range map[string][]string{
		taken.Addr().String():      {"-addr", taken.Addr().String()},
		other.Addr:                 {"-addr", other.Addr},
		"unknown network":          {"-network", "carrier-pigeon"},
		"missing port":             {"-addr", "127.0.0.1"},
		"no such file":             {"-network", "unix", "-addr", filepath.Join(t.TempDir(), "no", "socket")},
		"loops":                    {"-loops", "100000"},
		"assign requested address": {"-addr", "192.0.2.1:1"},
	} {
		require.Contains(t, exampletest.Fails(t, 1, args...), says)
	}
	require.Contains(t, exampletest.Fails(t, 1, "-addr", taken.Addr().String()), "address already in use")
	require.NoError(t, echoed("tcp", other.Addr, 1, 1000), "the other one is none the worse")
	other.Stop(t, syscall.SIGTERM)
}

func TestHelp(t *testing.T) {
	out, err := exampletest.Command(t, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-addr", "-network", "-backend", "-style", "-loops", "-pin", "-busypoll", "-submissionthread", "-submissionprocessors"} {
		require.Contains(t, string(out), flag)
	}
}

// TestLittleLockedMemory: where an ordinary user may lock too little for a ring
// (newer kernels count rings), auto serves on epoll and says why.
func TestLittleLockedMemory(t *testing.T) {
	program := exampletest.Program(t)
	cmd := exec.Command("sh", "-c", "ulimit -l 64 && exec "+program+" -addr 127.0.0.1:0")
	if os.Getuid() == 0 { // whom the limit does not bind
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	s := exampletest.Await(t, cmd)
	if !strings.Contains(s.Banner, "backend=io_uring") {
		require.Regexp(t, ` backend=epoll .* reason=".*(RLIMIT_MEMLOCK|io_uring_setup).*"$`, s.Banner)
	}
	require.NoError(t, echoed("tcp", s.Addr, 1, 1<<20))
	s.Stop(t, syscall.SIGTERM)
}

// TestNoIOUring runs in CI where io_uring is switched off.
func TestNoIOUring(t *testing.T) {
	reason := os.Getenv("GOPROACTOR_EXPECT_NO_IOURING")
	if reason == "" {
		t.Skip("runs where CI knows that there is no io_uring: set GOPROACTOR_EXPECT_NO_IOURING to the reason to be given, such as kernel.io_uring_disabled=2")
	}
	s := exampletest.Start(t, "-addr", "127.0.0.1:0")
	require.Regexp(t, ` backend=epoll .* reason=".*`+regexp.QuoteMeta(reason)+`.*"$`, s.Banner)
	require.NoError(t, echoed("tcp", s.Addr, 1, 1<<20))
	s.Stop(t, syscall.SIGTERM)
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "127.0.0.1:0", "-backend", "io_uring"), reason)
}
