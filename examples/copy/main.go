// Copy copies a file, with many reads and writes under way at once.
//
//	go -C examples/copy run . [-backend B] SRC DST
//
// It writes to DST.part, syncs that and renames it to DST at the end: DST is the
// whole copy, or what it was before. At SIGINT or SIGTERM, or after an error, it
// removes DST.part and ends with status 1. The DST.part of a copy that was killed
// (SIGKILL, a power failure) stays; the next copy to DST replaces it. A bar on stderr
// shows the progress, if that is a terminal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

const (
	block = 256 << 10
	depth = 32 // blocks under way
)

type config struct {
	from, to string
	backend  proactor.Backend
}

func main() {
	c, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "copy:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "copy:", err)
		os.Exit(1)
	}
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("copy", flag.ContinueOnError)
	backend := flags.String("backend", "auto", "auto, io_uring or epoll")
	flags.SetOutput(io.Discard)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: copy [-backend B] SRC DST")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
		}
		return c, err
	}
	if flags.NArg() != 2 {
		return c, fmt.Errorf("%d names: want SRC and DST, after the flags; see -help", flags.NArg())
	}
	c.from, c.to = flags.Arg(0), flags.Arg(1)
	c.backend, err = proactor.ParseBackend(*backend)
	return c, err
}

func run(ctx context.Context, c config) error {
	rt, err := proactor.New(proactor.WithBackend(c.backend), proactor.WithLoops(1))
	if err != nil {
		return err
	}
	defer rt.Close()
	start := time.Now()
	j := &job{config: c, rt: rt, part: c.to + ".part"}
	_, err = rt.Go(ctx, j.run).Await(context.Background())
	j.progress.end(err == nil)
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("interrupted")
	case err != nil:
		return err
	}
	took, bytes := time.Since(start), j.progress.copied.Load()
	fmt.Printf("%d bytes in %v, %.0f MB/s, backend=%v\n", bytes, took.Round(time.Millisecond), float64(bytes)/1e6/took.Seconds(), rt.Backend().Backend)
	return nil
}

// job is a copy under way. All of it runs on one loop.
type job struct {
	config
	rt       *proactor.Runtime
	part     string
	src      *proactor.File
	dst      *proactor.File
	next     int64 // where the next block begins
	progress progress
}

func (j *job) run(ctx context.Context) (err error) {
	if j.src, err = j.rt.Open(j.from).Await(ctx); err != nil {
		return err
	}
	defer j.src.Close()
	info, err := j.src.Stat().Await(ctx)
	if err != nil {
		return err
	}
	if err := j.check(ctx, info); err != nil {
		return err
	}
	if err = j.claim(ctx, info.Mode().Perm()); err != nil {
		return err
	}
	if err = j.fill(ctx, info.Size()); err == nil {
		_, err = j.rt.Rename(j.part, j.to).Await(ctx)
	}
	// ctx may have ended, and the part must be removed all the same. It is locked
	// until it is removed.
	ending := context.WithoutCancel(ctx)
	var left error
	if err != nil {
		_, left = j.rt.Remove(j.part).Await(ending)
	}
	_, unclosed := j.dst.Close().Await(ending)
	return errors.Join(err, left, unclosed)
}

// check refuses what would not be a copy of a file.
func (j *job) check(ctx context.Context, from fs.FileInfo) error {
	if !from.Mode().IsRegular() {
		return &fs.PathError{Op: "copy", Path: j.from, Err: errors.New("not a regular file")}
	}
	to, err := j.rt.Stat(j.to).Await(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case to.IsDir():
		return &fs.PathError{Op: "copy", Path: j.to, Err: syscall.EISDIR}
	case !to.Mode().IsRegular():
		return &fs.PathError{Op: "copy", Path: j.to, Err: errors.New("not a regular file")}
	}
	return nil
}

// fill copies everything and syncs.
func (j *job) fill(ctx context.Context, size int64) error {
	j.progress.show(size)
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	all := make([]futures.Future[struct{}], depth)
	for i := range all {
		all[i] = futures.Go(failed, func(ctx context.Context) (struct{}, error) {
			err := j.blocks(ctx)
			if err != nil {
				fail(err) // ends the others
			}
			return struct{}{}, err
		})
	}
	for _, f := range all {
		// Not with ctx: the blocks use the buffers until each has ended.
		f.Await(context.WithoutCancel(ctx))
	}
	if err := context.Cause(failed); err != nil { // the first
		return err
	}
	_, err := j.dst.Sync().Await(ctx)
	return err
}

// blocks copies one block after another, until none is left.
func (j *job) blocks(ctx context.Context) error {
	for p := make([]byte, block); ; {
		at := j.next
		j.next += block
		n, err := j.src.ReadAt(p, at).Await(ctx)
		if err != nil && err != io.EOF {
			return err
		}
		if _, err := j.dst.WriteAt(p[:n], at).Await(ctx); err != nil {
			return err
		}
		j.progress.copied.Add(int64(n))
		if err == io.EOF {
			return nil
		}
	}
}
