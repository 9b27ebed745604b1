package proactor_test

import (
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// BenchmarkGoroutineRoundTrip is what it costs a goroutine to have a loop do
// something and to wait for it: run it with -cpu 1,2, for a loop that kept a
// processor which the goroutine needs would show here.
func BenchmarkGoroutineRoundTrip(b *testing.B) {
	for _, backend := range backends {
		b.Run(backend.String(), func(b *testing.B) {
			rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
			require.NoError(b, err)
			defer rt.Close()
			loop := rt.Loops()[0]
			for b.Loop() {
				p := futures.NewPromise[struct{}]()
				loop.Do(func() { p.Resolve(struct{}{}) })
				if _, err := p.Future().Await(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
