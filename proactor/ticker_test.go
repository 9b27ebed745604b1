package proactor

import (
	"math"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/stretchr/testify/require"
)

// However many ticks a ticker has missed, it takes no time to skip them.
func TestATickerCatchesUpAtOnce(t *testing.T) {
	l := &Loop{}
	l.engine.Init((*host)(l), engine.Config{})
	for _, every := range []time.Duration{1, 7, time.Millisecond, time.Hour, math.MaxInt64} {
		before := l.engine.Now()
		k := &Ticker{loop: l, every: every, stream: futures.NewStream[time.Time](nil, 1)}
		k.timer.Expired = k.tick
		k.tick(nil)
		require.Greater(t, k.next, before)
		require.LessOrEqual(t, k.next, l.engine.After(every))
		require.Zero(t, k.next%every, "the rhythm")
		require.Equal(t, 1, k.stream.Len())
	}
}
