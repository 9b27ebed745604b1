package contestant

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/goproactor/goproactor/bench/ceiling"
)

const (
	ceilingRing  = "c-io_uring"
	ceilingEpoll = "c-epoll"
)

// What the kernel lets one do: the same two servers in C.
var (
	_ = register(inC(ceilingRing, "uring.c", "C, raw io_uring: multishot accept and receive, provided 32 KiB buffers, DEFER_TASKRUN"))
	_ = register(inC(ceilingEpoll, "epoll.c", "C, epoll, level-triggered"))
)

func inC(name, source, about string) Contestant {
	return Contestant{
		Name:    name,
		Family:  Ceiling,
		About:   about,
		Against: name,
		Build: func(ctx context.Context, dir string) ([]string, error) {
			cc, err := exec.LookPath("cc")
			if err != nil {
				return nil, errors.New("no C compiler (cc) in PATH")
			}
			text, err := ceiling.Sources.ReadFile(source)
			if err != nil {
				return nil, err
			}
			file, program := filepath.Join(dir, source), filepath.Join(dir, name)
			if err := os.WriteFile(file, text, 0o644); err != nil {
				return nil, err
			}
			if err := run(ctx, dir, cc, "-std=gnu11", "-O2", "-Wall", "-o", program, file); err != nil {
				return nil, err
			}
			return []string{program}, nil
		},
	}
}
