package proactor_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"testing"

	"github.com/goproactor/goproactor/internal/queuetest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(ownFaults{}))
	queuetest.Main(m)
}

// ownFaults is the log of runtimes that have no logger. Tests panic on purpose, but not with
// an error of the Go runtime: that is a fault of the library's, whose loop goes on all the same.
type ownFaults struct{}

func (ownFaults) Enabled(context.Context, slog.Level) bool { return true }
func (f ownFaults) WithAttrs([]slog.Attr) slog.Handler     { return f }
func (f ownFaults) WithGroup(string) slog.Handler          { return f }

func (ownFaults) Handle(_ context.Context, r slog.Record) error {
	fault := false
	r.Attrs(func(a slog.Attr) bool {
		_, isRuntime := a.Value.Any().(runtime.Error)
		fault = fault || a.Key == "panic" && isRuntime
		return true
	})
	if fault {
		fmt.Fprintln(os.Stderr, "FAIL:", r.Message)
		r.Attrs(func(a slog.Attr) bool { _, err := fmt.Fprintln(os.Stderr, a.Key, a.Value); return err == nil })
		os.Exit(1)
	}
	return nil
}
