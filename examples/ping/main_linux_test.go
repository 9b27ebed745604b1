package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// command is the program to be run, as an ordinary user if asked.
func command(t *testing.T, ordinary bool, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exampletest.Command(t, args...)
	if ordinary && os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return cmd
}

// run returns what it said and how it ended.
func run(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), complaint.String(), cmd.ProcessState.ExitCode()
}

// requirePrivilege skips what an ordinary user cannot do.
func requirePrivilege(t *testing.T) {
	t.Helper()
	c, err := net.ListenPacket("ip4:icmp", "127.0.0.1")
	if errors.Is(err, os.ErrPermission) {
		t.Skip("a raw socket needs CAP_NET_RAW: ", err)
	}
	require.NoError(t, err)
	c.Close()
}

func TestPing(t *testing.T) {
	requirePrivilege(t)
	for _, backend := range exampletest.Backends(t) {
		for _, host := range []string{"127.0.0.1", "::1"} {
			if host == "::1" && !exampletest.IPv6(t) {
				continue
			}
			out, complaint, code := run(t, command(t, false, "-backend", backend, "-c", "3", "-i", "10ms", host))
			require.Zero(t, code, "%s%s", out, complaint)
			require.Empty(t, complaint)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			require.Len(t, lines, 8, "%s", out)
			require.Equal(t, fmt.Sprintf("PING %s (%s) 56(84) bytes of data. backend=%s", host, host, backend), lines[0])
			for i := range 3 {
				require.Regexp(t, fmt.Sprintf(`^64 bytes from %s: icmp_seq=%d ttl=\d+ time=\d+\.\d{3} ms$`, host, i+1), lines[1+i])
			}
			require.Empty(t, lines[4])
			require.Equal(t, "--- "+host+" ping statistics ---", lines[5])
			require.Regexp(t, `^3 packets transmitted, 3 received, 0% packet loss, time \d+ms$`, lines[6])
			require.Regexp(t, `^rtt min/avg/max/mdev = \d+\.\d{3}/\d+\.\d{3}/\d+\.\d{3}/\d+\.\d{3} ms$`, lines[7])
		}
	}
}

func TestInterrupt(t *testing.T) {
	requirePrivilege(t)
	for _, backend := range exampletest.Backends(t) {
		cmd := command(t, false, "-backend", backend, "-i", "1h", "127.0.0.1")
		pipe, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		out := bufio.NewScanner(pipe)
		for out.Scan() && !strings.Contains(out.Text(), "icmp_seq=1") {
		}
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		var rest []string
		for out.Scan() {
			rest = append(rest, out.Text())
		}
		require.NoError(t, cmd.Wait())
		require.Len(t, rest, 4)
		require.Contains(t, rest[2], "1 packets transmitted, 1 received")
	}
}

func TestOrdinaryUser(t *testing.T) {
	if c, err := net.ListenPacket("ip4:icmp", "127.0.0.1"); err == nil {
		c.Close()
		if os.Getuid() != 0 {
			t.Skip("this user may open raw sockets")
		}
	}
	for dir := filepath.Dir(exampletest.Program(t)); dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); os.Getuid() == 0 && (err != nil || info.Mode().Perm()&1 == 0) {
			t.Skipf("an ordinary user cannot run what is in the directory of temporary files: %s is closed to others", dir)
		}
	}
	for _, backend := range exampletest.Backends(t) {
		out, complaint, code := run(t, command(t, true, "-backend", backend, "-c", "1", "127.0.0.1"))
		require.Equal(t, 1, code)
		require.Empty(t, out)
		require.Equal(t, 1, strings.Count(complaint, "\n"), complaint)
		require.True(t, strings.HasPrefix(complaint, "ping: "), complaint)
		require.Contains(t, complaint, "operation not permitted")
		require.Contains(t, complaint, "CAP_NET_RAW")
	}
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`backend "y"`:          {"-backend", "y", "127.0.0.1"},
		"0 hosts":              {},
		"2 hosts":              {"127.0.0.1", "::1"},
		"-1 requests":          {"-c", "-1", "127.0.0.1"},
		"interval":             {"-i", "0s", "127.0.0.1"},
		`invalid value "many"`: {"-c", "many", "127.0.0.1"},
		"-unknown":             {"-unknown"},
	} {
		out, complaint, code := run(t, command(t, false, args...))
		require.Equal(t, 2, code, "%q", args)
		require.Empty(t, out)
		require.True(t, strings.HasPrefix(complaint, "ping: "), complaint)
		require.Equal(t, 1, strings.Count(complaint, "\n"), complaint)
		require.Contains(t, complaint, says)
	}
	_, complaint, code := run(t, command(t, false, "-c", "1", "host.invalid"))
	require.Equal(t, 1, code)
	require.Contains(t, complaint, "host.invalid")
	out, _, code := run(t, command(t, false, "-help"))
	require.Zero(t, code)
	for _, flag := range []string{"-c", "-i", "-W", "-backend"} {
		require.Contains(t, out, flag)
	}
}
