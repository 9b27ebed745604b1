package ring

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestExpectedAgreesWithMap does with a table what it does with a map.
func TestExpectedAgreesWithMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, span := range []uint64{3, 40, 3000, 1 << 63} {
		var x expected
		want := map[uint64]int{}
		var known []uint64
		for range 20000 {
			userData := random.Uint64N(span)
			if len(known) > 0 && random.IntN(2) == 0 {
				userData = known[random.IntN(len(known))]
			}
			switch {
			case random.IntN(2) == 0 && len(want) < 500:
				x.add(userData, 0)
				want[userData]++
				known = append(known, userData)
			case len(want) > 0:
				x.remove(userData)
				if want[userData]--; want[userData] <= 0 {
					delete(want, userData)
				}
			}
			require.Equal(t, len(want), x.used)
			require.Equal(t, want[userData] > 0, x.at(userData) != nil)
		}
		for userData := range want {
			require.True(t, x.at(userData) != nil)
		}
		require.Less(t, len(x.places), 4096, "it does not grow without need")
	}
}

// TestExpectedFindsAtOnce counts the places that are looked at: few, however many
// are in use, with user data as Slots gives it out.
func TestExpectedFindsAtOnce(t *testing.T) {
	for _, generation := range []uint64{0, 1, 1 << 31} {
		for _, n := range []uint64{10, 1000, 100000} {
			var x expected
			for i := range n {
				x.add(generation<<32|i, 0)
			}
			looked := 0
			for i := range n {
				userData := generation<<32 | i
				looked += 1 + (x.find(userData)-x.home(userData))&(len(x.places)-1)
			}
			require.LessOrEqual(t, looked, 2*int(n), "%d in use", n)
		}
	}
}

// BenchmarkOpens opens and closes files while more and more accepts wait. What one
// open costs must not depend on how many those are.
func BenchmarkOpens(b *testing.B) {
	for _, waiting := range []int{0, 100, 10000, 50000} {
		b.Run(strconv.Itoa(waiting)+"waiting", func(b *testing.B) { benchmarkOpens(b, waiting) })
	}
}

func benchmarkOpens(b *testing.B, waiting int) {
	r := open(b, Options{Entries: 256})
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(b, err)
	defer unix.Close(listener)
	require.NoError(b, unix.Bind(listener, &unix.SockaddrUnix{})) // a name the kernel chooses
	require.NoError(b, unix.Listen(listener, 1))
	for i := range waiting {
		e := r.Next()
		e.PrepAccept(listener, unix.SOCK_CLOEXEC)
		e.SetUserData(uint64(i) + 1<<32)
	}
	require.NoError(b, r.Enter(0))
	path := append([]byte("/"), 0)
	var done [64]CQE
	b.ReportAllocs()
	for b.Loop() {
		for i := range len(done) {
			e := r.Next()
			e.PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_PATH|unix.O_CLOEXEC, 0)
			e.SetUserData(uint64(i))
		}
		for n := 0; n < len(done); {
			if err := r.Enter(Forever); err != nil {
				b.Fatal(err)
			}
			k := r.Reap(done[n:])
			for _, c := range done[n : n+k] {
				unix.Close(int(c.Result()))
			}
			n += k
		}
	}
}
