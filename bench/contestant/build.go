package contestant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/goproactor/goproactor/bench/heapstats"
)

// Flags are the arguments that tell the program its options.
func (c Contestant) Flags(o Options) []string {
	if c.Args != nil {
		return c.Args(o)
	}
	return standardArgs(o)
}

func standardArgs(o Options) []string {
	args := []string{"-addr", o.Addr}
	if o.Broadcast {
		args = append(args, "-broadcast")
	}
	if o.Loops > 1 {
		args = append(args, "-loops", strconv.Itoa(o.Loops))
	}
	return args
}

// BuildExample builds a program of examples/, with an addition that tells allocations
// when asked.
func BuildExample(ctx context.Context, dir, name string) (program string, err error) {
	return build(ctx, dir, name, "examples", name)
}

// build builds the program in a folder of the repository.
func build(ctx context.Context, dir, name string, folder ...string) (program string, err error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("this program does not know where its source is")
	}
	root := filepath.Dir(filepath.Dir(filepath.Dir(here)))
	from := filepath.Join(append([]string{root}, folder...)...)
	if _, err := os.Stat(from); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(dir, name); err != nil {
		return "", err
	}
	overlay, err := heapstats.Overlay(dir, from)
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, name)
	// The module may ask for a newer Go than this one.
	return program, run(ctx, from, "env", "GOTOOLCHAIN=auto", "go", "build", "-overlay", overlay, "-o", program, ".")
}

// run runs a build step in a folder; its error is one line.
func run(ctx context.Context, folder, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return fmt.Errorf("%s: %s", name, line)
		}
	}
	return fmt.Errorf("%s: %w", name, err)
}
