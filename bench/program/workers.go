package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

// work is what one of several goroutines of the load generator does: its share of the
// load, which it counts, until ctx ends. What it was doing then is not an error.
type work func(ctx context.Context, worker int, count func(float64)) error

// driveWorkers runs job.Conns × job.Window of them.
func driveWorkers(job load.Job, do work) (load.Result, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var (
		done    atomic.Uint64 // millionths
		group   sync.WaitGroup
		failure = make(chan error, 1)
	)
	count := func(n float64) { done.Add(uint64(n * 1e6)) }
	for i := range job.Turn() {
		group.Go(func() {
			if err := do(ctx, i, count); err != nil && ctx.Err() == nil {
				select {
				case failure <- err:
				default:
				}
			}
		})
	}
	base := time.Now()
	clock := func() time.Duration { return time.Since(base) }
	meter := load.NewMeter(job, clock)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for meter.Running(clock()) {
		select {
		case err := <-failure:
			return load.Result{}, err
		case <-tick.C:
			meter.Answered(float64(done.Swap(0)) / 1e6)
		}
	}
	cancel()
	group.Wait()
	return meter.Result()
}

// mebibyte is the unit of programs that move bytes.
const mebibyte = 1 << 20

// discard reads n bytes and counts them in MiB.
func discard(r io.Reader, n int64, memory []byte, count func(float64)) error {
	for n > 0 {
		k, err := r.Read(memory[:min(n, int64(len(memory)))])
		n -= int64(k)
		count(float64(k) / mebibyte)
		if err != nil && n > 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("%d bytes are missing: %w", n, err)
		}
	}
	return nil
}
