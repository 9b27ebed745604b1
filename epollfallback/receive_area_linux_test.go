package epollfallback

import (
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What was given back to one queue would be free in another, which has just filled it.
func TestReceiveAreaServesOneQueue(t *testing.T) {
	a, err := ring.NewReceiveArea(2)
	require.NoError(t, err)
	for i, want := range []error{nil, unix.EBUSY} {
		q, err := Open(Options{ZeroCopyReceive: true})
		require.NoError(t, err)
		require.ErrorIs(t, q.RegisterReceiveArea("lo", 0, a), want, "queue %d", i)
		require.NoError(t, q.Close())
	}
	require.NoError(t, a.Close())
}
