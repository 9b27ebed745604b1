package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// says runs the program, which must succeed.
func says(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exampletest.Command(t, args...).Output()
	require.NoError(t, err)
	return string(out)
}

type offer struct {
	Name, Since, Why string
	OK, Required     bool
	Fallback         bool
}

type findings struct {
	Kernel, System string
	Backend        struct{ Name, Why string }
	IOUring        string `json:"io_uring"`
	Operations     []offer
	SetupFlags     []offer `json:"setup_flags"`
	Features       []offer
	Settings       []struct {
		Name, Value, Advice string
		OK                  bool
	}
}

func parse(t *testing.T, out string) (f findings) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(out))
	require.NoError(t, d.Decode(&f), out)
	require.False(t, d.More())
	return f
}

// check holds for every kernel, whatever it lets us do.
func check(t *testing.T, f findings) {
	var u unix.Utsname
	require.NoError(t, unix.Uname(&u))
	require.Equal(t, unix.ByteSliceToString(u.Release[:]), f.Kernel)
	require.Equal(t, runtime.GOOS+"/"+runtime.GOARCH, f.System)
	require.NotEmpty(t, f.Backend.Why)
	if f.IOUring == "ok" {
		require.Equal(t, "io_uring", f.Backend.Name)
	} else {
		require.Equal(t, "epoll", f.Backend.Name)
		require.Contains(t, f.Backend.Why, f.IOUring)
	}
	fallback := map[string]bool{}
	for _, o := range f.Operations {
		require.Regexp(t, `^IORING_OP_\w+$`, o.Name)
		require.Regexp(t, `^\d\.\d+$`, o.Since)
		require.Equal(t, o.OK, o.Why == "", "%+v", o)
		fallback[o.Name] = o.Fallback
		if o.Required {
			require.True(t, o.Fallback, "%s: what io_uring is no backend without, the fallback has", o.Name)
		}
	}
	require.True(t, fallback["IORING_OP_RECV"])
	require.False(t, fallback["IORING_OP_MADVISE"])
	require.NotEmpty(t, f.SetupFlags)
	require.NotEmpty(t, f.Features)
	var names []string
	for _, s := range f.Settings {
		names = append(names, s.Name)
		require.NotEmpty(t, s.Value, s.Name)
		require.NotEmpty(t, s.Advice, s.Name)
	}
	require.Equal(t, []string{"kernel", "kernel.io_uring_disabled", "kernel.io_uring_group", "seccomp filters", "RLIMIT_MEMLOCK", "RLIMIT_NOFILE"}, names)
}

// agree says that the text tells what the JSON tells.
func agree(t *testing.T, text string, f findings) {
	require.True(t, strings.HasPrefix(text, "kernel "+f.Kernel+", "+f.System+"\n"), text)
	require.Contains(t, text, "\nbackend auto takes "+f.Backend.Name+": "+f.Backend.Why+"\n")
	mark := map[bool]string{true: "yes", false: "no"}
	for _, o := range f.Operations {
		line := regexp.MustCompile(`(?m)^  ` + o.Name + ` .*$`).FindString(text)
		require.NotEmpty(t, line, o.Name)
		require.Equal(t, []string{o.Since, mark[o.OK]}, strings.Fields(line)[1:3], line)
		require.True(t, strings.HasSuffix(strings.TrimSpace(line), mark[o.Fallback]), line)
		require.Contains(t, line, o.Why)
	}
	for _, s := range f.Settings {
		line := regexp.MustCompile(`(?m)^  (yes|no ) ` + regexp.QuoteMeta(s.Name) + ` .*$`).FindString(text)
		require.Contains(t, line, mark[s.OK])
		require.Contains(t, line, s.Value)
		require.Contains(t, line, s.Advice)
	}
}

func TestBothOutputs(t *testing.T) {
	f := parse(t, says(t, "-json"))
	check(t, f)
	agree(t, says(t), f)
}

// TestRefusedBySeccomp is the everyday case: a container's profile.
func TestRefusedBySeccomp(t *testing.T) {
	program := exampletest.Program(t)
	asJSON, err := refused(exec.Command(program, "-json"))
	require.NoError(t, err)
	f := parse(t, string(asJSON))
	check(t, f)
	require.Equal(t, "epoll", f.Backend.Name)
	require.Contains(t, f.IOUring, "operation not permitted")
	for _, o := range f.Operations {
		require.False(t, o.OK, o.Name)
	}
	require.False(t, f.Settings[3].OK)
	require.Contains(t, f.Settings[3].Advice, "io_uring_setup")
	text, err := refused(exec.Command(program))
	require.NoError(t, err)
	agree(t, string(text), f)
}

// refused runs cmd under a filter that answers io_uring_setup with EPERM.
func refused(cmd *exec.Cmd) (out []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the filter ends with the thread
		if err = filter(unix.SYS_IO_URING_SETUP, unix.EPERM); err == nil {
			out, err = cmd.Output()
		}
	}()
	<-done
	return out, err
}

// filter makes the calling thread's system call fail (seccomp(2), bpf).
func filter(call uint32, with unix.Errno) error {
	const refuse, allow = 0x00050000, 0x7fff0000 // SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: refuse | uint32(with)},
		{Code: unix.BPF_RET | unix.BPF_K, K: allow},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	list := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(list)), 0, 0)
}

// TestNoIOUring runs in CI with kernel.io_uring_disabled=2, which is the whole
// machine's, not a test's to change.
func TestNoIOUring(t *testing.T) {
	if os.Getenv("GOPROACTOR_EXPECT_NO_IOURING") == "" {
		t.Skip("runs when CI has switched io_uring off: set GOPROACTOR_EXPECT_NO_IOURING=1 with kernel.io_uring_disabled=2")
	}
	f := parse(t, says(t, "-json"))
	check(t, f)
	require.Equal(t, "epoll", f.Backend.Name)
	require.Contains(t, f.IOUring, "kernel.io_uring_disabled=2")
	require.Equal(t, "2", f.Settings[1].Value)
	require.False(t, f.Settings[1].OK)
	require.Contains(t, f.Settings[1].Advice, "sysctl -w kernel.io_uring_disabled=0")
	agree(t, says(t), f)
}

// TestTheTableIsPrinted compares docs/operations.md with what prints it.
func TestTheTableIsPrinted(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	require.Equal(t, says(t, "-operations"), string(page), "run go generate ./examples/doctor")
}

// TestTheTableOfKernels compares docs/kernels.md with what this kernel has. The other columns are
// of kernels that internal/kernels/run has booted.
func TestTheTableOfKernels(t *testing.T) {
	page, err := os.ReadFile("../../docs/kernels.md")
	require.NoError(t, err)
	f := parse(t, says(t, "-json"))
	expected := map[string]offer{}
	for _, o := range f.Operations {
		if o.Fallback {
			expected[o.Name] = o
		}
	}
	for _, o := range slices.Concat(f.SetupFlags, f.Features) {
		expected[o.Name] = o
	}
	var ours string // the column of this kernel, if there is one
	var columns []string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 7 || strings.HasPrefix(cells[0], "--") {
			continue
		}
		if columns == nil {
			columns = cells
			continue
		}
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[0], -1)
		for _, name := range names {
			o, ok := expected[name[1]]
			if !ok {
				o, ok = expected["IORING_OP_"+name[1]]
			}
			require.True(t, ok, "%s: no probe looks for it, or it stands here twice", name[1])
			delete(expected, o.Name)
			if len(names) == 1 {
				require.Equal(t, o.Since, cells[1], o.Name)
			}
			require.Equal(t, o.Required, strings.HasPrefix(cells[6], "Auto takes epoll"), o.Name)
			if strings.Contains(o.Why, "CAP_NET_ADMIN") {
				continue // the table is about what the kernel has, for who may
			}
			for i, kernel := range columns[2:6] {
				if f.IOUring == "ok" && strings.HasPrefix(f.Kernel, kernel+".") {
					ours = kernel
					require.Equal(t, map[bool]string{true: "yes", false: "no"}[o.OK], cells[2+i], "%s on %s", o.Name, kernel)
				}
			}
		}
	}
	require.Empty(t, expected, "not in the table")
	t.Logf("compared with the column %q", ours)
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`unexpected argument "me"`: {"me"},
		"want one of them":         {"-json", "-operations"},
		"-unknown":                 {"-unknown"},
	} {
		require.Contains(t, exampletest.Fails(t, 2, args...), says)
	}
}
