package epollfallback

import (
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

func TestEveryEmulationIsDescribed(t *testing.T) {
	described := map[ring.Op]bool{}
	for _, d := range Descriptions() {
		described[d.Op] = true
		require.NotEmpty(t, d.Operation, d.Op)
		require.NotEmpty(t, d.Emulation, d.Op)
		require.NotEmpty(t, d.FirstKernel(), "%v %q", d.Op, d.Needs)
	}
	for op, e := range emulations {
		require.Equal(t, e.prepare != nil, described[ring.Op(op)], "%v: a row in descriptions for each in emulations", ring.Op(op))
	}
}
