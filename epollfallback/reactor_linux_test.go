package epollfallback

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// How many events are asked for follows from what the last ones brought.
func TestBatch(t *testing.T) {
	q, err := Open(Options{})
	require.NoError(t, err)
	defer q.Close()
	require.Equal(t, 128, q.batch)
	for _, row := range []struct{ events, bytes, want int }{
		{10, 1000, 128},            // few, and little
		{128, 128 * 64, 128},       // many, and little
		{128, 128 << 14, 32},       // 16 KiB each
		{32, 32 << 14, 32},         // as many as asked for, a cacheful
		{20, 20 << 14, 32},         // not all that would be welcome
		{32, 32 << 18, leastBatch}, // 256 KiB each
		{leastBatch, leastBatch << 18, leastBatch},
		{leastBatch, 0, 128}, // nothing came in
	} {
		q.setBatch(row.events, row.bytes)
		require.Equal(t, row.want, q.batch, "%+v", row)
	}
}
