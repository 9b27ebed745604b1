package proactor_test

import (
	"log/slog"
	"runtime"
	"testing"

	"github.com/goproactor/goproactor/internal/queuetest"
)

func TestMain(m *testing.M) {
	queuetest.EndAt(isOwnFault)
	queuetest.Main(m)
}

// isOwnFault: tests panic on purpose, but not with an error of the Go runtime.
func isOwnFault(r slog.Record) (fault bool) {
	r.Attrs(func(a slog.Attr) bool {
		_, isRuntime := a.Value.Any().(runtime.Error)
		fault = fault || a.Key == "panic" && isRuntime
		return true
	})
	return fault
}
