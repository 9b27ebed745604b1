package proactor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// labelsOf is the labels of goroutines, as their profile shows them.
func labelsOf(t *testing.T) (labels []string) {
	t.Helper()
	var profile bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	for _, m := range regexp.MustCompile(`# labels: (\{.*\})`).FindAllStringSubmatch(profile.String(), -1) {
		labels = append(labels, m[1])
	}
	return labels
}

// Tasks have the labels of the context that they were started with, and those that
// they set, for as long as they have set them.
func TestLabelsOfTasks(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		run := func(ctx context.Context, f func(ctx context.Context)) {
			t.Helper()
			_, err := l.Go(ctx, func(ctx context.Context) error { f(ctx); return nil }).Await(t.Context())
			require.NoError(t, err)
		}
		labeled := pprof.WithLabels(t.Context(), pprof.Labels("service", "of the parent"))
		run(labeled, func(ctx context.Context) {
			require.Equal(t, []string{`{"service":"of the parent"}`}, labelsOf(t))
			_, err := futures.Go(ctx, func(ctx context.Context) (int, error) {
				require.Len(t, labelsOf(t), 2, "a child has them too")
				return 0, nil
			}).Await(ctx)
			require.NoError(t, err)
			pprof.Do(ctx, pprof.Labels("request", "GET"), func(ctx context.Context) {
				_, err := rt.Sleep(1).Await(ctx) // they stay over a switch
				require.NoError(t, err)
				require.Equal(t, []string{`{"request":"GET", "service":"of the parent"}`}, labelsOf(t))
			})
			require.Equal(t, []string{`{"service":"of the parent"}`}, labelsOf(t))
		})
		// The next task has the coroutine of one that left its labels set.
		run(t.Context(), func(ctx context.Context) {
			pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("left", "behind")))
		})
		run(t.Context(), func(context.Context) { require.Empty(t, labelsOf(t)) })
	})
}

// spin computes with a label that a CPU profile shows.
func spin(ctx context.Context, done func() bool) {
	pprof.Do(ctx, pprof.Labels("handler", "spinning"), func(context.Context) {
		for !done() {
		}
	})
}

// requireUnused skips a test whose own profile or trace go test makes already: a process
// has one at a time.
func requireUnused(t *testing.T, name string) {
	t.Helper()
	if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
		t.Skipf("go test makes one itself: -%s", name)
	}
}

// A CPU profile shows the labels of handlers.
func TestLabelsInACPUProfile(t *testing.T) {
	requireUnused(t, "test.cpuprofile")
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			left := 0
			_, err := c.Recv().Await(ctx)
			spin(ctx, func() bool { left++; return left == 50e6 })
			return err
		})
		eventually(t, func() bool {
			var profile bytes.Buffer
			require.NoError(t, pprof.StartCPUProfile(&profile))
			c := dial(t, addr)
			wrote(t, c, "begin")
			io.ReadAll(c)
			pprof.StopCPUProfile()
			text, err := gzip.NewReader(&profile)
			require.NoError(t, err)
			all, err := io.ReadAll(text)
			require.NoError(t, err)
			// The labels of the samples are in the profile's table of strings, and nothing else
			// of that name is.
			return bytes.Contains(all, []byte("spinning")) && bytes.Contains(all, []byte("proactor_test.spin"))
		}, func() string { return "no sample of the handler has its label" })
	})
}

// waits is a handler that is a region of an execution trace.
func waits(ctx context.Context, c *proactor.Conn) error {
	_, err := c.Recv().Await(ctx)
	trace.Log(ctx, "received", "something")
	trace.WithRegion(ctx, "answering", func() { c.SendBytes([]byte("pong")).Await(ctx) })
	return err
}

// An execution trace shows a region and a task for each handler.
func TestExecutionTrace(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command, which reads the trace: ", err)
	}
	requireUnused(t, "test.trace")
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, waits)
		file, err := os.Create(filepath.Join(t.TempDir(), "trace"))
		require.NoError(t, err)
		defer file.Close()
		require.NoError(t, trace.Start(file))
		c := dial(t, addr)
		wrote(t, c, "ping")
		_, err = io.ReadAll(c)
		require.NoError(t, err)
		_, err = rt.Go(t.Context(), func(ctx context.Context) error { panic("the region of one that panics ends too") }).Await(t.Context())
		require.Error(t, err)
		trace.Stop()

		parsed, err := exec.Command(goTool, "tool", "trace", "-d=parsed", file.Name()).CombinedOutput()
		require.NoError(t, err, "%s", parsed)
		said := userEvents(parsed)
		for _, name := range []string{"proactor_test.waits", "proactor_test.TestExecutionTrace.func"} {
			region := regexp.MustCompile(`G=(\d+).* RegionBegin .*Type="[^"]*` + regexp.QuoteMeta(name))
			begun := region.FindStringSubmatch(said)
			require.NotNil(t, begun, said)
			end := regexp.MustCompile(`G=` + begun[1] + ` .*RegionEnd .*Type="[^"]*` + regexp.QuoteMeta(name))
			require.Regexp(t, end, said, "on the same goroutine")
		}
		require.Contains(t, said, `Type="answering"`)
		for _, want := range []string{`TaskBegin .*Type="futures.Task"`, `TaskEnd `, `Log .*Category="peer" Message="` + regexp.QuoteMeta(c.LocalAddr().String()), `Log .*Task=[1-9]\d* Category="received"`} {
			require.Regexp(t, want, said)
		}
	})
}

// userEvent is a line of a trace about a task, a region or a message.
var userEvent = regexp.MustCompile(`(Region|Task)(Begin|End) | Log `)

// userEvents are those of a trace that was parsed.
func userEvents(text []byte) string {
	var lines []string
	for line := range strings.Lines(string(text)) {
		if userEvent.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
