package simulation

import (
	"math/rand/v2"
	"time"
)

// Conditions are those of a network.
type Conditions struct {
	Latency    time.Duration // of a packet, at least
	Jitter     time.Duration // that is added to it at most
	Bandwidth  int           // bytes a second of each direction of a stream; zero is no limit
	Window     int           // bytes that were sent on a stream and not received yet, at most
	Delay      time.Duration // until a completion is seen, at most
	Short      float64       // chance that a receive or send moves only a part
	Endings    float64       // chance that a multishot ends after a completion
	Loss       float64       // chance that a datagram is lost
	Duplicates float64       // chance that a datagram comes twice
}

// choice is a generator of its own for one thing, so that what happens elsewhere does not
// change it.
func choice(seed uint64, numbers ...uint64) *rand.Rand {
	const odd = 0x9e3779b97f4a7c15
	for _, n := range numbers {
		seed = (seed ^ n) * odd
	}
	return rand.New(rand.NewPCG(seed, odd))
}

// ConditionsOf are the conditions of a seed: of some a fast network, of others a slow or
// a narrow one. No datagram is lost.
func ConditionsOf(seed uint64) Conditions {
	r := choice(seed)
	pick := func(d ...time.Duration) time.Duration { return d[r.IntN(len(d))] }
	return Conditions{
		Latency:   pick(10*time.Microsecond, 200*time.Microsecond, 20*time.Millisecond),
		Jitter:    pick(time.Microsecond, 100*time.Microsecond, 10*time.Millisecond),
		Bandwidth: []int{0, 0, 100_000, 10_000_000}[r.IntN(4)],
		Window:    []int{512, 2_000, 5_000, 30_000}[r.IntN(4)],
		Delay:     pick(time.Microsecond, 50*time.Microsecond, 5*time.Millisecond),
		Short:     []float64{0, 0.2, 0.9}[r.IntN(3)],
		Endings:   []float64{0, 0.1, 0.5}[r.IntN(3)],
	}
}

// chance is true with that probability.
func chance(r *rand.Rand, p float64) bool { return p > 0 && r.Float64() < p }

// upTo is a duration from zero to d.
func upTo(r *rand.Rand, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(d) + 1))
}
