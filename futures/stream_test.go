package futures

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStream(t *testing.T) {
	l := newLoop(t)
	for name, exec := range map[string]Executor{"free": nil, "bound": l} {
		t.Run(name, func(t *testing.T) {
			places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
				for _, end := range []error{nil, io.EOF, errTest} {
					s := NewStream[int](exec, 4)
					go func() {
						for i := range 100 {
							s.Push(i)
						}
						s.Close(end)
						s.Close(io.ErrUnexpectedEOF)
					}()
					require.NoError(t, run(t.Context(), func(ctx context.Context) error {
						want := 0
						for v, err := range s.All(ctx) { // leave, and come back
							require.NoError(t, err)
							require.Equal(t, want, v)
							if want++; want == 50 {
								break
							}
						}
						var failure error
						for v, err := range s.All(ctx) {
							if err != nil {
								require.NoError(t, failure, "once")
								failure = err
								continue
							}
							require.Equal(t, want, v)
							want++
						}
						require.Equal(t, 100, want)
						if end == errTest {
							require.Equal(t, errTest, failure)
						} else {
							require.NoError(t, failure)
						}
						_, err := s.Next().Await(ctx)
						if end == nil {
							end = io.EOF
						}
						require.Equal(t, end, err)
						return nil
					}))
					l.do(func() {})
					if exec == nil {
						require.False(t, s.Push(1), "closed")
					} else {
						l.do(func() { require.False(t, s.Push(1), "closed") })
					}
				}
			})
		})
	}
}

func TestStreamPauses(t *testing.T) {
	l := newLoop(t)
	s := NewStream[int](l, 4)
	drained := 0
	s.OnDrain(func() { drained++ })
	for i := range 6 {
		require.True(t, s.Push(i))
	}
	require.Equal(t, 6, s.Len(), "a full stream refuses nothing")
	require.True(t, s.Full())
	for i := range 6 {
		v, err := s.Next().Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, i, v)
		want := 0
		if i >= 3 { // two left
			want = 1
		}
		l.do(func() { require.Equal(t, want, drained) })
		require.Equal(t, want == 0, s.Full())
	}
	free := NewStream[int](nil, 1)
	free.OnDrain(func() { free.Push(2) }) // no lock is held
	free.Push(1)
	for i := range 10 {
		v, err := free.Next().Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, min(i+1, 2), v)
	}
}

func TestStreamReaders(t *testing.T) {
	l := newLoop(t)
	for name, exec := range map[string]Executor{"free": nil, "bound": l} {
		t.Run(name, func(t *testing.T) {
			s := NewStream[int](exec, 0)
			fs := []Future[int]{s.Next(), s.Next(), s.Next(), s.Next()}
			fs[1].Cancel()
			_, err := fs[1].Await(t.Context())
			require.Equal(t, ErrCanceled, err)
			s.Push(1)
			s.Push(2)
			s.Close(errTest)
			v, err := fs[0].Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, v)
			v, err = fs[2].Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2, v, "what nobody waits for is not lost")
			_, err = fs[3].Await(t.Context())
			require.Equal(t, errTest, err)
		})
	}
}

func TestStreamContextEnds(t *testing.T) {
	l := newLoop(t)
	for name, exec := range map[string]Executor{"free": nil, "bound": l} {
		t.Run(name, func(t *testing.T) {
			places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
				s := NewStream[int](exec, 0)
				ctx, cancel := context.WithCancelCause(t.Context())
				require.NoError(t, run(ctx, func(ctx context.Context) error {
					l.post(func() { cancel(errTest) })
					n := 0
					for _, err := range s.All(ctx) {
						require.ErrorIs(t, err, errTest)
						n++
					}
					require.Equal(t, 1, n)
					return nil
				}))
				s.Push(1)
				require.Equal(t, 1, s.Len(), "no reader is left behind")
			})
		})
	}
}

// Several tasks range over one stream: each value goes to one of them.
func TestStreamSharedByTasks(t *testing.T) {
	l := newLoop(t)
	s := NewStream[int](l, 0)
	const tasks, values = 5, 500
	sums := make(chan int, tasks)
	for range tasks {
		l.start(func(ctx context.Context) error {
			sum := 0
			for v, err := range s.All(ctx) {
				require.NoError(t, err)
				sum += v
			}
			sums <- sum
			return nil
		}, nil)
	}
	for range values / 10 {
		l.do(func() {
			for range 10 {
				s.Push(1)
			}
		})
	}
	s.Close(nil)
	total := 0
	for range tasks {
		total += <-sums
	}
	require.Equal(t, values, total)
}

func TestStreamAwaitOutsideOfTask(t *testing.T) {
	l := newLoop(t)
	s := NewStream[int](l, 0)
	l.do(func() {
		for _, err := range s.All(context.Background()) {
			require.ErrorIs(t, err, ErrNoTask)
		}
		s.Push(1)
		require.Equal(t, 1, s.Len())
	})
}

// All readers learn of the end, though the callback of one does not return.
func TestStreamCloseThoughCallbacksFail(t *testing.T) {
	for how, fail := range map[string]func(){
		"panic":  func() { panic(errTest) },
		"goexit": runtime.Goexit,
	} {
		t.Run(how, func(t *testing.T) {
			s := NewStream[int](nil, 0)
			var told []Future[int]
			for range 3 {
				s.Next().Then(func(int, error) { fail() })
				told = append(told, s.Next())
			}
			ended := make(chan any)
			go func() {
				defer func() { ended <- recover() }()
				s.Close(nil)
			}()
			<-ended
			for _, f := range told {
				_, err := f.Result()
				require.Equal(t, io.EOF, err)
			}
		})
	}
}
