package library

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds a wait for a result that the plan says is there.
const patience = 3 * time.Second

// player performs the steps of a program.
type player interface {
	// begin begins a step. The function that it returns waits for its outcome.
	begin(s *Step, p *planned) (await func() Outcome)

	// end closes what is open, and returns what is left in the directory.
	end() (left string)
}

// play runs a program as its plan says.
func play(p *Program, plan []planned, with player) *Trace {
	defer limitFiles(p.Limit)()
	t := &Trace{Outcomes: map[int]Outcome{}}
	under := map[int]func() Outcome{}
	take := func(ids []int) {
		for _, id := range ids {
			if t.Broken != "" {
				return
			}
			o := under[id]()
			delete(under, id)
			t.Outcomes[id] = o
			if o.Error == hangs {
				t.Broken = fmt.Sprintf("step %d does not end", id)
			}
		}
	}
	for i := range p.Steps {
		take(plan[i].before)
		if s := &p.Steps[i]; !plan[i].skip && t.Broken == "" {
			under[s.ID] = with.begin(s, &plan[i])
		}
		take(plan[i].after)
	}
	t.Left = with.end()
	for id, await := range under {
		if o := await(); o.Error == hangs && t.Broken == "" {
			t.Broken = fmt.Sprintf("step %d does not end when everything is closed", id)
		}
	}
	return t
}

// limitFiles limits the size of files, for the whole process.
func limitFiles(limit int64) (undo func()) {
	if limit == 0 {
		return func() {}
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		panic(err)
	}
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(limit), Max: before.Max}); err != nil {
		panic(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			panic(err)
		}
		signal.Reset(unix.SIGXFSZ)
	}
}

// ended is a context that has ended.
func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// patiently runs fn with a context that ends when it takes too long.
func patiently[T any](ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeoutCause(ctx, patience, errHang)
	defer cancel()
	v, err := fn(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = errors.Join(errHang, err)
	}
	return v, err
}

// pattern is n bytes of a stream from a position on.
func pattern(from, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		at := from + i
		p[i] = byte(at*7 + at>>8*13 + at>>16)
	}
	return p
}
