package main_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"text/tabwriter"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

var (
	compareRounds   = flag.Int("compare", 0, "rounds in which the processor time of a request is compared with that of other servers")
	compareBackend  = flag.String("backend", "io_uring", "the backend that -compare measures")
	compareDuration = flag.Int("seconds", 1, "how long each server is under load in a round of -compare")
)

// fibToolchain is the Go that fib asks for.
const fibToolchain = "go1.27.3"

// comparisons are a server of this library's, and what it is compared with.
var comparisons = []struct {
	what, path  string
	connections int
	ours, other string
	goal        float64
}{
	{"fasthttp in coroutines / fasthttp", "/", 64, "fasthttp", "fasthttp on net", 0.80},
	{"fasthttp in coroutines / fib", "/", 64, "fasthttp", "fib", 1.00},
	{"net/http on NetListener / net/http", "/", 64, "nethttp", "nethttp on net", 1.00},
	{"3 bytes, fasthttp / http.FileServer", "/files/small", 64, "fasthttp", "nethttp on net", 1.00},
	{"1 MB, fasthttp / http.FileServer", "/files/sub/deep/file.bin", 16, "fasthttp", "nethttp on net", 1.00},
	{"3 bytes, nethttp / http.FileServer", "/files/small", 64, "nethttp", "nethttp on net", 1.00},
	{"1 MB, nethttp / http.FileServer", "/files/sub/deep/file.bin", 16, "nethttp", "nethttp on net", 1.00},
}

// TestCompare measures the processor time of a request beside that of other servers, by
// turns: the servers on processor 0, wrk on processor 1. It is meant for a machine that
// does nothing else.
func TestCompare(t *testing.T) {
	if *compareRounds == 0 {
		t.Skip("measures, and asserts nothing: go test -run TestCompare -compare 7 -v")
	}
	wrk := tool(t, "wrk", "wrk")
	servers := contestants(t)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tconnections\tours ns/request\tother ns/request\tratio\tgoal")
	for _, c := range comparisons {
		ours, other := servers[c.ours], servers[c.other]
		if other.process == nil {
			fmt.Fprintf(table, "%s\tleft out: %s\n", c.what, other.missing)
			continue
		}
		var costs, otherCosts, ratios []float64
		for range *compareRounds {
			cost, otherCost := ours.cost(t, wrk, c.path, c.connections), other.cost(t, wrk, c.path, c.connections)
			costs, otherCosts, ratios = append(costs, cost), append(otherCosts, otherCost), append(ratios, cost/otherCost)
		}
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%.0f\t%.2f\t%.2f\n", c.what, c.connections,
			exampletest.Median(costs), exampletest.Median(otherCosts), exampletest.Median(ratios), c.goal)
	}
	table.Flush()
}

// contestant is a server under measurement, or the reason why it is missing.
type contestant struct {
	process *os.Process
	addr    string
	missing string
}

func contestants(t *testing.T) map[string]contestant {
	dir := testFiles(t)
	all := map[string]contestant{}
	for _, engine := range engines {
		exampletest.Pinned(t, 0, func() {
			s := exampletest.Start(t, "-addr", "127.0.0.1:0", "-loops", "1", "-backend", *compareBackend, "-engine", engine, "-root", dir)
			all[engine] = contestant{process: s.Process, addr: s.Addr}
		})
	}
	onNet, err := built(t, "testdata/onnet")
	require.NoError(t, err)
	for _, engine := range engines {
		all[engine+" on net"] = started(t, exec.Command(onNet, "-engine", engine, "-root", dir))
	}
	if fib, err := built(t, "testdata/fib", "GOTOOLCHAIN="+fibToolchain); err != nil {
		all["fib"] = contestant{missing: err.Error()}
	} else {
		all["fib"] = started(t, exec.Command(fib))
	}
	return all
}

// built builds the program in a folder.
func built(t *testing.T, folder string, environment ...string) (string, error) {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(folder))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	cmd.Dir, cmd.Env = folder, append(os.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s cannot be built: %w: %.200q", folder, err, out)
	}
	return program, nil
}

var address = regexp.MustCompile(`^listening on tcp (\S+)\n`)

// started starts a server on processor 0.
func started(t *testing.T, cmd *exec.Cmd) contestant {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	exampletest.Pinned(t, 0, func() { require.NoError(t, cmd.Start()) })
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(pipe).ReadString('\n')
	require.NoError(t, err)
	m := address.FindStringSubmatch(line)
	require.NotNil(t, m, line)
	return contestant{process: cmd.Process, addr: m[1]}
}

var requestCount = regexp.MustCompile(`(\d+) requests in`)

// cost is how many nanoseconds of processor time a request took.
func (c contestant) cost(t *testing.T, wrk, path string, connections int) float64 {
	t.Helper()
	before := exampletest.ProcessorTime(t, c.process.Pid)
	out := exampletest.RanPinned(t, 1, exec.Command(wrk, "-t1", "-c", strconv.Itoa(connections),
		"-d", strconv.Itoa(*compareDuration), "--timeout", "30s", "http://"+c.addr+path))
	used := exampletest.ProcessorTime(t, c.process.Pid) - before
	require.NotRegexp(t, noRequestFailed, out)
	m := requestCount.FindStringSubmatch(out)
	require.NotNil(t, m, out)
	n, err := strconv.ParseFloat(m[1], 64)
	require.NoError(t, err)
	return float64(used) / n
}
