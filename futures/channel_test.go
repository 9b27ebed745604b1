package futures

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// transfers counts the goroutines of FromChan and ToChan.
func transfers() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "futures.FromChan[") + strings.Count(string(stacks), "futures.ToChan[")
}

func noTransfers(t *testing.T) {
	t.Cleanup(func() {
		for transfers() > 0 {
			runtime.Gosched()
		}
	})
}

func TestFromChan(t *testing.T) {
	l := newLoop(t)
	noTransfers(t)
	for _, size := range []int{0, 1, 10, 1000} {
		places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
			ch := make(chan int, size)
			go func() {
				defer close(ch)
				for i := range 300 {
					ch <- i
				}
			}()
			require.NoError(t, run(t.Context(), func(ctx context.Context) error {
				want := 0
				for v, err := range FromChan(ctx, ch).All(ctx) {
					require.NoError(t, err)
					require.Equal(t, want, v)
					want++
				}
				require.Equal(t, 300, want)
				return nil
			}))
		})
	}
}

// It does not receive without end what nobody reads.
func TestFromChanWaitsForReader(t *testing.T) {
	noTransfers(t)
	for size, ahead := range map[int]int{0: 1, 1: 1, 5: 5, 1000: maxAhead} {
		ctx, cancel := context.WithCancelCause(t.Context())
		ch := make(chan int, size)
		s := FromChan(ctx, ch)
		for i := range ahead {
			ch <- i
		}
		for s.Len() < ahead {
			runtime.Gosched()
		}
		require.True(t, s.Full())
		for range size {
			ch <- 0
		}
		require.Equal(t, ahead, s.Len())
		for range size { // else it may receive one more, in the moment in which its context ends
			<-ch
		}
		cancel(errTest)
		for i := range ahead {
			v, err := s.Next().Await(t.Context())
			require.NoError(t, err, "what was received is not lost")
			require.Equal(t, i, v)
		}
		_, err := s.Next().Await(t.Context())
		require.ErrorIs(t, err, errTest)
	}
}

func TestToChan(t *testing.T) {
	noTransfers(t)
	l := newLoop(t)
	for name, exec := range map[string]Executor{"free": nil, "bound": l} {
		for _, end := range []error{nil, io.EOF, errTest} {
			t.Run(name, func(t *testing.T) {
				s, ch := NewStream[int](exec, 0), make(chan int)
				sent := ToChan(t.Context(), s, ch)
				l.do(func() {
					for i := range 100 {
						s.Push(i)
					}
					s.Close(end)
				})
				want := 0
				for v := range ch {
					require.Equal(t, want, v)
					want++
				}
				require.Equal(t, 100, want)
				if end == errTest {
					require.Equal(t, errTest, sent.error(t.Context()))
				} else {
					require.NoError(t, sent.error(t.Context()))
				}
			})
		}
	}
}

// Its goroutine ends though nobody receives, or nothing comes.
func TestToChanEnds(t *testing.T) {
	noTransfers(t)
	l := newLoop(t)
	for _, values := range []int{0, 2} {
		places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
			for name, end := range map[string]func(Future[struct{}], context.CancelCauseFunc){
				"context": func(_ Future[struct{}], cancel context.CancelCauseFunc) { cancel(errTest) },
				"cancel":  func(f Future[struct{}], _ context.CancelCauseFunc) { f.Cancel() },
			} {
				s, ch := NewStream[int](nil, 0), make(chan int)
				for i := range values {
					s.Push(i)
				}
				require.NoError(t, run(t.Context(), func(ctx context.Context) error {
					ctx, cancel := context.WithCancelCause(ctx)
					defer cancel(nil)
					sent := ToChan(ctx, s, ch)
					end(sent, cancel)
					require.ErrorIs(t, sent.error(context.Background()), context.Canceled, name)
					return nil
				}))
				_, open := <-ch
				require.False(t, open)
			}
		})
	}
}

// Both in a row, among loops.
func TestChannelsThroughTasks(t *testing.T) {
	noTransfers(t)
	l := newLoop(t)
	in, out := make(chan int), make(chan int, 3)
	doubled := NewStream[int](nil, 0)
	go func() {
		defer close(in)
		for i := range 200 {
			in <- i
		}
	}()
	ended := make(chan error, 1)
	l.start(func(ctx context.Context) error {
		defer doubled.Close(nil)
		for v, err := range FromChan(ctx, in).All(ctx) {
			if err != nil {
				return err
			}
			doubled.Push(2 * v)
		}
		return nil
	}, func(err error) { ended <- err })
	sent := ToChan(t.Context(), doubled, out)
	want := 0
	for v := range out {
		require.Equal(t, 2*want, v)
		want++
	}
	require.Equal(t, 200, want)
	require.NoError(t, <-ended)
	require.NoError(t, sent.error(t.Context()))
}
