package goroutine

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCurrentIsStable(t *testing.T) {
	id := Current()
	require.NotZero(t, id)
	grow(200)
	runtime.Gosched()
	require.Equal(t, id, Current(), "the identity must survive a moved stack and a reschedule")
}

//go:noinline
func grow(n int) int {
	var pad [1024]byte
	if n == 0 {
		return int(pad[0])
	}
	return grow(n-1) + int(pad[n%len(pad)])
}

func TestCurrentTellsGoroutinesApart(t *testing.T) {
	const n = 64
	var (
		mu   sync.Mutex
		seen = map[uintptr]bool{Current(): true}
		all  sync.WaitGroup
		hold = make(chan struct{})
	)
	for range n {
		all.Add(1)
		go func() {
			id := Current()
			mu.Lock()
			seen[id] = true
			mu.Unlock()
			all.Done()
			<-hold // alive until all have been counted, so that no identity is reused
		}()
	}
	all.Wait()
	close(hold)
	require.Len(t, seen, n+1)
}

func BenchmarkCurrent(b *testing.B) {
	for b.Loop() {
		Current()
	}
}
