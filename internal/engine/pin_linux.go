package engine

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// pinThread binds the calling thread to the i-th processor that it may use,
// counting round.
func pinThread(i int) error {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	i %= max(1, allowed.Count())
	for cpu := range len(allowed) * 64 {
		if !allowed.IsSet(cpu) {
			continue
		}
		if i--; i >= 0 {
			continue
		}
		var one unix.CPUSet
		one.Set(cpu)
		return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &one))
	}
	return fmt.Errorf("pin: no processor of %d allowed: %w", runtime.NumCPU(), syscall.EINVAL)
}
