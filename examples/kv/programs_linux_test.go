package main

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

// onEach runs a test with a server on each backend.
func onEach(t *testing.T, test func(t *testing.T, s *exampletest.Server), args ...string) {
	for _, backend := range exampletest.Backends(t) {
		t.Run(backend, func(t *testing.T) {
			s := exampletest.Start(t, append([]string{"-addr", "127.0.0.1:0", "-backend", backend}, args...)...)
			test(t, s)
			s.Stop(t, syscall.SIGTERM)
		})
	}
}

// ran is what a program prints that talks to the server.
func ran(t *testing.T, s *exampletest.Server, input, program string, args ...string) string {
	host, port, err := net.SplitHostPort(s.Addr)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, append([]string{"-h", host, "-p", port}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestRedisCLI(t *testing.T) {
	cli := redisTool(t, "redis-cli")
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		require.Equal(t, "PONG\n", ran(t, s, "", cli, "ping"))
		require.Equal(t, "OK\n", ran(t, s, "", cli, "set", "key", "some value"))
		require.Equal(t, "\"some value\"\n", ran(t, s, "", cli, "--no-raw", "get", "key"))
		require.Equal(t, "key\n", ran(t, s, "", cli, "--scan", "--pattern", "k*"))
		require.Contains(t, ran(t, s, "", cli, "info"), "db0:keys=1,expires=0")
		require.Contains(t, ran(t, s, "SET a 1\nINCR a\nINCR a\n", cli, "--pipe"), "errors: 0, replies: 3")
		require.Equal(t, "3\n", ran(t, s, "", cli, "get", "a"))
		require.Equal(t, "OK\n", ran(t, s, "from stdin", cli, "-x", "set", "b"))
		require.Equal(t, "from stdin\n", ran(t, s, "", cli, "get", "b"))
		require.Contains(t, ran(t, s, "", cli, "-3", "ping"), "PONG", "RESP3 is refused, and it goes on")
	}, "-loops", "2")
}

var perSecond = regexp.MustCompile(`(?m)^([A-Z_0-9]+)[^:\r\n]*: ([0-9.]+) requests per second`)

// TestRedisBenchmark runs the whole default list of redis-benchmark.
func TestRedisBenchmark(t *testing.T) {
	benchmark := redisTool(t, "redis-benchmark")
	for _, loops := range []string{"1", "2"} {
		t.Run(loops+" loops", func(t *testing.T) {
			onEach(t, func(t *testing.T, s *exampletest.Server) {
				for _, args := range [][]string{{}, {"-P", "16"}} {
					out := strings.ReplaceAll(ran(t, s, "", benchmark, append([]string{"-q", "-n", "2000"}, args...)...), "\r", "\n")
					var finished []string
					for _, m := range perSecond.FindAllStringSubmatch(out, -1) {
						finished = append(finished, m[1])
					}
					require.Subset(t, finished, []string{"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP",
						"RPOP", "SADD", "HSET", "SPOP", "ZADD", "ZPOPMIN", "LRANGE_100", "LRANGE_300", "LRANGE_500", "LRANGE_600", "MSET"}, out)
					require.NotContains(t, strings.ToLower(out), "error", out)
					require.NotContains(t, out, "WARNING", out)
				}
			}, "-loops", loops)
		})
	}
}

func TestOtherNetworks(t *testing.T) {
	for _, backend := range exampletest.Backends(t) {
		t.Run(backend, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "socket")
			s := exampletest.Start(t, "-network", "unix", "-addr", path, "-backend", backend)
			require.Equal(t, "+PONG\r\n", dial(t, "unix", path).do(t, "PING"))
			s.Stop(t, syscall.SIGINT)
		})
	}
}

func TestBanner(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		require.Regexp(t, `^listening on tcp \S+ backend=\w+ loops=2( reason=".*")?$`, s.Banner)
	}, "-loops", "2", "-pin", "-busypoll", "10us")
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`backend "y"`:              {"-backend", "y"},
		"0 loops":                  {"-loops", "0"},
		"busy polling for -1s":     {"-busypoll", "-1s"},
		"frame limit of 1 bytes":   {"-framelimit", "1"},
		"queue limit of 0 bytes":   {"-queuelimit", "0"},
		"-unknown":                 {"-unknown"},
		`unexpected argument "up"`: {"up"},
	} {
		require.Contains(t, exampletest.Fails(t, 2, args...), says)
	}
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "192.0.2.1:1"), "192.0.2.1:1")
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "127.0.0.1:0", "-aof", "/dev/full"), "not a regular file")
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "127.0.0.1:0", "-aof", filepath.Join(t.TempDir(), "no", "file")), "no such file")
}

func TestHelp(t *testing.T) {
	out, err := exampletest.Command(t, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-addr", "-network", "-backend", "-loops", "-pin", "-busypoll", "-aof", "-framelimit", "-queuelimit"} {
		require.Contains(t, string(out), flag)
	}
}

// TestStop ends with clients connected: what they have sent is answered.
func TestStop(t *testing.T) {
	for _, backend := range exampletest.Backends(t) {
		for _, args := range [][]string{{}, {"-aof", filepath.Join(t.TempDir(), "journal")}} {
			t.Run(fmt.Sprint(backend, args), func(t *testing.T) {
				s := exampletest.Start(t, append([]string{"-addr", "127.0.0.1:0", "-backend", backend, "-loops", "2"}, args...)...)
				idle, subscriber, busy := dial(t, "tcp", s.Addr), dial(t, "tcp", s.Addr), dial(t, "tcp", s.Addr)
				require.Equal(t, "+PONG\r\n", idle.do(t, "PING")) // it was accepted
				subscriber.do(t, "SUBSCRIBE", "a")
				require.Equal(t, "+OK\r\n", busy.do(t, "SET", "a", "1"))
				said := s.Stop(t, syscall.SIGTERM)
				require.Regexp(t, `(?m)^total: accepted=3 .* conns=0 .* out=0 `, said)
				for _, c := range []*peer{idle, subscriber, busy} {
					_, err := c.in.ReadByte()
					require.Error(t, err)
				}
			})
		}
	}
}
