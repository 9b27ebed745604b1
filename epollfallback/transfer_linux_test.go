package epollfallback

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVectorsAreLimited(t *testing.T) {
	max := uintptr(maxTransfer)
	for _, c := range []struct{ lengths, want []uintptr }{
		{[]uintptr{1, 0, 2}, []uintptr{1, 0, 2}},
		{[]uintptr{max, 1}, []uintptr{max}},
		{[]uintptr{max - 1, 0, 2, 0, 3}, []uintptr{max - 1, 0, 1}},
		{[]uintptr{max + 1}, []uintptr{max}},
		{nil, nil},
	} {
		var vector []iovec
		for _, n := range c.lengths {
			vector = append(vector, iovec{1, n})
		}
		var got []uintptr
		for _, v := range limited(vector) {
			got = append(got, v.len)
		}
		require.Equal(t, c.want, got)
	}
}
