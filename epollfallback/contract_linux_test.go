package epollfallback_test

import (
	"testing"

	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
)

func TestContract(t *testing.T) {
	queuetest.Run(t, func() (ring.Queue, error) {
		return epollfallback.Open(epollfallback.Options{Entries: 64})
	})
}

func TestContractReceiving(t *testing.T) {
	queuetest.RunReceiving(t, func() (ring.Queue, error) {
		return epollfallback.Open(epollfallback.Options{Entries: 64, ZeroCopyReceive: true})
	})
}

// BenchmarkDirect is what direct descriptors cost here: docs/direct-descriptors.md.
func BenchmarkDirect(b *testing.B) {
	queuetest.BenchDirect(b, func() (ring.Queue, error) {
		return epollfallback.Open(epollfallback.Options{Entries: 256})
	})
}
