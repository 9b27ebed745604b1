package library

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
)

var (
	seedsFlag = flag.Int("seeds", 0, "how many programs to run; 0 for the default")
	fromFlag  = flag.Uint64("from", 1, "the first seed; 0 for a fresh one")
	triesFlag = flag.Int("tries", 200, "how many smaller programs to try when one has failed")
)

// bench has a machine for each backend of this system.
type bench struct {
	machines []*machine
	players  []string
}

func newBench(t testing.TB, backends []proactor.Backend) *bench {
	t.Helper()
	b := &bench{}
	for _, backend := range backends {
		b.machines = append(b.machines, start(t, backend))
		b.players = append(b.players, backend.String())
	}
	b.players = append(b.players, "net, os")
	t.Cleanup(func() {
		for _, m := range b.machines {
			m.stop(t)
		}
	})
	return b
}

// judge runs a program on each backend and with packages net and os. It returns what
// differs, or "".
func (b *bench) judge(t testing.TB, p *Program) (what string, plan []planned, traces []*Trace) {
	t.Helper()
	plan = Plan(p)
	other := standard(t, p, plan)
	for i, m := range b.machines {
		trace := m.run(t, p, plan)
		if trace.Broken != "" { // what is left would be found after the next program, too
			b.machines[i] = start(t, m.backend)
			go m.rt.Close()
		}
		traces = append(traces, trace)
		if difference := Compare(p, plan, trace, other); difference != "" && what == "" {
			what = fmt.Sprintf("%v: %s", m.backend, difference)
		}
	}
	return what, plan, append(traces, other)
}

// report shrinks a program that fails, and shows it.
func (b *bench) report(t testing.TB, p *Program, what string) string {
	t.Helper()
	small := Shrink(p, *triesFlag, func(p *Program) bool {
		what, _, _ := b.judge(t, p)
		return what != ""
	})
	again, plan, traces := b.judge(t, small)
	if again == "" {
		return fmt.Sprintf("%s, which comes and goes\n%v", what, small)
	}
	return fmt.Sprintf("%s\n%v\n%s", again, small, Table(small, plan, b.players, traces))
}

// maxReports is how many failures are shrunk before a run gives up.
const maxReports = 8

func TestPrograms(t *testing.T) {
	n := 150
	if testing.Short() || raceEnabled {
		n = 40
	}
	if *seedsFlag != 0 {
		n = *seedsFlag
	}
	first := *fromFlag
	if first == 0 {
		first = rand.Uint64() >> 16
	}
	t.Logf("seeds %d to %d", first, first+uint64(n)-1)
	proactortest.CheckProcess(t)
	b := newBench(t, proactortest.Backends(t))
	found := 0
	for seed := first; seed < first+uint64(n); seed++ {
		p := Generate(seed)
		what, plan, traces := b.judge(t, p)
		if n == 1 {
			t.Logf("%v\n%s", p, Table(p, plan, b.players, traces))
		}
		if what == "" {
			continue
		}
		t.Errorf("seed %d: %s\nagain: go test ./internal/differential/library -run TestPrograms -from=%d -seeds=1", seed, b.report(t, p, what), seed)
		if found++; found == maxReports {
			t.Fatalf("%d failures in %d programs: that is enough", found, seed-first+1)
		}
	}
}

func TestRegressions(t *testing.T) {
	proactortest.CheckProcess(t)
	b := newBench(t, proactortest.Backends(t))
	for name, p := range regressions {
		t.Run(name, func(t *testing.T) {
			if what, plan, traces := b.judge(t, p); what != "" {
				t.Errorf("%s\n%s", what, Table(p, plan, b.players, traces))
			}
		})
	}
}

// maxBytes is how long a program of a fuzzer may be: 25 steps with all their choices.
const maxBytes = 400

func FuzzPrograms(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(randomBytes(seed))
	}
	b := newBench(f, proactortest.Backends(f))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) > maxBytes {
			t.Skip("long enough")
		}
		p := Decode(bytes)
		what, plan, traces := b.judge(t, p)
		switch {
		case what == "":
		case fuzzing(): // an input has ten seconds: it is shrunk when it runs again as a test
			t.Errorf("%s\n%v\n%s", what, p, Table(p, plan, b.players, traces))
		default:
			t.Error(b.report(t, p, what))
		}
	})
}

// randomBytes are choices for a whole program: where bytes end, all choices that follow
// are the first.
func randomBytes(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	bytes := make([]byte, maxBytes)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	return bytes
}

// fuzzing reports whether this process is one that go test -fuzz has started.
func fuzzing() bool {
	f := flag.Lookup("test.fuzzworker")
	return f != nil && f.Value.String() == "true"
}
