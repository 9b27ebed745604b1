package differential

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// TestOperations compares random chains of every operation in the table of the
// conformance suite. A new operation is here when it has its row there.
func TestOperations(t *testing.T) {
	requireKernel(t)
	kernel := ring.Probe()
	from, n := programs(600)
	for i := range n {
		seed := from + uint64(i)
		perform := func(open Open) [][]queuetest.Outcome {
			dice := seededDice{rand.New(rand.NewPCG(seed, 0x2545f4914f6cdd1d))}
			return queuetest.Perform(t, open, dice.roll, kernel)
		}
		first, second := perform(openKernel), perform(openFallback)
		if what := differentOutcomes(first, second); what != "" {
			if self := differentOutcomes(first, perform(openKernel)); self != "" {
				t.Logf("seed %d: the kernel disagrees with itself: %s", seed, self)
				continue
			}
			t.Errorf("seed %d: %s\nreplay: go test ./internal/differential -run %s -seed=%d", seed, what, t.Name(), seed)
		}
	}
}

// differentOutcomes is the first chain of which the outcomes differ.
func differentOutcomes(a, b [][]queuetest.Outcome) string {
	for i := range a {
		if one, other := fmt.Sprint(a[i]), fmt.Sprint(b[i]); one != other {
			lines := func(chain []queuetest.Outcome) string {
				var s strings.Builder
				for _, o := range chain {
					fmt.Fprintf(&s, "\n    %v", o)
				}
				return s.String()
			}
			return fmt.Sprintf("chain %d, on the kernel:%s\nthe other:%s", i, lines(a[i]), lines(b[i]))
		}
	}
	return ""
}

// TestOperationFaultsAreFound puts faults into the second queue.
func TestOperationFaultsAreFound(t *testing.T) {
	requireKernel(t)
	kernel := ring.Probe()
	for name, fault := range map[string]func(*faulty){
		"receives less":       changed(ring.OpRecv, func(e *queueabi.Entry) { e.Len -= min(5, e.Len) }),
		"removes directories": changed(ring.OpUnlinkat, func(e *queueabi.Entry) { e.OpFlags &^= unix.AT_REMOVEDIR }),
		"takes any kind":      changed(ring.OpSocket, func(e *queueabi.Entry) { e.Off &^= 1 << 8 }),
		"breaks hard links":   fileFaults["breaks hard links"],
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				perform := func(open Open) [][]queuetest.Outcome {
					dice := seededDice{rand.New(rand.NewPCG(seed, 1))}
					return queuetest.Perform(t, open, dice.roll, kernel)
				}
				withFault := func() (ring.Queue, error) {
					q, err := openKernel()
					f := &faulty{Queue: q}
					fault(f)
					return f, err
				}
				if differentOutcomes(perform(openKernel), perform(withFault)) != "" {
					return
				}
			}
			t.Error("not found")
		})
	}
}
