package exampletest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What comparisons of programs have in common: servers run on one processor, clients on
// another, and the processor time of a server is what counts.

// Pinned runs fn on a thread that is bound to a processor, as what it starts is.
func Pinned(t testing.TB, processor int, fn func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	one.Set(processor)
	require.NoError(t, unix.SchedSetaffinity(0, &one))
	defer unix.SchedSetaffinity(0, &before)
	fn()
}

// RanPinned runs a command on a processor, and returns what it prints.
func RanPinned(t testing.TB, processor int, cmd *exec.Cmd) (out string) {
	t.Helper()
	Pinned(t, processor, func() {
		p, err := cmd.CombinedOutput()
		require.NoError(t, err, string(p))
		out = string(p)
	})
	return out
}

// ProcessorTime is how long the threads of a process have run, in nanoseconds.
func ProcessorTime(t testing.TB, pid int) (sum int64) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	require.NoError(t, err)
	for _, name := range files {
		p, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		ran, err := strconv.ParseInt(strings.Fields(string(p))[0], 10, 64)
		require.NoError(t, err)
		sum += ran
	}
	return sum
}

// Median is the median of values, of an even number the upper one. It sorts them.
func Median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
