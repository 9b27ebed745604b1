package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

// TestRestart has a new process take over in the middle of many short connections, twice:
// none fails.
func TestRestart(t *testing.T) {
	connections := 20000
	if testing.Short() {
		connections = 2000
	}
	onEach(t, func(t *testing.T, backend string) {
		u := named(t, "127.0.0.1:0", "answer")
		s := restartable(t, "-addr", "127.0.0.1:0", "-backend", backend, "-loops", "2", "-upstream", u.address(), "-restart", "-grace", "1m")
		old := greetSilently(t, s.Addr) // is served to its end by the process that accepted it

		crowd := connect(s.Addr, connections)
		crowd.await(connections / 3)
		first := s.restart(t)
		crowd.await(2 * connections / 3)
		second := s.restart(t)
		crowd.running.Wait()
		require.Empty(t, crowd.failures)
		require.EqualValues(t, connections+1, u.accepted.Load())

		require.Equal(t, "answer", said(t, old, "who?"))
		require.NoError(t, s.Wait(), "the process that was started first has ended")
		require.NotEqual(t, first, second)
		answer, err := ask(s.Addr)
		require.NoError(t, err)
		require.Equal(t, "answer", answer)
		t.Logf("%d connections and two restarts: %d failed", connections, len(crowd.failures))
	})
}

// greetSilently opens a connection that the process has accepted.
func greetSilently(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = ask(addr) // a later one is served
	require.NoError(t, err)
	return c
}

// crowd is short connections.
type crowd struct {
	running  sync.WaitGroup
	begun    atomic.Int64
	moved    sync.Cond
	mu       sync.Mutex
	done     int
	failures []error
}

func connect(addr string, connections int) *crowd {
	c := new(crowd)
	c.moved.L = &c.mu
	for range 8 {
		c.running.Go(func() {
			for c.begun.Add(1) <= int64(connections) {
				answer, err := ask(addr)
				if err == nil && answer != "answer" {
					err = fmt.Errorf("answer %q", answer)
				}
				c.mu.Lock()
				if c.done++; err != nil {
					c.failures = append(c.failures, err)
				}
				c.moved.Broadcast()
				c.mu.Unlock()
			}
		})
	}
	return c
}

// await waits until so many are done.
func (c *crowd) await(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.done < n {
		c.moved.Wait()
	}
}

// restarting is a process and its successors.
type restarting struct {
	*exampletest.Server
	pid   int           // of the one that serves
	lines *bufio.Reader // what all of them print
}

// restartable starts the program with one pipe for what it and its successors print.
func restartable(t *testing.T, args ...string) *restarting {
	t.Helper()
	lines, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := exampletest.Command(t, args...)
	cmd.Stderr = w
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close()) // theirs only: it ends with the last of them
	r := &restarting{Server: &exampletest.Server{Cmd: cmd}, pid: cmd.Process.Pid, lines: bufio.NewReader(lines)}
	t.Cleanup(func() {
		syscall.Kill(r.pid, syscall.SIGKILL)
		cmd.Process.Kill()
		cmd.Wait()
		lines.Close()
	})
	r.Addr = r.find(t, `listening on tcp (\S+) `)
	return r
}

// find waits for a line that the expression finds, and returns what it captures there.
func (r *restarting) find(t *testing.T, expression string) string {
	t.Helper()
	wanted := regexp.MustCompile(expression)
	var printed strings.Builder
	for {
		line, err := r.lines.ReadString('\n')
		printed.WriteString(line)
		require.NoError(t, err, "they ended: %s", printed.String())
		if found := wanted.FindStringSubmatch(line); found != nil {
			return found[1]
		}
	}
}

// restart has a new process take over, and returns its number.
func (r *restarting) restart(t *testing.T) int {
	t.Helper()
	require.NoError(t, syscall.Kill(r.pid, syscall.SIGUSR2))
	pid, err := strconv.Atoi(r.find(t, `restarted: process (\d+) serves`))
	require.NoError(t, err)
	r.pid = pid
	return pid
}

// TestRestartFails goes on with the old process when the new one does not serve.
func TestRestartFails(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		u := start(t, "127.0.0.1:0", echo)
		program := filepath.Join(t.TempDir(), "proxy")
		copyFile(t, exampletest.Program(t), program)
		cmd := exec.Command(program, "-addr", "127.0.0.1:0", "-backend", backend, "-upstream", u.address(), "-restart")
		s := exampletest.Await(t, cmd)
		require.NoError(t, os.Remove(program))
		require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexit 3\n"), 0o755))
		require.NoError(t, s.Process.Signal(syscall.SIGUSR2))
		require.NoError(t, echoed(s.Addr, 1, 1<<20))
		require.Regexp(t, "restart: this process (goes on|stops): ", s.Stop(t, syscall.SIGTERM))
	})
}

// TestRestartHangs stops when it is told to, although a successor has started and says
// nothing.
func TestRestartHangs(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		program := filepath.Join(t.TempDir(), "proxy")
		copyFile(t, exampletest.Program(t), program)
		cmd := exec.Command(program, "-addr", "127.0.0.1:0", "-backend", backend, "-upstream", start(t, "127.0.0.1:0", echo).address(), "-restart")
		s := exampletest.Await(t, cmd)
		require.NoError(t, os.Remove(program))
		started := program + ".started"
		require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n: > "+started+"\nexec sleep 1000\n"), 0o755))
		require.NoError(t, s.Process.Signal(syscall.SIGUSR2))
		require.Eventually(t, func() bool { _, err := os.Stat(started); return err == nil }, 30*time.Second, time.Millisecond)
		require.NoError(t, echoed(s.Addr, 1, 1<<20))
		require.Contains(t, s.Stop(t, syscall.SIGTERM), "restart: this process stops: ")
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, content, 0o755))
}
