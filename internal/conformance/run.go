package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// setting is what a suite runs over.
type setting struct {
	backend string // "io_uring", "epoll", "net"
	mode    mode   // none on package net
}

func (s setting) String() string { return strings.TrimSpace(s.backend + " " + string(s.mode)) }

// onNet is package net in the place of the library, under the same patch.
var onNet = setting{backend: "net"}

func (s setting) environment() []string {
	return append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "PWD=",
		"PROACTORNET_BACKEND="+s.backend, "PROACTORNET_MODE="+string(s.mode))
}

// rounds is how often a suite is begun anew without the tests that hung.
const rounds = 6

// test runs the tests of the checkout. Tests that hang are failures, and the others
// run again without them.
func (c *checkout) test(ctx context.Context, over setting, quick bool, skip []string) (*report, error) {
	total := newReport()
	for range rounds {
		r, err := c.goTest(ctx, over, append(c.suite.testArgs(quick), skipping(skip)...), c.packages())
		if err != nil {
			return nil, err
		}
		hung := r.hung()
		total.merge(r)
		if len(hung) == 0 {
			return total, nil
		}
		for _, n := range hung {
			skip = append(skip, "^"+regexp.QuoteMeta(n.test)+"$")
		}
	}
	return total, nil
}

func (c *checkout) packages() []string {
	if len(c.suite.packages) == 0 {
		return []string{"."}
	}
	return c.suite.packages
}

func skipping(tests []string) []string {
	if len(tests) == 0 {
		return nil
	}
	return []string{"-skip=" + strings.Join(tests, "|")}
}

// goTest runs go test once.
func (c *checkout) goTest(ctx context.Context, over setting, args, packages []string) (*report, error) {
	timeout := c.suite.timeout
	if timeout == "" {
		timeout = "3m"
	}
	all := append([]string{"test", "-json", "-count=1", "-vet=off", "-timeout=" + timeout}, joinSkips(args)...)
	cmd := exec.CommandContext(ctx, "go", append(all, packages...)...)
	cmd.Dir, cmd.Env = c.dir, over.environment()
	// What a test started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return nil, err
	}
	r := newReport()
	if err := r.read(bytes.NewReader(out)); err != nil {
		return nil, err
	}
	if len(r.outcomes) == 0 && len(r.broken) == 0 {
		return nil, fmt.Errorf("go %s in %s: %w: no test ran: %s%s", strings.Join(all, " "), c.suite.module, err, complaint.Bytes(), out)
	}
	return r, nil
}

// joinSkips makes one of several -skip, of which go test takes the last.
func joinSkips(args []string) (joined []string) {
	var skips []string
	for _, arg := range args {
		if tests, ok := strings.CutPrefix(arg, "-skip="); ok {
			skips = append(skips, tests)
		} else {
			joined = append(joined, arg)
		}
	}
	return append(joined, skipping(skips)...)
}

func newReport() *report {
	return &report{
		outcomes: map[testName]outcome{},
		output:   map[testName][]byte{},
		broken:   map[string][]byte{},
	}
}

// merge adds a later run. What hung in an earlier one stays a failure; what that run
// did not come to counts as the later one found it.
func (r *report) merge(later *report) {
	for n, o := range r.outcomes {
		if o == running {
			r.outcomes[n] = failed
		}
	}
	for n, o := range later.outcomes {
		if r.outcomes[n] != failed {
			r.outcomes[n] = o
		}
	}
	for n, out := range later.output {
		r.output[n] = append(r.output[n], out...)
	}
	r.broken = later.broken
}
