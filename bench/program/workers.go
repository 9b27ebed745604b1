package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

// work is what one of several goroutines of the load generator does: its share of the
// load, until ctx ends. What it was doing then is not an error.
type work func(ctx context.Context, worker int, done *tally) error

// tally is what the workers have done since it was last looked at.
type tally struct {
	mu        sync.Mutex
	requests  float64
	latencies []time.Duration
}

// count counts requests, or parts of one.
func (t *tally) count(requests float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests += requests
}

// took counts a request that was sent at began.
func (t *tally) took(began time.Time) {
	d := time.Since(began)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	t.latencies = append(t.latencies, d)
}

// tell moves what was done to the meter.
func (t *tally) tell(m *load.Meter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.Answered(t.requests)
	for _, d := range t.latencies {
		m.Took(d)
	}
	t.requests, t.latencies = 0, t.latencies[:0]
}

// driveWorkers runs job.Conns × job.Window of them.
func driveWorkers(job load.Job, do work) (load.Result, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var (
		done    tally
		group   sync.WaitGroup
		failure = make(chan error, 1)
	)
	for i := range job.Turn() {
		group.Go(func() {
			if err := do(ctx, i, &done); err != nil && ctx.Err() == nil {
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
			done.tell(meter)
		}
	}
	cancel()
	group.Wait()
	return meter.Result()
}

// mebibyte is the unit of programs that move bytes.
const mebibyte = 1 << 20

// discard reads n bytes and counts them in MiB.
func discard(r io.Reader, n int64, memory []byte, done *tally) error {
	for n > 0 {
		k, err := r.Read(memory[:min(n, int64(len(memory)))])
		n -= int64(k)
		done.count(float64(k) / mebibyte)
		if err != nil && n > 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("%d bytes are missing: %w", n, err)
		}
	}
	return nil
}
