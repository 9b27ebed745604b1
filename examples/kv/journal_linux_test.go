package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// eachJournal runs a test with a file for a journal, and the flags for each backend.
func eachJournal(t *testing.T, test func(t *testing.T, file string, args []string)) {
	for _, backend := range exampletest.Backends(t) {
		for _, loops := range []string{"1", "2"} {
			t.Run(backend+"/"+loops+" loops", func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "journal")
				test(t, file, []string{"-addr", "127.0.0.1:0", "-backend", backend, "-loops", loops, "-aof", file})
			})
		}
	}
}

// TestKill9: no write is lost that was acknowledged, whenever the server is killed, and
// a counter has every increment that was, and at most one more for each client.
func TestKill9(t *testing.T) {
	eachJournal(t, func(t *testing.T, _ string, args []string) {
		acknowledged := make(map[string]int)
		for round := range 4 {
			s := exampletest.Start(t, args...)
			verify(t, s, acknowledged)
			load(t, s, round, acknowledged)
		}
		s := exampletest.Start(t, args...)
		verify(t, s, acknowledged)
		s.Stop(t, syscall.SIGTERM)
	})
}

// load has clients write until the server is killed under them.
func load(t *testing.T, s *exampletest.Server, round int, acknowledged map[string]int) {
	const clients, atLeast = 16, 400
	var all sync.WaitGroup
	var mu sync.Mutex
	var done atomic.Int64
	for id := range clients {
		c := dial(t, "tcp", s.Addr)
		all.Go(func() {
			key := fmt.Sprint("client", id)
			for n := round*1_000_000 + 1; ; n++ {
				var p []byte
				p = append(p, request("SET", key, fmt.Sprint(n))...)
				p = append(p, request("INCR", key+"counter")...)
				p = append(p, request("RPUSH", key+"list", fmt.Sprint(n))...)
				if _, err := c.Write(p); err != nil {
					return
				}
				for _, k := range []string{key, key + "counter", key + "list"} {
					reply, err := readReply(c.in)
					if err != nil {
						return
					}
					mu.Lock()
					if acknowledged[k] = n; reply[0] == ':' {
						var count int
						fmt.Sscan(string(reply[1:]), &count)
						acknowledged[k] = count
					}
					mu.Unlock()
					done.Add(1)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return done.Load() > atLeast }, patience, time.Millisecond)
	require.NoError(t, s.Process.Kill())
	all.Wait()
	s.Wait()
}

func verify(t *testing.T, s *exampletest.Server, acknowledged map[string]int) {
	c := dial(t, "tcp", s.Addr)
	for key, want := range acknowledged {
		var got int
		if strings.HasSuffix(key, "list") {
			_, err := fmt.Sscanf(c.do(t, "LLEN", key), ":%d", &got)
			require.NoError(t, err)
		} else {
			_, err := fmt.Sscan(strings.Split(c.do(t, "GET", key), "\r\n")[1], &got)
			require.NoError(t, err)
		}
		require.GreaterOrEqual(t, got, want, "%s was acknowledged", key)
		require.LessOrEqual(t, got, want+1, "%s: one more may have been written", key)
	}
}

// TestReplay: what a server has when it stops, the next one has, whatever the type.
func TestReplay(t *testing.T) {
	eachJournal(t, func(t *testing.T, file string, args []string) {
		s := exampletest.Start(t, args...)
		c := dial(t, "tcp", s.Addr)
		for _, line := range []string{
			"SET a 1", "SET b 2 EX 1000", "SET gone 1 PX 1", "INCRBYFLOAT f 1.5", "APPEND a 2", "MSET x 1 y 2", "DEL x",
			"RPUSH l a b c d", "LPOP l", "LMOVE l m LEFT RIGHT", "HSET h f v g w", "HINCRBYFLOAT h n 1.5", "HDEL h g",
			"SADD s a b c d e", "SPOP s", "SPOP s 2", "ZADD z 1 a 2 b 3 c", "ZPOPMIN z", "ZINCRBY z 4 b",
			"XADD st * f v", "XADD st MAXLEN 1 * f w", "SETEX e 1000 v", "PERSIST e", "EXPIRE a 1000", "EXPIRE y -1", "RENAME m n",
			"GETSET a new", "SETNX b 3", "SETRANGE b 3 x", "GETDEL f", "SET k v", "SET k w KEEPTTL", "SET k v GET",
		} {
			require.NotEqual(t, "-", c.do(t, strings.Fields(line)...)[:1], line)
		}
		look := []string{"GET a", "TTL a", "GET b", "GET gone", "GET f", "EXISTS x", "EXISTS y", "LRANGE l 0 -1", "LRANGE n 0 -1", "HGETALL h",
			"SCARD s", "SMISMEMBER s a b c d e", "ZRANGE z 0 -1 WITHSCORES", "XRANGE st - +", "TTL e", "GET k", "PEXPIRETIME b"}
		require.Eventually(t, func() bool { return c.do(t, "EXISTS", "gone") == ":0\r\n" }, patience, time.Millisecond)
		require.Equal(t, ":1\r\n", c.do(t, "INCR", "gone"), "a new one, that does not expire")
		look = append(look, "GET gone", "TTL gone")
		before := make(map[string]string)
		for _, line := range look {
			before[line] = c.do(t, strings.Fields(line)...)
		}
		s.Stop(t, syscall.SIGTERM)
		for range 2 {
			s = exampletest.Start(t, args...)
			c = dial(t, "tcp", s.Addr)
			for _, line := range look {
				require.Equal(t, before[line], c.do(t, strings.Fields(line)...), line)
			}
			s.Stop(t, syscall.SIGTERM)
		}
	})
}

// TestTornTail: a part of a command at the end is cut off, and told. What is damaged
// elsewhere is refused, and left as it is.
func TestTornTail(t *testing.T) {
	whole := string(request("SET", "a", "1")) + string(request("SET", "b", "2"))
	last := string(request("SET", "c", strings.Repeat("x", 3000)))
	eachJournal(t, func(t *testing.T, file string, args []string) {
		for _, tail := range []string{"", "*", "*3\r\n", last[:10], last[:100], last[:len(last)-1], "\x00", strings.Repeat("\x00", 5000)} {
			require.NoError(t, os.WriteFile(file, []byte(whole+tail), 0o666))
			s := exampletest.Start(t, args...)
			c := dial(t, "tcp", s.Addr)
			require.Equal(t, "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n", c.do(t, "MGET", "a", "b", "c"))
			require.Equal(t, "+OK\r\n", c.do(t, "SET", "d", "4"))
			said := s.Stop(t, syscall.SIGTERM)
			if tail == "" {
				require.NotContains(t, said, "cut off")
			} else {
				require.Contains(t, said, fmt.Sprintf("cut off the last command, at offset %d, of which only %d bytes were written", len(whole), len(tail)))
			}
			require.Equal(t, whole+string(request("SET", "d", "4")), readFile(t, file))
		}
		for _, bad := range []string{"garbage\r\n", "*1\r\n$3\r\nGET\r\n", string(request("GET", "a")), "*1\r\n$-5\r\n", string(request("INCR", "a", "b"))} {
			require.NoError(t, os.WriteFile(file, []byte(whole+bad+whole), 0o666))
			require.Contains(t, exampletest.Fails(t, 1, args...), fmt.Sprintf("aof %s: at offset %d: ", file, len(whole)))
			require.Equal(t, whole+bad+whole, readFile(t, file))
		}
	})
}

// TestOneServerOneJournal: a second server with the same file is refused.
func TestOneServerOneJournal(t *testing.T) {
	eachJournal(t, func(t *testing.T, file string, args []string) {
		s := exampletest.Start(t, args...)
		require.Contains(t, exampletest.Fails(t, 1, args...), "another server writes this file")
		s.Stop(t, syscall.SIGTERM)
	})
}

// TestDiskFull: writes are refused, reads are answered, and when there is room again the
// server goes on. Nothing that was acknowledged is lost.
func TestDiskFull(t *testing.T) {
	eachJournal(t, func(t *testing.T, file string, args []string) {
		const blocks = 64 // of 512 or 1024 bytes, depending on the shell
		command := append([]string{"-c", fmt.Sprintf(`ulimit -S -f %d && exec "$0" "$@"`, blocks), exampletest.Program(t)}, args...)
		s := exampletest.Await(t, exec.Command("sh", command...))
		c, reader := dial(t, "tcp", s.Addr), dial(t, "tcp", s.Addr)
		value := strings.Repeat("x", 1000)
		// Several write at once, so that some wait behind the group that fails.
		var acknowledged [8]int
		var refused [8]string
		var writers sync.WaitGroup
		for i := range refused {
			w := dial(t, "tcp", s.Addr)
			writers.Go(func() {
				for n := range 2 * blocks {
					w.Write(request("SET", fmt.Sprint("key", i, "-", n), value))
					if reply, err := readReply(w.in); err != nil || string(reply) != "+OK\r\n" {
						refused[i] = fmt.Sprintf("%s%v", reply, err)
						return
					}
					acknowledged[i]++
				}
			})
		}
		writers.Wait()
		total := 0
		for i := range refused {
			require.Regexp(t, "^-MISCONF Errors writing to the AOF file: .+\r\n<nil>$", refused[i])
			total += acknowledged[i]
		}
		require.Greater(t, total, 10)
		// What was to be answered to somebody who hangs up is not there to be refused.
		bad := dial(t, "tcp", s.Addr)
		bad.Write(append(append(request("GET", "key"), request("SET", "other", value)...), request("POST", "x")...))
		rest, err := io.ReadAll(bad.in)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Regexp(t, "^-MISCONF Errors writing to the AOF file: .+\r\n$", c.do(t, "SET", "other", "x"))
		require.Contains(t, reader.do(t, "GET", "key0-0"), value)
		require.Contains(t, reader.do(t, "INFO"), "aof_last_write_status:err")

		require.NoError(t, unix.Prlimit(s.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil))
		require.Eventually(t, func() bool { return c.do(t, "SET", "again", "1") == "+OK\r\n" }, patience, 10*time.Millisecond)
		require.Contains(t, reader.do(t, "INFO"), "aof_last_write_status:ok")
		require.NoError(t, s.Process.Kill())
		s.Wait()

		s = exampletest.Start(t, args...)
		c = dial(t, "tcp", s.Addr)
		for i, n := range acknowledged {
			for n := range n {
				require.Contains(t, c.do(t, "GET", fmt.Sprint("key", i, "-", n)), value)
			}
		}
		require.Equal(t, "$1\r\n1\r\n", c.do(t, "GET", "again"))
		s.Stop(t, syscall.SIGTERM)
	})
}

// TestExpiry: what has expired is not there, and leaves the memory though nobody asks.
func TestExpiry(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		c := dial(t, "tcp", s.Addr)
		for i := range 500 {
			require.Equal(t, "+OK\r\n", c.do(t, "SET", fmt.Sprint("key", i), "v", "PX", "50"))
		}
		c.do(t, "SET", "stays", "v")
		require.Eventually(t, func() bool { return c.do(t, "DBSIZE") == ":1\r\n" }, patience, 10*time.Millisecond)
		require.Equal(t, "$1\r\nv\r\n", c.do(t, "GET", "stays"))
		require.Equal(t, "*1\r\n$5\r\nstays\r\n", c.do(t, "KEYS", "*"))
	}, "-loops", "2")
}

// TestScan finds every key that is there all the time, whatever comes and goes.
func TestScan(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		c, other := dial(t, "tcp", s.Addr), dial(t, "tcp", s.Addr)
		for i := range 1000 {
			c.do(t, "SET", fmt.Sprint("stays", i), "v")
			c.do(t, "SET", fmt.Sprint("goes", i), "v")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var changes sync.WaitGroup
		changes.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				other.Write(append(request("DEL", fmt.Sprint("goes", i%1000)), request("SET", fmt.Sprint("new", i%1000), "v")...))
				readReply(other.in)
				readReply(other.in)
			}
		})
		for range 5 {
			seen := make(map[string]bool)
			for cursor := "0"; ; {
				reply := strings.Split(c.do(t, "SCAN", cursor, "COUNT", "7"), "\r\n")
				for i := 5; i < len(reply); i += 2 {
					seen[reply[i]] = true
				}
				if cursor = reply[2]; cursor == "0" {
					break
				}
			}
			for i := range 1000 {
				require.True(t, seen[fmt.Sprint("stays", i)], i)
			}
		}
		cancel()
		changes.Wait()
	}, "-loops", "2")
}
