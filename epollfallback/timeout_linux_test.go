package epollfallback

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestRegistryFindsTheNewest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	reg := newRegistry(256)
	model := map[uint64][]*operation{}
	all := func(*operation) bool { return true }
	for range 20000 {
		userData := r.Uint64N(500)
		if list := model[userData]; len(list) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(list))
			reg.remove(list[i])
			model[userData] = slices.Delete(list, i, i+1)
		} else {
			op := &operation{userData: userData}
			reg.add(op)
			model[userData] = append(list, op)
		}
		list := model[userData]
		if len(list) == 0 {
			require.Nil(t, reg.find(userData, all))
			continue
		}
		require.Same(t, list[len(list)-1], reg.find(userData, all))
		require.Same(t, list[0], reg.findOldest(userData, all))
	}
}

// Without epoll_pwait2 waits are in milliseconds, rounded up.
func TestWaitsWithoutPwait2(t *testing.T) {
	b := open(t)
	b.noPwait2 = true
	start := time.Now()
	b.entry(1, func(e *ring.SQE) { e.PrepTimeout(&ring.Timespec{Nsec: 300_000}, 0, 0) })
	b.fails(1, unix.ETIME)
	require.GreaterOrEqual(t, time.Since(start), 300*time.Microsecond)
}

func TestTimeoutIsNeverEarly(t *testing.T) {
	b := open(t)
	for range 100 {
		var now unix.Timespec
		require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
		at := now.Nano() + 100_000
		b.entry(1, func(e *ring.SQE) { e.PrepTimeout(&ring.Timespec{Nsec: at}, 0, ring.TimeoutAbs) })
		b.fails(1, unix.ETIME)
		require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
		require.GreaterOrEqual(t, now.Nano(), at)
	}
}
