package heapstats

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Variable is the environment variable that names the file.
const Variable = "BENCH_HEAPSTATS"

// Publish makes the process answer, if Variable is set.
func Publish() {
	file := os.Getenv(Variable)
	if file == "" {
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			text := fmt.Sprintf(`{"Mallocs":%d,"TotalAlloc":%d}`, m.Mallocs, m.TotalAlloc)
			// Renamed into place, so that nobody reads half of it.
			if os.WriteFile(file+".new", []byte(text), 0o600) == nil {
				os.Rename(file+".new", file)
			}
		}
	}()
}
