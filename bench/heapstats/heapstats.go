// Package heapstats lets a benchmark ask a Go server what it has allocated.
//
// A server that was started with [Variable] set answers each SIGUSR1 by
// writing a [Stats] to the file that the variable names. One that was started
// without does nothing of the kind.
package heapstats

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Stats is what a process has allocated so far.
type Stats struct {
	Mallocs, TotalAlloc uint64
}

//go:embed publish.go
var source string

// Overlay writes to dir what go build's -overlay flag needs so that the program
// in folder answers too, and returns that flag's value. The program's own files
// stay as they are.
func Overlay(dir, folder string) (string, error) {
	program := strings.Replace(source, "package heapstats", "package main", 1) + "\nfunc init() { Publish() }\n"
	file := filepath.Join(dir, "heapstats.go")
	if err := os.WriteFile(file, []byte(program), 0o644); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{
		"Replace": map[string]string{filepath.Join(folder, "bench_heapstats.go"): file},
	})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}

// askLimit is how long a server may take to answer.
const askLimit = 5 * time.Second

// Ask asks a process that was started with file in Variable.
func Ask(pid int, file string) (Stats, error) {
	var s Stats
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		return s, fmt.Errorf("SIGUSR1: %w", err)
	}
	for limit := time.Now().Add(askLimit); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return s, err
		}
		return s, json.Unmarshal(text, &s)
	}
	return s, fmt.Errorf("no answer to SIGUSR1 within %v", askLimit)
}
