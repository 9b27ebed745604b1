package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/heapstats"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/process"
	"github.com/goproactor/goproactor/bench/workload"
)

// harness runs contestants, one at a time.
type harness struct {
	dir        string // for what is built
	self       string // this program
	serverCore int
	clientCore int
	argv       map[string][]string // of the echo server, by contestant, once prepared
}

func newHarness(serverCore, clientCore int) (*harness, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	return &harness{dir: dir, self: self, serverCore: serverCore, clientCore: clientCore, argv: make(map[string][]string)}, nil
}

// close removes what was built. No process is left by then: each run ends its
// own.
func (h *harness) close() { os.RemoveAll(h.dir) }

// prepare makes a contestant ready to run: it builds the program, if it is one.
func (h *harness) prepare(ctx context.Context, c contestant.Contestant) error {
	if c.Build == nil {
		h.argv[c.Name] = []string{h.self, "server", c.Name}
		return nil
	}
	dir := filepath.Join(h.dir, c.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	argv, err := c.Build(ctx, dir)
	if err != nil {
		return err
	}
	h.argv[c.Name] = argv
	return nil
}

// startLimit is how long a server may take to listen.
const startLimit = 10 * time.Second

// start starts a contestant's server and returns its address.
func (h *harness) start(ctx context.Context, c contestant.Contestant, w workload.Workload, env ...string) (*process.Process, string, error) {
	argv := append([]string{}, h.argv[c.Name]...)
	if w.Messages || w.Broadcast && c.Serve != nil {
		argv = []string{h.self, "server", c.Name}
	}
	argv = append(argv, "-addr", "127.0.0.1:0")
	if w.Broadcast {
		argv = append(argv, "-broadcast")
	}
	if w.Messages {
		argv = append(argv, "-messages")
	}
	return h.launch(ctx, argv, env...)
}

// launch starts a server's process and returns its address.
func (h *harness) launch(ctx context.Context, argv []string, env ...string) (*process.Process, string, error) {
	server, err := process.Start(process.Spec{Argv: argv, Env: env, Core: h.serverCore})
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	line, err := server.FirstLine(ctx)
	if err != nil {
		server.Stop()
		return nil, "", fmt.Errorf("server did not start: %w", err)
	}
	rest, ok := strings.CutPrefix(line, "listening on tcp ")
	addr, _, _ := strings.Cut(rest, " ")
	if !ok || addr == "" {
		server.Stop()
		return nil, "", fmt.Errorf("server did not start: %s", line)
	}
	return server, addr, nil
}

// grace is how much longer than its interval a run may take: ten times as long
// to connect as it usually does, and some seconds to get the last answers.
func grace(job load.Job) time.Duration {
	return 8*time.Second + time.Duration(job.Conns+job.Idle)*2*time.Millisecond
}

// run runs a contestant once, under a load.
func (h *harness) run(ctx context.Context, c contestant.Contestant, job load.Job) (*load.Result, error) {
	w, err := workload.Find(job.Workload)
	if err != nil {
		return nil, err
	}
	var env []string
	if job.Count && c.InGo() {
		job.HeapStats = filepath.Join(h.dir, "heapstats")
		env = append(env, heapstats.Variable+"="+job.HeapStats)
	}
	server, addr, err := h.start(ctx, c, w, env...)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	return h.drive(ctx, server, addr, []string{h.self, "client"}, job)
}

// drive runs a load generator's process against a server.
func (h *harness) drive(ctx context.Context, server *process.Process, addr string, argv []string, job load.Job) (*load.Result, error) {
	job.Addr, job.PID = addr, server.PID
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	client, err := process.Start(process.Spec{
		Argv:   argv,
		Core:   h.clientCore,
		Stdin:  bytes.NewReader(text),
		Stdout: &out,
	})
	if err != nil {
		return nil, err
	}
	limit := job.Longest() + grace(job)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := client.Wait(limited); err != nil {
		// The server's last words say more than the client's.
		if gone := server.Running(); gone != nil {
			return nil, fmt.Errorf("server: %w", gone)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("no result within %v", limit.Round(time.Second))
		}
		return nil, err
	}
	result := new(load.Result)
	if err := json.Unmarshal(out.Bytes(), result); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	return result, nil
}
