package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// settings are the settings that decide whether io_uring can be used, and the limits of a
// program with either backend. works reports whether io_uring works.
func settings(works bool) []setting {
	return []setting{
		kernel(works),
		disabled(),
		group(),
		seccomp(works),
		lockable(),
		descriptors(),
	}
}

func kernel(works bool) setting {
	var u unix.Utsname
	unix.Uname(&u)
	s := setting{Name: "kernel", Value: unix.ByteSliceToString(u.Release[:])}
	major, minor := 0, 0
	fmt.Sscanf(s.Value, "%d.%d", &major, &minor)
	switch s.OK = major > 6 || major == 6 && minor >= 1; {
	case works:
		s.OK, s.Advice = true, "has what io_uring needs as a backend"
	case s.OK:
		s.Advice = "new enough for io_uring (6.1)"
	default:
		s.Advice = "io_uring is a backend from Linux 6.1 on: a newer kernel has it"
	}
	return s
}

// disabled is the sysctl of Linux 6.6, see sysctl/kernel.rst.
func disabled() setting {
	s := setting{Name: "kernel.io_uring_disabled", Value: sysctl("io_uring_disabled")}
	switch s.Value {
	case "0":
		s.OK, s.Advice = true, "every process may set up a ring"
	case "1":
		s.OK = capable(unix.CAP_SYS_ADMIN) || inGroup(sysctl("io_uring_group"))
		s.Advice = "only CAP_SYS_ADMIN and the group kernel.io_uring_group may set up a ring; sysctl -w kernel.io_uring_disabled=0 lets everybody"
	case "2":
		s.Advice = "nobody may set up a ring; sysctl -w kernel.io_uring_disabled=0 lets everybody, 1 a group"
	default:
		s.Value, s.OK, s.Advice = "none", true, "this kernel has no such sysctl (Linux 6.6): nothing to change"
	}
	return s
}

func group() setting {
	s := setting{Name: "kernel.io_uring_group", Value: sysctl("io_uring_group"), OK: true}
	switch {
	case s.Value == "":
		s.Value, s.Advice = "none", "this kernel has no such sysctl (Linux 6.6): nothing to change"
	case sysctl("io_uring_disabled") != "1":
		s.Advice = "counts only with kernel.io_uring_disabled=1"
	default:
		s.OK = capable(unix.CAP_SYS_ADMIN) || inGroup(s.Value)
		s.Advice = "the one group that may set up rings: sysctl -w kernel.io_uring_group=GID, and a process in it"
	}
	return s
}

// capable reports whether the process has a capability (capabilities(7)).
func capable(capability uint) bool {
	var set uint64
	fmt.Sscanf(status("CapEff"), "%x", &set)
	return set>>capability&1 != 0
}

func inGroup(id string) bool {
	groups, _ := os.Getgroups()
	for _, g := range append(groups, unix.Getegid()) {
		if fmt.Sprint(g) == id {
			return true
		}
	}
	return false
}

// seccomp looks at the filters of the process: a container's profile is one.
func seccomp(works bool) setting {
	s := setting{Name: "seccomp filters", Value: status("Seccomp_filters"), OK: true}
	if s.Value == "" { // before Linux 5.9
		s.Value = status("Seccomp")
	}
	switch {
	case s.Value == "0":
		s.Advice = "none on this process"
	case works:
		s.Advice = "they let io_uring pass"
	default:
		s.OK = false
		s.Advice = "container runtimes refuse io_uring by default: a profile that allows io_uring_setup, io_uring_enter and io_uring_register, such as docker run --security-opt seccomp=PROFILE.json"
	}
	return s
}

// ringMemory is about what the ring of one loop takes, in bytes.
const ringMemory = 256 << 10

func lockable() setting {
	s := limit("RLIMIT_MEMLOCK", unix.RLIMIT_MEMLOCK, " bytes")
	var r unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_MEMLOCK, &r)
	s.OK = capable(unix.CAP_IPC_LOCK) || uint64(r.Cur) >= ringMemory*uint64(runtime.NumCPU())
	s.Advice = "without CAP_IPC_LOCK it bounds the memory of rings (except in Linux 5.12 to 6.13) and of registered buffers: ulimit -l, or LimitMEMLOCK= of the service"
	return s
}

func descriptors() setting {
	s := limit("RLIMIT_NOFILE", unix.RLIMIT_NOFILE, "")
	var r unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &r)
	s.OK = uint64(r.Max) >= 4096
	s.Advice = "bounds connections, and a table of direct descriptors when it is registered; Go raises the soft limit to the hard one, which ulimit -Hn or LimitNOFILE= of the service sets"
	return s
}

func limit(name string, which int, unit string) setting {
	var r unix.Rlimit
	if err := unix.Getrlimit(which, &r); err != nil {
		return setting{Name: name, Value: err.Error()}
	}
	return setting{Name: name, Value: amount(uint64(r.Cur), unit) + ", at most " + amount(uint64(r.Max), unit)}
}

func amount(n uint64, unit string) string {
	if n == ^uint64(0) {
		return "unlimited"
	}
	return fmt.Sprint(n, unit)
}

func sysctl(name string) string {
	v, _ := os.ReadFile("/proc/sys/kernel/" + name)
	return strings.TrimSpace(string(v))
}

// status is a line of /proc/self/status.
func status(name string) string {
	all, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(all)) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
