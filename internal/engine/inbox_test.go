package engine

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// note is work that says who posted it, and as which of theirs.
type note struct{ poster, number int }

func (note) Run() {}

func TestInboxKeepsTheOrder(t *testing.T) {
	var b inbox
	require.Nil(t, b.take())
	for i := range 10 {
		wake, ok := b.put(note{0, i})
		require.True(t, ok)
		require.False(t, wake, "nobody sleeps")
	}
	i := 0
	for m := b.take(); m != nil; m = m.next {
		require.Equal(t, note{0, i}, m.work)
		i++
	}
	require.Equal(t, 10, i)
	require.Nil(t, b.take())
}

func TestInboxWakesASleeperOnce(t *testing.T) {
	var b inbox
	require.True(t, b.sleep())
	wake, _ := b.put(note{})
	require.True(t, wake)
	wake, _ = b.put(note{})
	require.False(t, wake, "it is being woken")
	require.False(t, b.sleep(), "something is there")
	require.NotNil(t, b.take())
	require.True(t, b.sleep())
	b.awake()
	wake, _ = b.put(note{})
	require.False(t, wake)
}

func TestInboxRefusesWhenClosed(t *testing.T) {
	var b inbox
	b.put(note{0, 1})
	b.put(note{0, 2})
	m := b.close()
	require.Equal(t, note{0, 1}, m.work)
	require.Equal(t, note{0, 2}, m.next.work)
	_, ok := b.put(note{})
	require.False(t, ok)
	require.Nil(t, b.take())
	require.Nil(t, b.close())
}

// TestInboxLosesNothing has posters race with a taker that sleeps whenever it
// can. Each poster's notes come in its order, and whoever must wake does.
func TestInboxLosesNothing(t *testing.T) {
	var b inbox
	const posters, each = 8, 5000
	woken := make(chan struct{}, 1)
	var all sync.WaitGroup
	for p := range posters {
		all.Go(func() {
			for i := range each {
				wake, ok := b.put(note{p, i})
				if !ok {
					t.Error("refused")
				}
				if wake {
					woken <- struct{}{}
				}
				if i%100 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	var next [posters]int
	for got := 0; got < posters*each; {
		if b.sleep() {
			<-woken // who found us asleep says so, or this never ends
		}
		b.awake()
		for m := b.take(); m != nil; m = m.next {
			n := m.work.(note)
			require.Equal(t, next[n.poster], n.number)
			next[n.poster]++
			got++
		}
	}
	all.Wait()
}
