package proactor_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// TestMillionTimers arms a million timers on one loop, cancels half of them and
// has the rest fire, each once, none early.
func TestMillionTimers(t *testing.T) {
	pending := 1_000_000
	if raceEnabled {
		pending = 100_000 // the detector's memory, not the timers
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		fired := make([]uint8, pending)
		left, early := pending/2, 0
		all := make(chan struct{})
		stops := make([]func() bool, pending)
		doOnLoop(t, l, func() {
			random := rand.New(rand.NewPCG(7, 8))
			for i := range stops {
				// Those to be canceled are far away, or it would be a race with the
				// clock which of them fire.
				wait := time.Duration(random.IntN(int(50 * time.Millisecond)))
				if i%2 == 0 {
					wait += time.Hour
				}
				due := time.Now().Add(wait)
				stops[i] = l.AfterFunc(wait, func() {
					fired[i]++
					if time.Now().Before(due) {
						early++
					}
					if left--; left == 0 {
						close(all)
					}
				})
			}
		})
		require.LessOrEqual(t, rt.Stats().Total().Timers, pending)
		require.GreaterOrEqual(t, rt.Stats().Total().Timers, pending/2)
		doOnLoop(t, l, func() {
			for i := 0; i < pending; i += 2 {
				if !stops[i]() {
					early++
				}
			}
		})
		<-all
		doOnLoop(t, l, func() {
			require.Zero(t, early)
			for i, n := range fired {
				require.EqualValues(t, i%2, n)
				if i%2 == 1 && stops[i]() {
					t.Error("stopped after it fired")
				}
			}
		})
		require.Zero(t, rt.Stats().Total().Timers)
	})
}

// onLoop runs fn on l and waits for it.
func doOnLoop(t *testing.T, l *proactor.Loop, fn func()) {
	t.Helper()
	done := make(chan struct{})
	require.True(t, l.Do(func() { defer close(done); fn() }))
	<-done
}
