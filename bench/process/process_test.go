package process_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/goproactor/goproactor/bench/process"
)

func start(t *testing.T, s process.Spec) *process.Process {
	p, err := process.Start(s)
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	return p
}

func TestPinned(t *testing.T) {
	var may unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &may))
	core := 0
	for !may.IsSet(core) {
		core++
	}
	p := start(t, process.Spec{Argv: []string{"sleep", "1000"}, Cores: []int{core}})
	var has, want, now unix.CPUSet
	want.Set(core)
	require.NoError(t, unix.SchedGetaffinity(p.PID, &has))
	require.Equal(t, want, has)
	require.NoError(t, unix.SchedGetaffinity(0, &now))
	require.Equal(t, may, now, "the starter itself stays as it was")
}

func TestStopReaps(t *testing.T) {
	p := start(t, process.Spec{Argv: []string{"sleep", "1000"}})
	require.NoError(t, p.Running())
	p.Stop()
	require.Error(t, p.Running())
	require.NoDirExists(t, fmt.Sprintf("/proc/%d", p.PID))
	p.Stop()
}

func TestFirstLine(t *testing.T) {
	p := start(t, process.Spec{Argv: []string{"sh", "-c", "echo here I am >&2; echo more >&2; sleep 1000"}})
	line, err := p.FirstLine(t.Context())
	require.NoError(t, err)
	require.Equal(t, "here I am", line)
}

func TestFirstLineLimit(t *testing.T) {
	p := start(t, process.Spec{Argv: []string{"sleep", "1000"}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.FirstLine(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestFailureIsOneLine(t *testing.T) {
	for script, want := range map[string]string{
		"echo one >&2; echo two >&2; exit 3":                     "two (exit status 3)",
		"echo 'panic: oh' >&2; echo >&2; echo trace >&2; exit 2": "panic: oh (exit status 2)",
		"exit 4": "exit status 4",
	} {
		p := start(t, process.Spec{Argv: []string{"sh", "-c", script}})
		require.EqualError(t, p.Wait(t.Context()), want)
	}
}

func TestWaitCanceled(t *testing.T) {
	p := start(t, process.Spec{Argv: []string{"sleep", "1000"}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Wait(ctx), context.Canceled)
	require.NoDirExists(t, fmt.Sprintf("/proc/%d", p.PID))
}

func TestStreamsAndEnvironment(t *testing.T) {
	var out bytes.Buffer
	p := start(t, process.Spec{
		Argv: []string{"sh", "-c", "cat; echo $BENCH_TEST"}, Env: []string{"BENCH_TEST=told"},
		Stdin: strings.NewReader("in,"), Stdout: &out,
	})
	require.NoError(t, p.Wait(t.Context()))
	require.Equal(t, "in,told\n", out.String())
}

func TestUsage(t *testing.T) {
	before, err := process.CPU(os.Getpid())
	require.NoError(t, err)
	for began, after := time.Now(), before; after == before; {
		require.Less(t, time.Since(began), 30*time.Second, "it counts nothing")
		after, err = process.CPU(os.Getpid())
		require.NoError(t, err)
		require.GreaterOrEqual(t, after, before)
	}

	u, err := process.Read(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, u.Threads)
	require.Positive(t, u.RSS)
	rss, err := process.RSS(os.Getpid())
	require.NoError(t, err)
	require.InEpsilon(t, u.RSS, rss, 0.5)

	_, err = process.CPU(5_000_000) // the kernel gives out 4,194,304 numbers at most
	require.Error(t, err)
}
