package proactortest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// CheckProcess fails the test if at its end the process has more descriptors or
// goroutines than now. Call it first, so that it looks last: it finds what package
// proactor does not know of, such as a file that RecvFiles brought, or a net.Conn of
// Detach. It looks at the whole process: not for tests that call t.Parallel. On
// systems other than Linux it looks at goroutines only.
func CheckProcess(t testing.TB) {
	t.Helper()
	checkProcess(t, patience)
}

func checkProcess(t testing.TB, patience time.Duration) {
	t.Helper()
	runtime.GC() // what only a finalizer closes is none of the test's
	before, goroutines := descriptors(), runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > goroutines || len(descriptors()) > len(before) {
			if time.Now().After(deadline) {
				tellProcess(t, before, goroutines)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// tellProcess says what the process has more than before.
func tellProcess(t testing.TB, before map[string]string, goroutines int) {
	t.Helper()
	if n := runtime.NumGoroutine(); n > goroutines {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left over, among these:\n%s", n-goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	now := descriptors()
	if len(now) <= len(before) {
		return
	}
	var left []string
	for number, file := range now {
		if before[number] != file {
			left = append(left, fmt.Sprintf("%s (%s)", number, file))
		}
	}
	t.Errorf("%d descriptors are left over, among these: %s", len(now)-len(before), strings.Join(left, ", "))
}

// descriptors are those of the process, and what file each one stands for (proc(5)).
func descriptors() map[string]string {
	all := map[string]string{}
	numbers, _ := filepath.Glob("/proc/self/fd/*")
	for _, path := range numbers {
		if file, err := os.Readlink(path); err == nil {
			all[filepath.Base(path)] = file
		}
	}
	return all
}
