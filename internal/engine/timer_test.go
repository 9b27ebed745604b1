package engine

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimersExpireInOrderAndOnlyWhenDue(t *testing.T) {
	l := &Loop{start: time.Now().Add(-time.Hour)}
	var got []int
	for i := range 10 {
		x := &Timer{Expired: func(err error) { require.NoError(t, err); got = append(got, i) }}
		l.timers.add(x, time.Duration(10-i))
	}
	late := &Timer{Expired: func(err error) { require.ErrorIs(t, err, net.ErrClosed); got = append(got, 99) }}
	l.timers.add(late, 2*time.Hour)
	require.Zero(t, l.timers.wait(l))
	l.timers.expire(l)
	require.Equal(t, []int{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, got)
	require.Positive(t, l.timers.wait(l))
	l.timers.drop(net.ErrClosed)
	require.Equal(t, 99, got[10])
	require.Negative(t, l.timers.wait(l), "none is left")
}

// BenchmarkTimers arms, moves, cancels and expires one timer beside so many
// others.
func BenchmarkTimers(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		l := &Loop{start: time.Now()}
		random := rand.New(rand.NewPCG(5, 6))
		timers := make([]Timer, n)
		for i := range timers {
			l.timers.add(&timers[i], time.Hour+time.Duration(random.Int64N(int64(time.Hour))))
		}
		moments := make([]time.Duration, 4096)
		for i := range moments {
			moments[i] = time.Hour + time.Duration(random.Int64N(int64(time.Hour)))
		}
		x := &Timer{Expired: func(error) {}}
		for name, op := range map[string]func(i int){
			"arm+cancel": func(i int) {
				l.timers.add(x, moments[i%len(moments)])
				l.timers.remove(x)
			},
			"move": func(i int) { l.timers.add(&timers[i%n], moments[i%len(moments)]) },
			"arm+expire": func(i int) {
				l.timers.add(x, 0)
				l.timers.expire(l)
			},
		} {
			b.Run(fmt.Sprintf("%s/pending=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					op(i)
				}
			})
		}
	}
}
