package ring_test

import (
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
)

func TestContract(t *testing.T) {
	ring.RequireKernel(t)
	queuetest.Run(t, func() (ring.Queue, error) { return ring.Open(ring.Options{Entries: 64}) })
}

// TestContractReceiving runs it on a ring whose completions are large.
func TestContractReceiving(t *testing.T) {
	ring.RequireKernel(t)
	queuetest.RunReceiving(t, func() (ring.Queue, error) {
		return ring.Open(ring.Options{Entries: 64, ZeroCopyReceive: true})
	})
}

// BenchmarkDirect is what direct descriptors gain: docs/direct-descriptors.md.
func BenchmarkDirect(b *testing.B) {
	queuetest.BenchDirect(b, func() (ring.Queue, error) { return ring.Open(ring.Options{Entries: 256}) })
}

// TestContractWaiting is about kernels that wait when a table is unregistered.
func TestContractWaiting(t *testing.T) {
	ring.RequireKernel(t)
	queuetest.Run(t, func() (ring.Queue, error) { return ring.OpenWaiting(ring.Options{Entries: 64}) })
}

// TestContractSubmissionThread has a thread of the kernel submit. It sleeps after a
// millisecond, so that it is met awake and asleep.
func TestContractSubmissionThread(t *testing.T) {
	ring.RequireKernel(t)
	queuetest.Run(t, func() (ring.Queue, error) {
		return ring.Open(ring.Options{Entries: 64, SubmissionThread: &ring.SubmissionThread{Idle: time.Millisecond}})
	})
}
