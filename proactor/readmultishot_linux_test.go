package proactor_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// Small messages through a pipe cost one entry in all, once the receiver knows that
// they are small, if the queue reads by multishot.
func TestMultishotReads(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		submitted := sendSmall(t, rt, 100)
		if rt.Backend().Backend == proactor.Epoll || ring.Probe().Supports(ring.OpReadMultishot.String()) {
			require.Less(t, submitted, uint64(50))
		}
	})
}

// sendSmall sends small messages through a pipe, and returns how many entries that cost.
func sendSmall(t *testing.T, rt *proactor.Runtime, messages int) (submitted uint64) {
	f, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	defer f.Close()
	r, err := rt.FileConn(f)
	require.NoError(t, err)
	got := make(chan string, 1)
	ended := make(chan error, 1)
	r.OnRecv(func(b proactor.Buffer, err error) {
		if err != nil {
			ended <- err
			return
		}
		got <- string(b.Bytes())
		b.Release()
	})
	before := rt.Stats().Total().Submitted
	for i := range messages {
		_, err := fmt.Fprint(w, i)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), <-got)
	}
	submitted = rt.Stats().Total().Submitted - before
	require.NoError(t, w.Close())
	require.Error(t, <-ended)
	closedDown(t, r)
	return submitted
}

// What cannot be waited for is read all the same.
func TestReadsWithoutWaiting(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f, err := os.Open("/dev/zero")
		require.NoError(t, err)
		defer f.Close()
		r, err := rt.FileConn(f)
		require.NoError(t, err)
		for range 10 {
			b, err := r.Recv().Await(t.Context())
			require.NoError(t, err)
			require.NotZero(t, b.Len())
			b.Release()
		}
		closedDown(t, r)
	})
}
