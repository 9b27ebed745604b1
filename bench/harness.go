package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/heapstats"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/process"
	"github.com/goproactor/goproactor/bench/workload"
	"golang.org/x/sys/unix"
)

// harness runs contestants, one at a time.
type harness struct {
	dir        string // for what is built
	self       string // this program
	serverCore int
	clientCore int
	argv       map[string][]string // by contestant, once prepared; nil for one of this program
	prepared   map[string]bool     // workloads that have their folder
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
	return &harness{dir: dir, self: self, serverCore: serverCore, clientCore: clientCore, argv: make(map[string][]string), prepared: make(map[string]bool)}, nil
}

// close removes what was built. No process is left by then: each run ends its
// own.
func (h *harness) close() { os.RemoveAll(h.dir) }

// cores are the processors of a server that needs so many, and those of the load generator:
// the rest, or the same if there is none.
func (h *harness) cores(servers int) (server, client []int, shared bool) {
	if servers <= 1 {
		return []int{h.serverCore}, []int{h.clientCore}, false
	}
	all := []int{h.serverCore}
	var may unix.CPUSet
	if unix.SchedGetaffinity(0, &may) == nil {
		for core := range 1024 {
			if may.IsSet(core) && core != h.serverCore && core != h.clientCore {
				all = append(all, core)
			}
		}
	}
	all = append(all, h.clientCore)
	if servers >= len(all) {
		return all, all, true
	}
	return all[:servers], all[servers:], false
}

// folder is where a workload's files are.
func (h *harness) folder(w workload.Workload) string { return filepath.Join(h.dir, "work-"+w.Name) }

// prepareWorkload makes what the servers of a workload read.
func (h *harness) prepareWorkload(w workload.Workload) error {
	if w.Prepare == nil || h.prepared[w.Name] {
		return nil
	}
	h.prepared[w.Name] = true
	if err := os.MkdirAll(h.folder(w), 0o755); err != nil {
		return err
	}
	return w.Prepare(h.folder(w))
}

// prepare makes a contestant ready to run: it builds the program, if it is one.
func (h *harness) prepare(ctx context.Context, c contestant.Contestant) error {
	if c.Build == nil {
		h.argv[c.Name] = nil
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

func (h *harness) ready(name string) bool {
	_, ok := h.argv[name]
	return ok
}

// startLimit is how long a server may take to listen.
const startLimit = 10 * time.Second

// start starts a contestant's server and returns its address.
func (h *harness) start(ctx context.Context, c contestant.Contestant, w workload.Workload, cell workload.Cell, o contestant.Options, env ...string) (*process.Process, string, error) {
	o.Addr, o.Broadcast, o.Loops, o.Dir = "127.0.0.1:0", w.Broadcast, cell.Loops, h.folder(w)
	cores, _, _ := h.cores(cell.Processors())
	argv := h.argv[c.Name]
	if argv == nil || w.Messages || w.Broadcast && c.Serve != nil {
		return h.launch(ctx, append([]string{h.self, "server", c.Name, "-work", w.Name}, ownFlags(o)...), cores, env...)
	}
	if c.Silent {
		return h.launchSilent(ctx, c, argv, o, cores)
	}
	return h.launch(ctx, slices.Concat(argv, c.Flags(o)), cores, env...)
}

// launchSilent starts a server that does not tell when it listens.
func (h *harness) launchSilent(ctx context.Context, c contestant.Contestant, argv []string, o contestant.Options, cores []int) (*process.Process, string, error) {
	var err error
	if o.Addr, err = contestant.FreeAddr(o.Addr); err != nil {
		return nil, "", err
	}
	server, err := process.Start(process.Spec{Argv: slices.Concat(argv, c.Flags(o)), Cores: cores})
	if err != nil {
		return nil, "", err
	}
	for limit := time.Now().Add(startLimit); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", o.Addr)
		if err == nil {
			conn.Close()
			return server, o.Addr, nil
		}
		gone := server.Running()
		if gone = cmp.Or(gone, ctx.Err()); gone != nil || time.Now().After(limit) {
			server.Stop()
			return nil, "", fmt.Errorf("server did not start: %w", cmp.Or(gone, err))
		}
	}
}

// launch starts a server's process and returns its address.
func (h *harness) launch(ctx context.Context, argv []string, cores []int, env ...string) (*process.Process, string, error) {
	server, err := process.Start(process.Spec{Argv: argv, Env: env, Cores: cores})
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
func grace(w workload.Workload, job load.Job) time.Duration {
	return 8*time.Second + time.Duration(job.Conns+job.Idle+job.Light)*10*connectTime(w)
}

// connectTime is what a connection usually takes to open.
func connectTime(w workload.Workload) time.Duration { return cmp.Or(w.Connect, 200*time.Microsecond) }

// run runs a contestant once, under a load.
func (h *harness) run(ctx context.Context, c contestant.Contestant, cell workload.Cell, job load.Job) (*load.Result, error) {
	w, err := workload.Find(cell.Workload)
	if err != nil {
		return nil, err
	}
	_, clients, _ := h.cores(cell.Processors())
	var o contestant.Options
	if w.Upstream != nil {
		upstream, addr, err := h.launch(ctx, []string{h.self, "upstream", "-work", w.Name}, clients)
		if err != nil {
			return nil, fmt.Errorf("upstream: %w", err)
		}
		defer upstream.Stop()
		o.Upstream = addr
	}
	var env []string
	if job.Count && c.InGo() {
		job.HeapStats = filepath.Join(h.dir, "heapstats")
		env = append(env, heapstats.Variable+"="+job.HeapStats)
	}
	server, addr, err := h.start(ctx, c, w, cell, o, env...)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	return h.drive(ctx, server, addr, clients, job, job.Longest()+grace(w, job))
}

// drive runs a load generator's process against a server, up to a limit.
func (h *harness) drive(ctx context.Context, server *process.Process, addr string, cores []int, job load.Job, limit time.Duration) (*load.Result, error) {
	job.Addr, job.PID = addr, server.PID
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	client, err := process.Start(process.Spec{
		Argv:   []string{h.self, "client"},
		Cores:  cores,
		Stdin:  bytes.NewReader(text),
		Stdout: &out,
	})
	if err != nil {
		return nil, err
	}
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
