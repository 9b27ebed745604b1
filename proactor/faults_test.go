package proactor_test

import (
	"flag"
	"fmt"
	"hash/fnv"
	"testing"

	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/internal/queuehook"
	"github.com/goproactor/goproactor/proactor"
)

// With -faults=N the conformance suite runs above queues on which things go wrong: each
// promise N times on each backend, with N seeds from -faults.seed on. docs/testing.md has
// the commands.
var (
	faultSeeds = flag.Uint64("faults", 0, "seeds for each row of the conformance suite, instead of one run without faults")
	firstSeed  = flag.Uint64("faults.seed", 1, "the first of them")
)

// withFaults makes a runtime's queues go wrong as the plans have it.
func withFaults(plan func(loop int) faultqueue.Plan) proactor.Option {
	return queuehook.Option(proactor.Option(nil), faultqueue.Hook(plan))
}

// showFaulty shows that b holds when operations move less, come late, are interrupted or
// find nothing free.
func (b *behaviour) showFaulty(t *testing.T) {
	classes := (faultqueue.Harmless | faultqueue.ShortReads) &^ b.without
	row := fnv.New64()
	row.Write([]byte(t.Name()))
	for _, backend := range backends {
		t.Run(backend.String(), func(t *testing.T) {
			for seed := *firstSeed; seed < *firstSeed+*faultSeeds; seed++ {
				plan := func(loop int) faultqueue.Plan { return faultqueue.Random(seed^row.Sum64(), loop, classes) }
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					onBackend(t, backend, b.show, append([]proactor.Option{withFaults(plan)}, b.opts...)...)
				})
				if t.Failed() {
					t.Fatalf("again: go test ./proactor -run '^%s$' -faults=1 -faults.seed=%d", t.Name(), seed)
				}
			}
		})
	}
}
