package differential

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/internal/lockedmemory"
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "run the program of this seed (with -programs, that many from it on)")
	programsFlag = flag.Int("programs", 0, "how many programs to run; 0 for the default")
)

func openKernel() (ring.Queue, error) {
	return ring.Open(ring.Options{Entries: 32, CQEntries: 256})
}

func openFallback() (ring.Queue, error) {
	return epollfallback.Open(epollfallback.Options{Entries: 32, CQEntries: 256})
}

// programs is which seeds to run: first and how many.
func programs(byDefault int) (first uint64, n int) {
	first, n = 1, byDefault
	if testing.Short() || raceEnabled {
		n = byDefault / 6
	}
	if *seedFlag != 0 {
		first, n = *seedFlag, 1
	}
	if *programsFlag != 0 {
		n = *programsFlag
	}
	return first, n
}

// requireKernel skips where there is no io_uring to compare with.
func requireKernel(t testing.TB) {
	t.Helper()
	runtime.LockOSThread() // as a queue demands
	defer runtime.UnlockOSThread()
	q, err := openKernel()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		t.Skip("no io_uring here: ", err)
	}
	if short := lockedmemory.Short(); short != nil {
		t.Skip(short)
	}
	require.NoError(t, err)
	require.NoError(t, q.Close())
}

// requireKernelOf also skips on a kernel that is older than major.minor, from which on
// the kernel answers as the fallback does.
func requireKernelOf(t testing.TB, major, minor int) {
	t.Helper()
	requireKernel(t)
	if release := ring.KernelRelease(); queueabi.Before(release, major, minor) {
		t.Skipf("the fallback answers as Linux %d.%d here, this is %s: package queuetest tells what older kernels answer", major, minor, release)
	}
}

// Of sockets the fallback answers as Linux 6.18 does. Before 6.17 a Unix socket does not
// say CQEFSockNonEmpty, so multishot receives look for the end of the stream at other
// times, and a multishot receive takes no length; before 6.12 there are no incremental
// groups (seen on 6.1 and 6.12).
const socketsMajor, socketsMinor = 6, 18

// verdict is what came of one program on two queues.
type verdict struct {
	kernel, other *Trace
	difference    *Difference
	wavering      bool // it is the kernel that disagrees with itself
	passing       bool // the other queue agreed when asked again
}

// judge runs a program on both. Where the kernel disagrees with itself, as it
// does on a machine that is busy with other things, the program is judged anew.
func judge(t testing.TB, p *Program, other Open) (v verdict) {
	for range 4 {
		if v = judgeOnce(t, p, other); !v.wavering {
			break
		}
	}
	return v
}

// judgeOnce looks into a disagreement: it stands only if the kernel agrees with
// itself, and if it comes again.
func judgeOnce(t testing.TB, p *Program, other Open) (v verdict) {
	v = compared(t, p, other)
	if v.difference == nil {
		return v
	}
	for range 4 {
		again, err := Run(p, openKernel)
		require.NoError(t, err)
		if Compare(v.kernel, again) != nil {
			v.wavering = true
			return v
		}
	}
	for range 2 {
		if w := compared(t, p, other); w.difference == nil {
			v.passing = true
			return v
		}
	}
	return v
}

func compared(t testing.TB, p *Program, other Open) (v verdict) {
	var err error
	v.kernel, err = Run(p, openKernel)
	require.NoError(t, err, "%v", p)
	v.other, err = Run(p, other)
	require.NoError(t, err, "%v", p)
	v.difference = Compare(v.kernel, v.other)
	return v
}

// differs is judge as a question, for shrinking.
func differs(t testing.TB, p *Program, other Open) bool {
	v := compared(t, p, other)
	if v.difference == nil {
		return false
	}
	again := compared(t, p, other)
	return again.difference != nil && Compare(v.kernel, again.kernel) == nil
}

// report shrinks a program that differs and says all about it.
func report(t testing.TB, p *Program, other Open, replay string) string {
	small := Shrink(p, 400, func(p *Program) bool { return differs(t, p, other) })
	v := compared(t, small, other)
	if v.difference == nil {
		v = compared(t, small, other)
	}
	what := "it differs now and then"
	if v.difference != nil {
		what = v.difference.String()
	}
	return fmt.Sprintf("the queues disagree: %s\nreplay: %s\n\n%v\nthe first queue (kernel)                                                    the other\n%s",
		what, replay, small, SideBySide(v.kernel, v.other))
}

// tally counts what could not be judged; it must stay rare.
type tally struct {
	wavering, passing []uint64
}

func (c *tally) count(seed uint64, v verdict) (stands bool) {
	switch {
	case v.difference == nil:
		return false
	case v.wavering:
		c.wavering = append(c.wavering, seed)
		return false
	case v.passing:
		c.passing = append(c.passing, seed)
		return false
	}
	return true
}

func (c *tally) check(t *testing.T, n int) {
	t.Logf("%d programs; the kernel disagreed with itself on %v, a difference went away on %v", n, c.wavering, c.passing)
	allowed := 3 + n/300
	require.LessOrEqual(t, len(c.wavering), allowed, "the kernel disagrees with itself too often: the rules are wrong")
	require.LessOrEqual(t, len(c.passing), allowed, "differences that come and go")
}

func TestPrograms(t *testing.T) {
	requireKernelOf(t, socketsMajor, socketsMinor)
	run(t, 3000, openFallback)
}

func TestKernelAgreesWithItself(t *testing.T) {
	requireKernelOf(t, socketsMajor, socketsMinor)
	run(t, 600, openKernel)
}

// maxReports is how many differences a run shrinks before it gives up.
const maxReports = 12

func run(t *testing.T, byDefault int, other Open) {
	// A run makes much garbage and keeps nothing.
	defer debug.SetGCPercent(debug.SetGCPercent(1000))
	first, n := programs(byDefault)
	var c tally
	found := 0
	for i := range n {
		seed := first + uint64(i)
		p := Generate(seed)
		v := judge(t, p, other)
		if *seedFlag != 0 && n == 1 {
			t.Logf("%v\n%s", p, SideBySide(v.kernel, v.other))
		}
		if !c.count(seed, v) {
			continue
		}
		t.Errorf("seed %d: %s", seed, report(t, p, other,
			fmt.Sprintf("go test ./internal/differential -run %s -seed=%d", t.Name(), seed)))
		if found++; found == maxReports {
			t.Fatalf("%d differences in %d programs: that is enough", found, i+1)
		}
	}
	c.check(t, n)
}

func FuzzPrograms(f *testing.F) {
	requireKernelOf(f, socketsMajor, socketsMinor)
	f.Add([]byte("a program is a string of choices"))
	f.Add(slices.Repeat([]byte{7, 31, 2, 64, 0, 9, 81, 3}, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 400 {
			t.Skip("long enough")
		}
		p := Decode(b)
		if v := judge(t, p, openFallback); v.difference != nil && !v.wavering && !v.passing {
			t.Error(report(t, p, openFallback, "go test ./internal/differential -run "+t.Name()))
		}
	})
}
