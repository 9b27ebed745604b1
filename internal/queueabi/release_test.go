package queueabi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBefore(t *testing.T) {
	for release, want := range map[string]bool{
		"5.10.0-30-amd64": true, "6.1.0": true, "6.12.9+bpo": true, "6.13.0": false, "6.18.44": false, "7.0": false, "unknown": false, "": false,
	} {
		require.Equal(t, want, Before(release, 6, 13), release)
	}
}
