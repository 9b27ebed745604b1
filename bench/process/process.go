// Package process starts the programs of a benchmark, each pinned to processors of its own,
// and reads what the kernel counts about them.
//
//   - [Start] starts a program; [Process.Stop] kills and reaps it. A program
//     also dies with the benchmark, however that ends.
//   - [CPU] and [Read] ask the kernel what a process has used.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec says what to start.
type Spec struct {
	Argv   []string
	Env    []string  // beyond this process's own
	Cores  []int     // the processors it may run on, none for any
	Stdin  io.Reader // may be nil
	Stdout io.Writer // may be nil
}

// Process is a running program.
type Process struct {
	PID int

	cmd    *exec.Cmd
	stderr stderr
	ended  chan struct{}
	err    error // after ended
}

// Start starts a program.
func Start(s Spec) (*Process, error) {
	p := &Process{cmd: exec.Command(s.Argv[0], s.Argv[1:]...), ended: make(chan struct{})}
	p.stderr.line = make(chan string, 1)
	p.cmd.Env = append(os.Environ(), s.Env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = s.Stdin, s.Stdout, &p.stderr
	// A group of its own: ^C reaches the benchmark alone, which then stops its
	// programs. Should it die first, the kernel kills them.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = time.Second
	if err := startOn(s.Cores, p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Argv[0], err)
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// startOn starts cmd from a thread that is bound to the processors, which the child
// inherits before its first instruction.
func startOn(cores []int, cmd *exec.Cmd) error {
	if len(cores) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, chosen unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	for _, core := range cores {
		chosen.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &chosen); err != nil {
		return fmt.Errorf("pin to processors %v: %w", cores, err)
	}
	defer unix.SchedSetaffinity(0, &before)
	return cmd.Start()
}

// FirstLine waits for the first line on standard error.
func (p *Process) FirstLine(ctx context.Context) (string, error) {
	select {
	case line := <-p.stderr.line:
		return line, nil
	case <-p.ended:
		select {
		case line := <-p.stderr.line:
			return line, nil
		default:
			return "", p.failure()
		}
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Wait waits for the program to end and returns what went wrong, in one line.
// When ctx ends first it kills the program.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.ended:
		if p.err == nil {
			return nil
		}
		return p.failure()
	case <-ctx.Done():
		p.Stop()
		return ctx.Err()
	}
}

// Running reports whether the program has not ended, or else why it has.
func (p *Process) Running() error {
	select {
	case <-p.ended:
		return p.failure()
	default:
		return nil
	}
}

// Stop kills the program and returns when it is gone.
func (p *Process) Stop() {
	p.cmd.Process.Kill()
	<-p.ended
}

func (p *Process) failure() error {
	err := p.err
	if err == nil {
		err = errors.New("ended early")
	}
	if last := p.stderr.last(); last != "" {
		return fmt.Errorf("%s (%w)", last, err)
	}
	return err
}

// stderr hands on the first line and keeps the end of the rest.
type stderr struct {
	mu    sync.Mutex
	head  []byte
	tail  []byte
	line  chan string
	given bool
}

func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.given {
		s.head = append(s.head, p...)
		if line, _, ok := bytes.Cut(s.head, []byte("\n")); ok {
			s.line <- string(line)
			s.given = true
		}
	}
	s.tail = append(s.tail, p...)
	if over := len(s.tail) - 4096; over > 0 {
		s.tail = s.tail[over:]
	}
	return len(p), nil
}

// last is the line that most likely says what went wrong: a panic's or a fatal
// error's first line, else the last one.
func (s *stderr) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(s.tail)), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
	}
	return lines[len(lines)-1]
}

// Confine binds every thread of this process to one core, until release is
// called.
func Confine(core int) (release func(), err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	one.Set(core)
	if err := bind(&one); err != nil {
		return nil, fmt.Errorf("pin to core %d: %w", core, err)
	}
	return func() { bind(&before) }, nil
}

func bind(set *unix.CPUSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		var tid int
		fmt.Sscan(t.Name(), &tid)
		if err := unix.SchedSetaffinity(tid, set); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}
