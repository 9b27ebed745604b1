package process

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the processor time that a process has used, all threads, user
// and system, to the nanosecond (clock_getcpuclockid(3)).
func CPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED, of the process
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// Usage is what a process has used so far.
type Usage struct {
	User, System           time.Duration // by sampling: good for their proportion
	Voluntary, Involuntary uint64        // context switches of the threads alive
	RSS                    int64         // bytes
	Threads                int
}

// Read reads the usage of a process.
func Read(pid int) (Usage, error) {
	u, err := readStat(pid)
	if err != nil {
		return u, err
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return u, err
	}
	for _, t := range tasks {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, t.Name()))
		if err != nil {
			continue // the thread has ended
		}
		u.Voluntary += field(status, "voluntary_ctxt_switches")
		u.Involuntary += field(status, "nonvoluntary_ctxt_switches")
	}
	return u, nil
}

// readStat reads all of Usage but the context switches, from /proc/PID/stat.
func readStat(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The second field is the program's name in parentheses and may hold anything.
	rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(rest) < 22 {
		return Usage{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(rest)+2)
	}
	number := func(i int) int64 { // as proc_pid_stat(5) numbers them
		n, _ := strconv.ParseInt(rest[i-3], 10, 64)
		return n
	}
	const tick = time.Second / 100 // USER_HZ, 100 on every architecture of Linux but alpha
	return Usage{
		User:    time.Duration(number(14)) * tick,
		System:  time.Duration(number(15)) * tick,
		Threads: int(number(20)),
		RSS:     number(24) * int64(os.Getpagesize()),
	}, nil
}

// RSS returns the resident memory of a process in bytes, counted page by page
// (the figure in Usage may be some pages per thread behind).
func RSS(pid int) (int64, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return int64(field(rollup, "Rss")) << 10, nil
}

func field(status []byte, name string) uint64 {
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && key == name {
			n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return n
		}
	}
	return 0
}
