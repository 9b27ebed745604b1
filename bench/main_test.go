package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/bench/report"
)

// TestMain is also the processes that a benchmark starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"server", "client", "upstream"}, os.Args[1]) {
		main()
		return
	}
	// A process with the race detector sleeps a second before it ends, see its options.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	os.Exit(m.Run())
}

func TestBadFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-nonsense":                        "not defined: -nonsense",
		"extra":                            `unexpected argument "extra"`,
		"-only nobody":                     `"nobody"`,
		"-only net -skip net":              "leaves no contestant",
		"-work nothing":                    `"nothing"`,
		"-size x":                          `-size "x"`,
		"-size 0":                          `-size "0"`,
		"-size 99999999999":                "want a number",
		"-conns ,":                         "no number",
		"-idle -1":                         `-idle "-1"`,
		"-rounds 0":                        "-rounds 0",
		"-seconds 0":                       "-seconds 0",
		"-seconds NaN":                     "-seconds NaN",
		"-warmup -1":                       "-warmup -1",
		"-rate -5":                         "-rate -5",
		"-busy -1":                         "-busy -1",
		"-server-core 1 -client-core 1":    "a processor each",
		"-client-core 1000":                "may not run",
		"-quick -work churn":               "no cell",
		"server nobody":                    `"nobody"`,
		"server":                           "which contestant",
		"server c-epoll":                   "program of its own",
		"compare a.json":                   "want two",
		"report":                           "want one",
		"report a.json b.json":             "want one",
		"-only net -size 64 -seconds 5000": "up to 3600",
		"ratios -only nothing":             `"nothing"`,
		"ratios -rounds 0":                 "-rounds 0",
		"ratios -duration 0s":              "-duration 0s",
		"ratios extra":                     `unexpected argument "extra"`,
		"soak extra":                       `unexpected argument "extra"`,
		"soak -for 1ms":                    "-for 1ms",
		"soak -clients 0":                  "-clients 0",
		"soak -backend nothing":            `-backend "nothing"`,
		"server net -work nothing":         `"nothing"`,
		"server nethttp-net":               `"nethttp-net"`,
		"upstream -work echo":              "has none",
		"-work http -only netpoll":         `"netpoll"`,
		"-work http -only nethttp -skip net,detached": "leaves no contestant",
		"-loops 0":          `-loops "0"`,
		"-against missing":  "-against: open missing",
		"-size 64 -loops x": `-loops "x"`,
	} {
		t.Run(args, func(t *testing.T) {
			err := dispatch(t.Context(), strings.Fields(args))
			require.ErrorContains(t, err, want)
			require.ErrorAs(t, err, new(usageError))
			require.NotContains(t, err.Error(), "\n")
		})
	}
	require.ErrorIs(t, dispatch(t.Context(), []string{"-h"}), flag.ErrHelp)
	require.ErrorIs(t, dispatch(t.Context(), []string{"report", "/nowhere.json"}), os.ErrNotExist)
}

func TestCells(t *testing.T) {
	o, err := parse(strings.Fields("-size 64,16K -conns 1,64 -window 1,16"))
	require.NoError(t, err)
	require.Len(t, o.cells, 8)
	require.Equal(t, "echo 16 KiB × 64, 16 deep", o.cells[7].ID())
	require.Empty(t, o.dir)

	o, err = parse(strings.Fields("-work churn,echo -size 64"))
	require.NoError(t, err)
	require.Len(t, o.cells, 2)

	o, err = parse(nil)
	require.NoError(t, err)
	require.Greater(t, len(o.cells), 30)
	require.Equal(t, "results", o.dir)
}

// TestQuickIsQuick: the quick run announces less than two minutes, whatever is
// left out.
func TestQuickIsQuick(t *testing.T) {
	o, err := parse([]string{"-quick"})
	require.NoError(t, err)
	m := newMatch(&harness{argv: make(map[string][]string)}, o)
	require.NoError(t, m.plan())
	_, total := m.announce()
	require.Less(t, total, 110*time.Second)
}

func TestCompete(t *testing.T) {
	dir := t.TempDir()
	args := "-only net,epoll-lt,select,c-io_uring -size 64 -conns 4,2000 -rounds 2 -seconds 0.05 -warmup 0.02 -busy 60 -open -o " + dir
	began := time.Now()
	require.NoError(t, dispatch(t.Context(), strings.Fields(args)))
	r, err := report.Load(filepath.Join(dir, "report.json"))
	require.NoError(t, err)
	require.Less(t, r.Took, time.Since(began)+time.Second)
	require.Contains(t, r.Command, "-rounds 2")
	require.Len(t, r.Cells, 2)
	for _, name := range []string{"net", "epoll-lt", "select", "c-io_uring"} {
		e := r.Cells[0].Entry(name)
		require.NotNil(t, e, name)
		require.Len(t, e.CPU, 2)
		require.Positive(t, e.CPUSpread().Min)
		require.Positive(t, e.Throughput.Median)
		require.NotNil(t, e.Open, name)
		require.Positive(t, e.Open.Latency.P99.Median)
		require.Empty(t, e.Failures)
		if !r.HasNote("system calls") { // counting them takes a privilege
			require.Positive(t, e.Syscalls)
		}
	}
	require.NotNil(t, r.Cells[0].Entry("net").Allocs)
	require.Nil(t, r.Cells[0].Entry("c-io_uring").Allocs)
	require.Positive(t, r.Cells[0].Ratio("epoll-lt", "net").Median)
	require.Nil(t, r.Cells[1].Entry("select"))
	for _, e := range r.Cells[1].Entries {
		if e.Contestant == "select" {
			require.Contains(t, e.LeftOut, "1024")
		}
	}
	require.FileExists(t, filepath.Join(dir, "report.html"))
	require.Empty(t, children(t))

	require.NoError(t, dispatch(t.Context(), []string{"report", "-o", dir, filepath.Join(dir, "report.json")}))
	require.FileExists(t, filepath.Join(dir, "report.html"))
	require.NoError(t, dispatch(t.Context(), []string{"compare", filepath.Join(dir, "report.json"), filepath.Join(dir, "report.json")}))

	again := "-only epoll-lt -size 64 -conns 4,9 -rounds 1 -seconds 0.05 -warmup 0.02 -busy 60 -against " + filepath.Join(dir, "report.json")
	o, err := parse(strings.Fields(again))
	require.NoError(t, err)
	require.Len(t, o.cells, 1, "those that the report has")
	require.Equal(t, []string{"epoll-lt", "net"}, o.only, "the baseline is measured, too")
	require.Empty(t, o.dir, "the earlier report may be where reports go, and stays")
	require.NoError(t, dispatch(t.Context(), strings.Fields(again)))
	require.ErrorContains(t, dispatch(t.Context(), strings.Fields(again+" -work udp")), "none of these cells")
}

// TestRatios: the table has each program where it can run, whatever that costs.
func TestRatios(t *testing.T) {
	table := filepath.Join(t.TempDir(), "ratios.md")
	args := "ratios -work buffers,grpc,http,kv,quic -rounds 1 -duration 100ms -warmup 10ms -busy 120s -o " + table
	require.NoError(t, dispatch(t.Context(), strings.Fields(args)))
	text, err := os.ReadFile(table)
	require.NoError(t, err)
	require.NotContains(t, string(text), "failed")
	for _, name := range []string{"fasthttp", "grpc", "buffers", "nethttp", "quic", "redcon"} {
		require.Contains(t, string(text), "| "+name+" |")
	}
	require.Empty(t, children(t))
}

// TestInterrupted: when the benchmark is stopped, no process of its stays.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- dispatch(ctx, strings.Fields("-only busy-poll -size 64 -conns 4 -rounds 1 -seconds 600"))
	}()
	require.Eventually(t, func() bool { return len(children(t)) == 2 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Empty(t, children(t))
}

// TestServerInterrupted: a server that somebody has started ends when it is told to.
func TestServerInterrupted(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "profile")
	for _, args := range []string{"server net", "server fasthttp-epoll -work http -cpuprofile " + profile, "upstream"} {
		for _, told := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			cmd := exec.Command(os.Args[0], strings.Fields(args)...)
			says, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			defer cmd.Process.Kill()
			line, err := bufio.NewReader(says).ReadString('\n')
			require.NoError(t, err, args)
			require.Contains(t, line, "listening on tcp 127.0.0.1:")
			require.NoError(t, cmd.Process.Signal(told))
			require.NoError(t, cmd.Wait(), args)
		}
	}
	written, err := os.Stat(profile)
	require.NoError(t, err)
	require.NotZero(t, written.Size())
	for range 20 {
		said, err := exec.Command(os.Args[0], "server", "net", "-addr", "nowhere").CombinedOutput()
		require.Error(t, err, "what ends by itself was not interrupted")
		require.Contains(t, string(said), "nowhere")
	}
}

// TestTimeIsKept: what fails slowly does not make it take longer than announced.
func TestTimeIsKept(t *testing.T) {
	o, err := parse(strings.Fields("-only net -size 64 -conns 4 -rounds 3 -seconds 30"))
	require.NoError(t, err)
	h, err := newHarness(0, 1)
	require.NoError(t, err)
	defer h.close()
	m := newMatch(h, o)
	require.NoError(t, m.prepare(t.Context()))
	m.progress = newProgress(1)
	m.deadline = time.Now().Add(100 * time.Millisecond)
	began := time.Now()
	require.True(t, errors.Is(m.round(t.Context(), m.cells[0], 0), errLate))
	require.Less(t, time.Since(began), 30*time.Second, "what a round takes")
	require.Empty(t, m.cells[0].entries["net"].Failures)
	require.Empty(t, children(t))
}

// children are the processes that this one has started.
func children(t *testing.T) (pids []string) {
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		pids = append(pids, strings.Fields(string(text))...)
	}
	return pids
}
