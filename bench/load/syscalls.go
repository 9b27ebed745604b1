package load

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syscallCounter counts the system calls that a process makes, with the
// kernel's tracepoint raw_syscalls:sys_enter, in every thread alive and every
// thread these start.
type syscallCounter struct{ fds []int }

func countSyscalls(pid int) (*syscallCounter, error) {
	id, err := tracepoint("raw_syscalls/sys_enter")
	if err != nil {
		return nil, err
	}
	attr := unix.PerfEventAttr{
		Type:   unix.PERF_TYPE_TRACEPOINT,
		Config: id,
		Size:   uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Bits:   unix.PerfBitInherit,
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	c := new(syscallCounter)
	for _, t := range tasks {
		tid, _ := strconv.Atoi(t.Name())
		fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err == unix.ESRCH {
			continue
		}
		if err != nil {
			c.stop()
			return nil, fmt.Errorf("perf_event_open: %w", err)
		}
		c.fds = append(c.fds, fd)
	}
	return c, nil
}

func tracepoint(name string) (uint64, error) {
	text, err := os.ReadFile("/sys/kernel/tracing/events/" + name + "/id")
	if err != nil {
		return 0, fmt.Errorf("tracepoint: %w", err)
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

func (c *syscallCounter) stop() (total uint64, err error) {
	for _, fd := range c.fds {
		var count [8]byte
		if _, e := unix.Read(fd, count[:]); e != nil {
			err = fmt.Errorf("read counter: %w", e)
		}
		total += binary.NativeEndian.Uint64(count[:])
		unix.Close(fd)
	}
	return total, err
}
