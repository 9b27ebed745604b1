package queuetest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
)

// EndAt has the process end at a line of the default log, which is that of runtimes without a
// logger, if it is a fault. A loop goes on after a panic of a callback, so a test might pass.
func EndAt(isFault func(slog.Record) bool) { slog.SetDefault(slog.New(faultLog(isFault))) }

type faultLog func(slog.Record) bool

func (faultLog) Enabled(context.Context, slog.Level) bool { return true }
func (f faultLog) WithAttrs([]slog.Attr) slog.Handler     { return f }
func (f faultLog) WithGroup(string) slog.Handler          { return f }

func (f faultLog) Handle(_ context.Context, r slog.Record) error {
	if f(r) {
		fmt.Fprintln(os.Stderr, "FAIL:", r.Message)
		r.Attrs(func(a slog.Attr) bool { _, err := fmt.Fprintln(os.Stderr, a.Key, a.Value); return err == nil })
		os.Exit(1)
	}
	return nil
}
