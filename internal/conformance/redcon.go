package main

import "os/exec"

// redcon is a server of the Redis protocol. Beside its own tests redis-benchmark, the
// load generator of Redis, talks to one that serves it. In coroutines the handler of a
// connection is a task.
var redcon = suite{
	name:    "redcon",
	module:  "github.com/tidwall/redcon",
	version: "v1.6.4",
	quick:   []string{"-run=^(TestServer|TestPubSub|TestRedisBenchmark)"},
	files:   map[string]string{"redisbenchmark_test.go": redisBenchmark},
	needs:   inPath("redis-benchmark", "apt-get install redis-tools"),
	replace: []replacement{
		{file: "redcon.go", old: "net.Listen(s.net, s.laddr)", new: "proactornet.Listen(s.net, s.laddr)"},
		{file: "redcon.go", old: "\t\tgo handle(s, c)\n", new: redconServe},
		{file: "redcon_test.go", old: "net.Dial(", new: "proactornet.Dial("},
	},
	known: []known{{
		test: "TestPubSub", modes: []mode{coroutine}, skip: true,
		reason: "redcon.PubSub writes to its subscribers with a mutex held: a task that waits for the mutex holds up the loop which has to write",
	}},
}

// redconServe is how a connection is served: where tasks are asked for, its reader and
// writer are over the net.Conn of the task.
const redconServe = `
		proactornet.Go(lnconn, func(lnconn net.Conn) {
			s.mu.Lock()
			c.conn, c.wr, c.rd = lnconn, NewWriter(lnconn), NewReader(lnconn)
			s.mu.Unlock()
			handle(s, c)
		})
`

const redisBenchmark = `package redcon

import (
	"context"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"MODULE/internal/proactornet"
)

// TestRedisBenchmark serves a store in memory to redis-benchmark, with and without
// pipelining.
func TestRedisBenchmark(t *testing.T) {
	ln, err := proactornet.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	items := map[string][]byte{}
	s := NewServer("", func(conn Conn, cmd Command) {
		mu.Lock()
		defer mu.Unlock()
		switch strings.ToLower(string(cmd.Args[0])) {
		case "ping":
			conn.WriteString("PONG")
		case "set":
			items[string(cmd.Args[1])] = append([]byte(nil), cmd.Args[2]...)
			conn.WriteString("OK")
		case "get":
			if v, ok := items[string(cmd.Args[1])]; ok {
				conn.WriteBulk(v)
			} else {
				conn.WriteNull()
			}
		case "config":
			conn.WriteArray(2)
			conn.WriteBulk(cmd.Args[2])
			conn.WriteBulkString("")
		default:
			conn.WriteError("ERR unknown command " + string(cmd.Args[0]))
		}
	}, nil, nil)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, how := range [][]string{
		{"-n", "5000", "-c", "50", "-t", "ping,set,get"},
		{"-n", "20000", "-c", "50", "-P", "16", "-t", "ping,set,get"},
		{"-n", "2000", "-c", "20", "-d", "20000", "-t", "set,get"},
		{"-n", "2000", "-c", "20", "-k", "0", "-t", "ping"},
	} {
		t.Run(strings.Join(how, " "), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, "redis-benchmark", append([]string{"-h", "127.0.0.1", "-p", port, "--csv"}, how...)...).CombinedOutput()
			text := string(out)
			if err != nil || strings.Contains(text, "rror") || !strings.Contains(text, "\"PING_") && !strings.Contains(text, "\"GET\"") {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
	s.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
`

// inPath says what is lacking if a program is not to be found.
func inPath(program, how string) func() string {
	return func() string {
		if _, err := exec.LookPath(program); err != nil {
			return "needs " + program + " (" + how + ")"
		}
		return ""
	}
}
