package epollfallback

import (
	"testing"

	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

func TestEveryEmulationIsDescribed(t *testing.T) {
	for _, d := range Descriptions() {
		require.NotEmpty(t, d.Operation, d.Op)
		require.NotEmpty(t, d.Emulation, d.Op)
		require.NotEmpty(t, d.FirstKernel(), "%v %q", d.Op, d.Needs)
	}
	for op, e := range emulations {
		require.Equal(t, e.prepare != nil, len(e.forms) > 0, "%v", ring.Op(op))
		require.Equal(t, e.prepare != nil, queuetest.Covers(ring.Op(op)), "%v: a row in the suites", ring.Op(op))
	}
}
