package heapstats

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAsk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stats")
	t.Setenv(Variable, file)
	Publish()
	before, err := Ask(os.Getpid(), file)
	require.NoError(t, err)
	const n = 1000
	for range n {
		kept = make([]byte, 64)
	}
	after, err := Ask(os.Getpid(), file)
	require.NoError(t, err)
	require.GreaterOrEqual(t, after.Mallocs-before.Mallocs, uint64(n))
	require.GreaterOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(n*64))
}

var kept []byte

// TestOverlay: a program that knows nothing of it builds with the overlay.
func TestOverlay(t *testing.T) {
	dir, folder := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "go.mod"), []byte("module x\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	overlay, err := Overlay(dir, folder)
	require.NoError(t, err)
	build := exec.Command("go", "build", "-overlay", overlay, "-o", filepath.Join(dir, "x"), ".")
	build.Dir = folder
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoFileExists(t, filepath.Join(folder, "bench_heapstats.go"))
}
