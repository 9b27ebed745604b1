package futures_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goproactor/goproactor/futures"
)

// The lock is held while something is awaited.
func ExampleMutex() {
	ctx := context.Background()
	var m futures.Mutex
	fetch := func() futures.Future[int] { return futures.Resolved(1) }
	total := 0

	if err := m.Lock(ctx); err != nil {
		fmt.Println(err)
		return
	}
	v, err := fetch().Await(ctx)
	total += v
	m.Unlock()
	fmt.Println(total, err)
	// Output: 1 <nil>
}

func ExampleMutex_Do() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	var m futures.Mutex
	err := m.Do(ctx, func() error {
		return m.Lock(ctx) // it is locked, and stays so
	})
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	fmt.Println(m.TryLock())
	// Output:
	// true
	// true
}

func ExampleRWMutex() {
	ctx := context.Background()
	var m futures.RWMutex
	routes := map[string]string{"/": "index"}

	if err := m.RLock(ctx); err == nil {
		fmt.Println(routes["/"])
		fmt.Println(m.TryRLock(), m.TryLock())
		m.RUnlock()
		m.RUnlock()
	}
	if err := m.Lock(ctx); err == nil {
		routes["/"] = "home"
		m.Unlock()
	}
	// Output:
	// index
	// true false
}

// At most ten bytes are under way.
func ExampleSemaphore() {
	ctx := context.Background()
	bytes := futures.NewSemaphore(10)
	fmt.Println(bytes.Acquire(ctx, 7))
	fmt.Println(bytes.TryAcquire(7))
	bytes.Release(7)
	fmt.Println(bytes.Acquire(ctx, 11))
	// Output:
	// <nil>
	// false
	// acquire 11 units of a semaphore of 10: futures: more units than the semaphore has
}

// The first error ends the others.
func ExampleGroup() {
	ctx := context.Background()
	g := futures.NewGroup(ctx)
	g.SetLimit(2)
	g.Go(func(ctx context.Context) error {
		<-ctx.Done()
		fmt.Println("one ends:", context.Cause(ctx))
		return ctx.Err()
	})
	g.Go(func(ctx context.Context) error { return errors.New("no such host") })
	fmt.Println(g.Wait(ctx))
	// Output:
	// one ends: no such host
	// no such host
}

func ExampleWaitGroup() {
	ctx := context.Background()
	var g futures.WaitGroup
	results := make([]int, 3)
	for i := range results {
		g.Add(1)
		futures.Go(ctx, func(context.Context) (int, error) {
			defer g.Done()
			results[i] = i * i
			return 0, nil
		})
	}
	fmt.Println(g.Wait(ctx), results)
	// Output: <nil> [0 1 4]
}

func ExampleEvent() {
	ctx := context.Background()
	var ready futures.Event
	go ready.Set()
	fmt.Println(ready.Wait(ctx), ready.IsSet())
	ready.Reset()
	fmt.Println(ready.IsSet())
	// Output:
	// <nil> true
	// false
}

// One takes from a queue that another fills.
func ExampleCond() {
	ctx := context.Background()
	var m futures.Mutex
	filled := futures.NewCond(&m)
	var queue []string
	go m.Do(ctx, func() error {
		queue = append(queue, "work")
		filled.Signal()
		return nil
	})
	err := m.Do(ctx, func() error {
		for len(queue) == 0 {
			if err := filled.Wait(ctx); err != nil {
				return err
			}
		}
		fmt.Println(queue[0])
		return nil
	})
	fmt.Println(err)
	// Output:
	// work
	// <nil>
}

// What fails is tried again by the next who needs it.
func ExampleOnce() {
	ctx := context.Background()
	var connected futures.Once
	attempts := 0
	connect := func(context.Context) error {
		if attempts++; attempts == 1 {
			return errors.New("refused")
		}
		return nil
	}
	fmt.Println(connected.Do(ctx, connect))
	fmt.Println(connected.Do(ctx, connect))
	fmt.Println(connected.Do(ctx, connect), attempts)
	// Output:
	// refused
	// <nil>
	// <nil> 2
}

// Futures of different types; the one that was chosen is then awaited.
func ExampleSelect() {
	ctx := context.Background()
	line, tick := futures.NewPromise[string](), futures.NewPromise[time.Time]()
	go line.Resolve("hello")

	switch i, err := futures.Select(ctx, tick.Future(), line.Future()); {
	case err != nil:
		fmt.Println(err)
	case i == 0:
		fmt.Println(tick.Future().Await(ctx))
	case i == 1:
		fmt.Println(line.Future().Await(ctx))
	}
	fmt.Println("the other is pending:", tick.Pending())
	// Output:
	// hello <nil>
	// the other is pending: true
}

func ExampleFromChan() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // ends the goroutine that receives
	ch := make(chan string)
	go func() {
		defer close(ch)
		ch <- "from"
		ch <- "elsewhere"
	}()
	for v, err := range futures.FromChan(ctx, ch).All(ctx) {
		fmt.Println(v, err)
	}
	// Output:
	// from <nil>
	// elsewhere <nil>
}

func ExampleToChan() {
	ctx := context.Background()
	s := futures.NewStream[int](nil, 0)
	for i := range 3 {
		s.Push(i)
	}
	s.Close(nil)

	ch := make(chan int)
	sent := futures.ToChan(ctx, s, ch)
	for v := range ch {
		fmt.Println(v)
	}
	_, err := sent.Await(ctx)
	fmt.Println(err)
	// Output:
	// 0
	// 1
	// 2
	// <nil>
}

// A task that computes for long lets others run now and then.
func ExampleYield() {
	ctx := context.Background()
	sum := 0
	for i := range 10_000 {
		if i%1000 == 0 {
			if err := futures.Yield(ctx); err != nil {
				fmt.Println(err)
				return
			}
		}
		sum += i
	}
	fmt.Println(sum)
	// Output: 49995000
}
