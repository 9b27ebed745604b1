package ring_test

import (
	"testing"

	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
)

func TestContract(t *testing.T) {
	ring.RequireKernel(t)
	queuetest.Run(t, func() (ring.Queue, error) { return ring.Open(ring.Options{Entries: 64}) })
}
