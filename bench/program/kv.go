package program

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"sync"

	"github.com/tidwall/redcon"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
)

var _ = workload.Register(workload.Workload{
	Name:    "kv",
	About:   "GET of the Redis protocol; 16 deep, 16 requests are on the way on each connection",
	Unit:    "requests",
	Section: workload.Programs,
	Cells:   []workload.Cell{steady(quick(kvCell(0, 0, 1, 0))), kvCell(0, 0, 16, 0)},
	Custom:  kvCell,
	Rated:   true,
	Contestants: slices.Concat(redconServer.contestants(),
		example("kv", "a store that speaks the Redis protocol", func(o contestant.Options) []string {
			return []string{"-addr", o.Addr, "-loops", strconv.Itoa(o.Loops)}
		}),
		[]contestant.Contestant{redisServer}),
	Baseline: "redcon-net",
	Drive: workload.Requests{
		Request: func(load.Job) []byte { return []byte("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n") },
		Probe:   probeKV,
	}.Drive,
})

const kvValue = "0123456789abcdef"

func kvCell(_, conns, window, _ int) workload.Cell {
	return workload.Cell{Workload: "kv", Size: len(kvValue), Conns: or(conns, 64), Window: or(window, 1)}
}

// probeKV sets the key first.
func probeKV(conn net.Conn, _ load.Job, request []byte) (int, error) {
	set := []byte("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$16\r\n" + kvValue + "\r\n")
	if _, err := workload.Expect(conn, set, []byte("+OK\r\n")); err != nil {
		return 0, err
	}
	return workload.Expect(conn, request, []byte("$16\r\n"+kvValue+"\r\n"))
}

var redconServer = server{
	name:     "redcon",
	about:    "redcon 1.6.4 before a map",
	detached: true,
	listen: func(ln net.Listener, _ contestant.Options) error {
		s := newStore()
		return redcon.Serve(ln,
			func(c redcon.Conn, cmd redcon.Command) { s.answer(c, cmd) },
			func(redcon.Conn) bool { return true },
			func(redcon.Conn, error) {})
	},
	handler: func(contestant.Options) (handler, error) {
		s := newStore()
		return func(_ context.Context, c net.Conn) error { return s.serve(c) }, nil
	},
}

// store is a map, as in redcon's own example.
type store struct {
	mu   sync.RWMutex
	keys map[string][]byte
}

func newStore() *store { return &store{keys: make(map[string][]byte)} }

// serve is the loop of redcon's server, which it does not export.
func (s *store) serve(c net.Conn) error {
	in, out := redcon.NewReader(c), redcon.NewWriter(c)
	for {
		commands, err := in.ReadCommands()
		if err != nil {
			return err
		}
		for _, cmd := range commands {
			s.answer(out, cmd)
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// replies is what redcon.Conn and redcon.Writer have in common here.
type replies interface {
	WriteBulk([]byte)
	WriteError(string)
	WriteNull()
	WriteString(string)
}

func (s *store) answer(out replies, cmd redcon.Command) {
	switch {
	case len(cmd.Args) == 2 && string(cmd.Args[0]) == "GET":
		s.mu.RLock()
		value, ok := s.keys[string(cmd.Args[1])]
		s.mu.RUnlock()
		if !ok {
			out.WriteNull()
			return
		}
		out.WriteBulk(value)
	case len(cmd.Args) == 3 && string(cmd.Args[0]) == "SET":
		s.mu.Lock()
		s.keys[string(cmd.Args[1])] = slices.Clone(cmd.Args[2])
		s.mu.Unlock()
		out.WriteString("OK")
	default:
		out.WriteError("ERR unknown command")
	}
}

var redisServer = contestant.Contestant{
	Name:    "redis-server",
	Family:  contestant.Peer,
	About:   "redis-server, in C, as it is installed here",
	Foreign: true,
	Silent:  true,
	Build: func(context.Context, string) ([]string, error) {
		program, err := exec.LookPath("redis-server")
		if err != nil {
			return nil, errors.New("redis-server is not in PATH")
		}
		// The load generator comes from several addresses of 127.0.0.0/8, which its
		// protected mode takes for strangers.
		return []string{program, "--save", "", "--appendonly", "no", "--protected-mode", "no"}, nil
	},
	Args: func(o contestant.Options) []string {
		host, port, _ := net.SplitHostPort(o.Addr)
		return []string{"--bind", host, "--port", port}
	},
}
