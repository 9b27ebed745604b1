package engine

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Demand is for how long the loop has wanted a processor since its thread began: the time
// that it ran, and the time that it was ready and waited for one. It is zero when the loop
// has ended. Any goroutine may call it; the loop does nothing for it.
func (l *Loop) Demand() time.Duration {
	number := l.kernel.Load()
	if number == 0 {
		return 0
	}
	// Documentation/scheduler/sched-stats.rst. A kernel without CONFIG_SCHED_INFO has no
	// such file.
	line, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", number))
	if err != nil {
		return processorTime(number)
	}
	var ran, waited int64
	if _, err := fmt.Sscan(string(line), &ran, &waited); err != nil {
		return processorTime(number)
	}
	return time.Duration(ran + waited)
}

// processorTime is the processor time of a thread of this process: clock_getcpuclockid(3)
// says how its clock is named.
func processorTime(thread int64) time.Duration {
	const perThread, scheduled = 4, 2
	var t unix.Timespec
	if unix.ClockGettime(int32(^thread<<3|perThread|scheduled), &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

func (l *Loop) noteThread() { l.kernel.Store(int64(unix.Gettid())) }
