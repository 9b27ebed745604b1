package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

var (
	compareRounds  = flag.Int("compare", 0, "rounds in which the processor time of a request is compared with redis-server's")
	compareBackend = flag.String("backend", "io_uring", "the backend that -compare measures")
)

// cells are what is compared: depth of the pipeline, test, requests.
var cells = []struct {
	depth    int
	test     string
	requests int
}{
	{1, "get", 200_000}, {1, "set", 200_000}, {16, "get", 2_000_000}, {16, "set", 2_000_000},
}

// measure is one round of a cell.
type measure struct{ nanoseconds, perSecond float64 }

// TestCompare measures the processor time of a request beside that of redis-server, by
// turns, 50 clients: the servers on processor 0, redis-benchmark on processor 1. It is
// meant for a machine that does nothing else.
func TestCompare(t *testing.T) {
	if *compareRounds == 0 {
		t.Skip("measures, and asserts nothing: go test -run TestCompare -compare 7 -v")
	}
	benchmark := redisTool(t, "redis-benchmark")
	servers := map[string]contestant{"kv": startKV(t), "redis": startRedisOn(t)}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "pipeline\ttest\tkv ns/request\tredis ns/request\tratio\tkv requests/s\tredis requests/s")
	for _, cell := range cells {
		var ratios []float64
		all := map[string][]measure{}
		for range *compareRounds {
			now := map[string]measure{}
			for name, s := range servers {
				before := exampletest.ProcessorTime(t, s.process)
				out := exampletest.RanPinned(t, 1, exec.Command(benchmark, "-h", s.host, "-p", s.port, "-q", "-c", "50",
					"-P", strconv.Itoa(cell.depth), "-n", strconv.Itoa(cell.requests), "-t", cell.test))
				used := exampletest.ProcessorTime(t, s.process) - before
				now[name] = measure{float64(used) / float64(cell.requests), ratePrinted(t, out)}
				all[name] = append(all[name], now[name])
			}
			ratios = append(ratios, now["kv"].nanoseconds/now["redis"].nanoseconds)
		}
		fmt.Fprintf(table, "%d\t%s\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\n", cell.depth, cell.test,
			median(all["kv"], measure.cost), median(all["redis"], measure.cost), exampletest.Median(ratios),
			median(all["kv"], measure.rate), median(all["redis"], measure.rate))
	}
	table.Flush()
}

func (m measure) cost() float64 { return m.nanoseconds }
func (m measure) rate() float64 { return m.perSecond }

func median(all []measure, of func(measure) float64) float64 {
	var values []float64
	for _, m := range all {
		values = append(values, of(m))
	}
	return exampletest.Median(values)
}

// contestant is a server under measurement.
type contestant struct {
	process    int
	host, port string
}

func startKV(t *testing.T) contestant {
	var s *exampletest.Server
	exampletest.Pinned(t, 0, func() {
		s = exampletest.Start(t, "-addr", "127.0.0.1:0", "-loops", "1", "-backend", *compareBackend)
	})
	host, port, err := net.SplitHostPort(s.Addr)
	require.NoError(t, err)
	return contestant{s.Process.Pid, host, port}
}

func startRedisOn(t *testing.T) contestant {
	program := redisTool(t, "redis-server")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	cmd := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	exampletest.Pinned(t, 0, func() { require.NoError(t, cmd.Start()) })
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, patience, 10*time.Millisecond)
	return contestant{cmd.Process.Pid, "127.0.0.1", port}
}

var ratePattern = regexp.MustCompile(`: ([0-9.]+) requests per second`)

func ratePrinted(t *testing.T, out string) float64 {
	m := ratePattern.FindStringSubmatch(out)
	require.NotNil(t, m, out)
	rate, err := strconv.ParseFloat(m[1], 64)
	require.NoError(t, err)
	return rate
}
