package contestant

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/goproactor/goproactor/bench/heapstats"
)

// fib needs a newer Go than this module: its server is a module of its own, built by
// the toolchain that its go.mod names, which the go command downloads. Where that cannot
// be had fib is left out.
var _ = register(Contestant{
	Name:   "fib",
	Family: Peer,
	About:  "fib 1.7.0, one poller and its pool of workers",
	Build:  buildFib,
})

func buildFib(ctx context.Context, dir string) ([]string, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return nil, errors.New("this program does not know where its source is")
	}
	folder := filepath.Join(filepath.Dir(filepath.Dir(here)), "fib")
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(dir, "fib")
	if err != nil {
		return nil, err
	}
	overlay, err := heapstats.Overlay(dir, folder)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "fib")
	return []string{program}, run(ctx, folder, "env", "GOTOOLCHAIN=auto", "go", "build", "-overlay", overlay, "-o", program, ".")
}
