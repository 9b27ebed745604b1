package library

import (
	"log/slog"
	"testing"

	"github.com/goproactor/goproactor/internal/queuetest"
)

func TestMain(m *testing.M) {
	queuetest.EndAt(func(slog.Record) bool { return true }) // programs do not panic
	queuetest.Main(m)
}
