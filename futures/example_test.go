package futures_test

import (
	"context"
	"errors"
	"fmt"
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

func ExampleThen() {
	user := futures.Resolved("gopher")
	greeting := futures.Then(user, func(name string) futures.Future[string] {
		return futures.Resolved("hello, " + name)
	})
	fmt.Println(greeting.Await(context.Background()))
	// Output: hello, gopher <nil>
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
