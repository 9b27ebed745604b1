package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/redcon"
)

// peer talks to a server, ours or the real one.
type peer struct {
	net.Conn
	in *bufio.Reader
}

// patience is how long a test waits for what must come.
const patience = time.Minute

func dial(t testing.TB, network, addr string) *peer {
	t.Helper()
	c, err := net.Dial(network, addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return &peer{c, bufio.NewReader(c)}
}

// request is a command as the protocol has it.
func request(args ...string) []byte {
	p := redcon.AppendArray(nil, len(args))
	for _, a := range args {
		p = redcon.AppendBulkString(p, a)
	}
	return p
}

// do sends a command and returns the reply as it came.
func (c *peer) do(t testing.TB, args ...string) string {
	t.Helper()
	c.send(t, request(args...))
	return c.reply(t)
}

func (c *peer) send(t testing.TB, p []byte) {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience))) // each has so long, not all together
	_, err := c.Write(p)
	require.NoError(t, err)
}

func (c *peer) reply(t testing.TB) string {
	t.Helper()
	p, err := readReply(c.in)
	require.NoError(t, err, "after %q", p)
	return string(p)
}

// readReply reads one reply, whatever is within it.
func readReply(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return line, err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	switch {
	case line[0] == redcon.Bulk && n >= 0:
		body := make([]byte, n+2)
		_, err = io.ReadFull(in, body)
		return append(line, body...), err
	case line[0] == redcon.Array:
		for range n {
			part, err := readReply(in)
			if line = append(line, part...); err != nil {
				return line, err
			}
		}
	case !bytes.ContainsAny(line[:1], "+-:$"):
		return line, fmt.Errorf("%q begins no reply", line)
	}
	return line, nil
}

// startRedis starts the real server on a free port and returns its address.
func startRedis(t testing.TB) (addr string) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed (Debian: redis-server): its replies are not compared")
	}
	path := filepath.Join(t.TempDir(), "redis")
	cmd := exec.Command(program, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	require.Eventually(t, func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, patience, 10*time.Millisecond)
	return path
}

// redisTool is the path of a program that comes with Redis.
func redisTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed (Debian: redis-tools)")
	}
	return path
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	p, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(p)
}
