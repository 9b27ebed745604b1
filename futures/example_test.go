package futures_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/goproactor/goproactor/futures"
)

func Example() {
	ctx := context.Background()
	square := func(n int) futures.Future[int] {
		return futures.Go(ctx, func(context.Context) (int, error) { return n * n, nil })
	}
	values, err := futures.All(square(2), square(3), square(4)).Await(ctx)
	fmt.Println(values, err)
	// Output: [4 9 16] <nil>
}

func ExampleNewPromise() {
	p := futures.NewPromise[string]()
	go p.Resolve("ready")
	v, err := p.Future().Await(context.Background())
	fmt.Println(v, err)
	// Output: ready <nil>
}

func ExampleFuture_Then() {
	p := futures.NewPromise[int]()
	p.Future().Then(func(v int, err error) { fmt.Println(v, err) })
	p.Resolve(42)
	// Output: 42 <nil>
}

func ExampleFuture_Await_context() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := futures.NewPromise[int]().Future().Await(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

func ExampleMap() {
	length := futures.Map(futures.Resolved("four"), func(s string) (int, error) { return len(s), nil })
	fmt.Println(length.Await(context.Background()))
	// Output: 4 <nil>
}

func ExampleAny() {
	v, err := futures.Any(
		futures.Failed[string](errors.New("unreachable")),
		futures.Resolved("second address"),
	).Await(context.Background())
	fmt.Println(v, err)
	// Output: second address <nil>
}

func ExampleWithTimeout() {
	never := futures.NewPromise[int]().Future()
	_, err := futures.WithTimeout(never, time.Millisecond).Await(context.Background())
	fmt.Println(err, errors.Is(err, os.ErrDeadlineExceeded))
	// Output: futures: no result within 1ms true
}

func ExampleAsCompleted() {
	slow := futures.NewPromise[string]()
	fast := futures.Resolved("fast")
	for i, o := range futures.AsCompleted(context.Background(), slow.Future(), fast) {
		fmt.Println(i, o.Value)
		slow.Resolve("slow")
	}
	// Output:
	// 1 fast
	// 0 slow
}

func ExampleBlocking() {
	name, err := futures.Blocking(context.Background(), func() (string, error) { return os.DevNull, nil })
	fmt.Println(name, err)
	// Output: /dev/null <nil>
}

func ExampleStream() {
	s := futures.NewStream[int](nil, 0)
	go func() {
		for i := range 3 {
			s.Push(i)
		}
		s.Close(nil)
	}()
	for v, err := range s.All(context.Background()) {
		fmt.Println(v, err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 <nil>
}

// All ends with the first failure, and cancels the rest.
func ExampleAll() {
	never := futures.NewPromise[string]()
	_, err := futures.All(never.Future(), futures.Failed[string](errors.New("no such user"))).Await(context.Background())
	_, other := never.Future().Result()
	fmt.Println(err)
	fmt.Println(other)
	// Output:
	// no such user
	// futures: operation canceled
}

func ExampleAllSettled() {
	outcomes, _ := futures.AllSettled(futures.Resolved(1), futures.Failed[int](io.EOF)).Await(context.Background())
	for _, o := range outcomes {
		fmt.Println(o.Value, o.Err)
	}
	// Output:
	// 1 <nil>
	// 0 EOF
}

// The first to settle, be it a failure.
func ExampleRace() {
	never := futures.NewPromise[string]().Future()
	_, err := futures.Race(never, futures.Failed[string](io.EOF)).Await(context.Background())
	fmt.Println(err)
	// Output: EOF
}

func ExampleFlatMap() {
	length := futures.FlatMap(futures.Resolved("four"), func(s string) futures.Future[int] { return futures.Resolved(len(s)) })
	fmt.Println(length.Await(context.Background()))
	// Output: 4 <nil>
}

// On a goroutine here; in a task, f is a task of the same loop.
func ExampleGo() {
	f := futures.Go(context.Background(), func(ctx context.Context) (int, error) {
		<-ctx.Done() // ends when the future is canceled
		return 7, context.Cause(ctx)
	})
	f.Cancel()
	fmt.Println(f.Await(context.Background()))
	// Output: 7 futures: operation canceled
}

// Who waits gets the panic as an error, with the stack.
func ExamplePanicError() {
	_, err := futures.Go(context.Background(), func(context.Context) (int, error) { panic(io.ErrUnexpectedEOF) }).Await(context.Background())
	var p *futures.PanicError
	fmt.Println(errors.As(err, &p), p.Value, len(p.Stack) > 0, errors.Is(err, io.ErrUnexpectedEOF))
	// Output: true unexpected EOF true true
}

// The value of what was already done costs nothing to wait for.
func ExampleResolved() {
	cached := futures.Resolved("from the cache")
	fmt.Println(cached.Ready())
	fmt.Println(cached.Await(context.Background()))
	// Output:
	// true
	// from the cache <nil>
}

func ExampleFailed() {
	f := futures.Failed[int](io.ErrClosedPipe)
	fmt.Println(f.Await(context.Background()))
	// Output: 0 io: read/write on closed pipe
}

// The result, without waiting for it.
func ExampleFuture_Result() {
	p := futures.NewPromise[string]()
	_, err := p.Future().Result()
	fmt.Println(err == futures.ErrPending)
	p.Resolve("here")
	fmt.Println(p.Future().Result())
	// Output:
	// true
	// here <nil>
}

// Among other channels.
func ExampleFuture_Done() {
	p := futures.NewPromise[string]()
	go p.Resolve("here")
	select {
	case <-p.Future().Done():
		fmt.Println(p.Future().Result())
	case <-time.After(time.Minute):
		fmt.Println("too slow")
	}
	// Output: here <nil>
}

// cancelation is an operation's own way to end.
type cancelation func()

func (c cancelation) Cancel() { c() }

// The future has its result when the operation has really ended, not before.
func ExampleFuture_Cancel() {
	p := futures.NewPromise[int]()
	p.SetCanceler(cancelation(func() { fmt.Println("asked to end") }))
	f := p.Future()
	f.Cancel()
	fmt.Println(f.Ready())
	p.Fail(futures.ErrCanceled) // now it has
	_, err := f.Await(context.Background())
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// asked to end
	// false
	// true
}

// An operation that can be canceled: its promise fails when it has ended.
func ExamplePromise_SetCanceler() {
	p := futures.NewPromise[string]()
	timer := time.AfterFunc(time.Hour, func() { p.Resolve("late") })
	p.SetCanceler(cancelation(func() {
		if timer.Stop() {
			p.Fail(futures.ErrCanceled)
		}
	}))
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := p.Future().Await(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// Only the first result counts.
func ExamplePromise_Resolve() {
	p := futures.NewPromise[int]()
	fmt.Println(p.Resolve(1), p.Resolve(2), p.Fail(io.EOF))
	fmt.Println(p.Future().Await(context.Background()))
	// Output:
	// true false false
	// 1 <nil>
}

func ExamplePromise_Fail() {
	p := futures.NewPromise[int]()
	p.Fail(io.ErrNoProgress)
	fmt.Println(p.Future().Await(context.Background()))
	// Output: 0 multiple Read calls return no data or error
}

// A count, and why it is short.
func ExamplePromise_Settle() {
	p := futures.NewPromise[int]()
	p.Settle(3, io.ErrShortWrite)
	fmt.Println(p.Future().Await(context.Background()))
	// Output: 3 short write
}

// The orderly end ends the range; any other error is yielded once.
func ExampleStream_All() {
	s := futures.NewStream[string](nil, 0)
	s.Push("a value")
	s.Close(io.ErrUnexpectedEOF)
	for v, err := range s.All(context.Background()) {
		fmt.Printf("%q %v\n", v, err)
	}
	// Output:
	// "a value" <nil>
	// "" unexpected EOF
}

func ExampleStream_Next() {
	s := futures.NewStream[int](nil, 0)
	first, second := s.Next(), s.Next() // served in this order
	s.Push(1)
	s.Close(nil)
	fmt.Println(first.Await(context.Background()))
	fmt.Println(second.Await(context.Background()))
	// Output:
	// 1 <nil>
	// 0 EOF
}

// A closed stream takes nothing more, and gives what it has.
func ExampleStream_Close() {
	s := futures.NewStream[int](nil, 0)
	s.Push(1)
	s.Close(nil)
	fmt.Println(s.Push(2), s.Len())
	fmt.Println(s.Next().Await(context.Background()))
	fmt.Println(s.Next().Await(context.Background()))
	// Output:
	// false 1
	// 1 <nil>
	// 0 EOF
}

// A producer that pauses when the stream is full, and goes on when half is read.
func ExampleStream_OnDrain() {
	s := futures.NewStream[int](nil, 4)
	n := 0
	produce := func() {
		for !s.Full() {
			n++
			s.Push(n)
		}
	}
	s.OnDrain(produce)
	produce()
	fmt.Println(n, "produced")
	for range 2 {
		s.Next().Await(context.Background())
	}
	fmt.Println(n, "produced")
	// Output:
	// 4 produced
	// 6 produced
}
