package futures

import (
	"context"
	"runtime"
	"testing"
)

// A task awaits an operation, the loop resolves it and switches to the task.
func BenchmarkAwait(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.do(func() {
		p := newBound(l)
		f := renew(p)
		from := len(l.ready)
		l.scheduler.Start(context.Background(), func(ctx context.Context) error {
			for {
				if _, err := f.Await(ctx); err != nil {
					return err
				}
				f = renew(p)
			}
		}, nil)
		l.turn(from)
		for b.Loop() {
			p.Resolve(1)
			l.turn(from)
		}
		p.Fail(ErrCanceled)
		l.turn(from)
	})
}

func BenchmarkAwaitDerivedContext(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.do(func() {
		p := newBound(l)
		f := renew(p)
		from := len(l.ready)
		l.scheduler.Start(context.Background(), func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for {
				if _, err := f.Await(ctx); err != nil {
					return err
				}
				f = renew(p)
			}
		}, nil)
		l.turn(from)
		for b.Loop() {
			p.Resolve(1)
			l.turn(from)
		}
		p.Fail(ErrCanceled)
		l.turn(from)
	})
}

func BenchmarkThen(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.do(func() {
		p := newBound(l)
		sum := 0
		fn := func(v int, _ error) { sum += v }
		for b.Loop() {
			renew(p).Then(fn)
			p.Resolve(1)
		}
	})
}

func BenchmarkThenOnResolved(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.do(func() {
		p := newBound(l)
		from := len(l.ready)
		sum := 0
		fn := func(v int, _ error) { sum += v }
		for b.Loop() {
			f := renew(p)
			p.Resolve(1)
			f.Then(fn)
			l.turn(from)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.do(func() {
		p := newBound(l)
		for b.Loop() {
			f := renew(p)
			p.Resolve(1)
			f.Result()
		}
	})
}

func BenchmarkTask(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.do(func() {
		from := len(l.ready)
		fn := func(context.Context) error { return nil }
		for b.Loop() {
			l.scheduler.Start(context.Background(), fn, nil)
			l.turn(from)
		}
	})
}

func BenchmarkStream(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.do(func() {
		s := NewStream[int](l, 0)
		from := len(l.ready)
		l.scheduler.Start(context.Background(), func(ctx context.Context) error {
			for range s.All(ctx) {
			}
			return nil
		}, nil)
		l.turn(from)
		for b.Loop() {
			s.Push(1)
			l.turn(from)
		}
		s.Close(nil)
		l.turn(from)
	})
}

// An ordinary goroutine waits for a goroutine.
func BenchmarkAwaitGoroutine(b *testing.B) {
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		p := NewPromise[int]()
		go p.Resolve(1)
		p.Future().Await(ctx)
	}
}

// What an idle connection costs: run it with -benchtime 10000x.
func BenchmarkParkedTasks(b *testing.B) {
	l := newLoop(b)
	promises := make([]Promise[int], b.N)
	before := memory()
	l.do(func() {
		from := len(l.ready)
		for i := range promises {
			promises[i].Bind(l, nil)
			f := renew(&promises[i])
			l.scheduler.Start(context.Background(), func(ctx context.Context) error {
				_, err := f.Await(ctx)
				return err
			}, nil)
		}
		l.turn(from)
	})
	after := memory()
	perTask := func(before, after uint64) float64 { return (float64(after) - float64(before)) / float64(b.N) }
	b.ReportMetric(perTask(before.StackInuse, after.StackInuse), "stack-B/task")
	b.ReportMetric(perTask(before.HeapAlloc, after.HeapAlloc), "heap-B/task")
	l.do(func() {
		for i := range promises {
			promises[i].Resolve(1)
		}
	})
}

func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}
