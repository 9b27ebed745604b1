package library

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/goproactor/goproactor/internal/queuetest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(faults{}))
	queuetest.Main(m)
}

// faults is the log of the library. Programs do not panic: a panic of a callback is a fault of
// the library's, or of a check within the callback.
type faults struct{}

func (faults) Enabled(context.Context, slog.Level) bool { return true }
func (f faults) WithAttrs([]slog.Attr) slog.Handler     { return f }
func (f faults) WithGroup(string) slog.Handler          { return f }

func (faults) Handle(_ context.Context, r slog.Record) error {
	fmt.Fprintln(os.Stderr, "FAIL:", r.Message)
	r.Attrs(func(a slog.Attr) bool { _, err := fmt.Fprintln(os.Stderr, a.Key, a.Value); return err == nil })
	os.Exit(1)
	return nil
}
