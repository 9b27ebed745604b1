package futures

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// operations starts n operations on a loop that end when they are canceled.
func operations(l *loop, n int) (ops []*operation, fs []Future[int]) {
	for range n {
		op := newOperation(l)
		op.cancel = func() { l.post(func() { op.Fail(ErrCanceled) }) }
		ops = append(ops, op)
		fs = append(fs, op.Future())
	}
	return ops, fs
}

func cancels(l *loop, ops []*operation) (counts []int) {
	l.do(func() {
		for _, op := range ops {
			counts = append(counts, op.cancels)
		}
	})
	return counts
}

func TestAll(t *testing.T) {
	l := newLoop(t)
	values, err := All[int]().Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{}, values)

	ops, fs := operations(l, 3)
	all := All(fs...)
	ops[2].Resolve(3)
	ops[0].Resolve(1)
	require.False(t, all.Ready())
	ops[1].Resolve(2)
	values, err = all.Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, values)

	ops, fs = operations(l, 3)
	all = All(fs...)
	ops[1].Fail(errTest)
	_, err = all.Await(t.Context())
	require.Equal(t, errTest, err)
	require.Equal(t, []int{1, 0, 1}, cancels(l, ops))
	for _, f := range fs {
		require.True(t, f.Ready(), "nothing is in flight any more")
	}

	values, err = All(Resolved(1), Future[int]{}, Resolved(3)).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{1, 0, 3}, values)
	_, err = All(Resolved(1), Failed[int](errTest), NewPromise[int]().Future()).Await(t.Context())
	require.Equal(t, errTest, err)
}

func TestAllSettled(t *testing.T) {
	l := newLoop(t)
	outcomes, err := AllSettled[int]().Await(t.Context())
	require.NoError(t, err)
	require.Empty(t, outcomes)

	ops, fs := operations(l, 2)
	ops[0].Fail(errTest)
	ops[1].Resolve(1)
	outcomes, err = AllSettled(fs...).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Outcome[int]{{0, errTest}, {1, nil}}, outcomes)
}

func TestAny(t *testing.T) {
	l := newLoop(t)
	_, err := Any[int]().Await(t.Context())
	require.ErrorIs(t, err, ErrNoFutures)

	ops, fs := operations(l, 3)
	first := Any(fs...)
	ops[0].Fail(errTest)
	ops[1].Resolve(5)
	v, err := first.Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, v)
	require.Equal(t, []int{0, 0, 1}, cancels(l, ops))

	_, err = Any(Failed[int](errTest), Failed[int](os.ErrNotExist)).Await(t.Context())
	require.ErrorIs(t, err, errTest)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestRace(t *testing.T) {
	l := newLoop(t)
	_, err := Race[int]().Await(t.Context())
	require.ErrorIs(t, err, ErrNoFutures)

	ops, fs := operations(l, 3)
	first := Race(fs...)
	ops[2].Fail(errTest)
	_, err = first.Await(t.Context())
	require.Equal(t, errTest, err)
	require.Equal(t, []int{1, 1, 0}, cancels(l, ops))
	v, err := Race(NewPromise[int]().Future(), Resolved(4)).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, v)
}

func TestCombinedFuturesAreCancelable(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		for name, combine := range map[string]func(fs []Future[int]) interface{ error(context.Context) error }{
			"All":         func(fs []Future[int]) interface{ error(context.Context) error } { return All(fs...) },
			"Any":         func(fs []Future[int]) interface{ error(context.Context) error } { return Any(fs...) },
			"Race":        func(fs []Future[int]) interface{ error(context.Context) error } { return Race(fs...) },
			"WithTimeout": func(fs []Future[int]) interface{ error(context.Context) error } { return WithTimeout(fs[0], time.Hour) },
			"Map": func(fs []Future[int]) interface{ error(context.Context) error } {
				return Map(fs[0], func(int) (int, error) { return 0, nil })
			},
			"Then": func(fs []Future[int]) interface{ error(context.Context) error } {
				return FlatMap(Resolved(1), func(int) Future[int] { return fs[0] })
			},
		} {
			t.Run(name, func(t *testing.T) {
				_, fs := operations(l, 1)
				ctx, cancel := context.WithCancelCause(t.Context())
				err := run(ctx, func(ctx context.Context) error {
					f := combine(fs)
					l.post(func() { cancel(errTest) })
					return f.error(ctx)
				})
				require.ErrorIs(t, err, errTest)
				require.True(t, fs[0].Ready())
			})
		}
	})
}

func TestMap(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	f := Map(op.Future(), func(v int) (string, error) {
		require.True(t, l.Inside())
		return strconv.Itoa(v), nil
	})
	op.Resolve(12)
	s, err := f.Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, "12", s)

	_, err = Map(Failed[int](errTest), func(int) (int, error) { panic("not called") }).Await(t.Context())
	require.Equal(t, errTest, err)
	_, err = Map(Resolved(1), func(int) (int, error) { return 0, errTest }).Await(t.Context())
	require.Equal(t, errTest, err)
	_, err = Map(Resolved(1), func(int) (int, error) { panic(errTest) }).Await(t.Context())
	require.ErrorIs(t, err, errTest)
	_, err = Map(Resolved(1), func(int) (int, error) { runtime.Goexit(); return 0, nil }).Await(t.Context())
	require.Equal(t, ErrGoexit, err)
}

func TestThen(t *testing.T) {
	l := newLoop(t)
	ops, fs := operations(l, 2)
	f := FlatMap(fs[0], func(v int) Future[int] {
		require.Equal(t, 1, v)
		return fs[1]
	})
	ops[0].Resolve(1)
	ops[1].Resolve(2)
	v, err := f.Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, v)
	_, err = FlatMap(Failed[int](errTest), func(int) Future[int] { panic("not called") }).Await(t.Context())
	require.Equal(t, errTest, err)
	_, err = FlatMap(Resolved(1), func(int) Future[int] { panic(errTest) }).Await(t.Context())
	require.ErrorIs(t, err, errTest)

	// The first stage succeeds although it was canceled: the second is canceled.
	ops, fs = operations(l, 2)
	ops[0].cancel = func() { ops[0].Resolve(1) }
	f = FlatMap(fs[0], func(int) Future[int] { return fs[1] })
	f.Cancel()
	_, err = f.Await(t.Context())
	require.Equal(t, ErrCanceled, err)
	require.Equal(t, []int{1, 1}, cancels(l, ops))
}

// clockLoop is a loop with timers of its own.
type clockLoop struct {
	*loop
	fire  func()
	stops int
}

func (c *clockLoop) AfterFunc(_ time.Duration, fn func()) (stop func() bool) {
	c.fire = fn
	return func() bool { c.stops++; return true }
}

func TestWithTimeout(t *testing.T) {
	l := newLoop(t)
	check := func(t *testing.T, err error) {
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	ops, fs := operations(l, 2)
	_, err := WithTimeout(fs[0], time.Millisecond).Await(t.Context())
	check(t, err)
	require.Equal(t, []int{1, 0}, cancels(l, ops))
	require.NoError(t, l.task(func(ctx context.Context) error {
		_, err := WithTimeout(fs[1], time.Millisecond).Await(ctx)
		check(t, err)
		require.True(t, fs[1].Ready())
		return nil
	}))
	_, err = WithTimeout(NewPromise[int]().Future(), 0).Await(t.Context())
	check(t, err)
	v, err := WithTimeout(Resolved(1), 0).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, v)

	c := &clockLoop{loop: l}
	for _, late := range []bool{false, true} {
		p := new(Promise[int])
		p.Bind(c, cancelerFunc(func() { p.Resolve(2) })) // succeeds all the same
		f := WithTimeout(p.Future(), time.Hour)
		if late {
			l.do(c.fire)
		} else {
			p.Resolve(2)
		}
		v, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, v)
	}
	l.do(func() { require.Equal(t, 2, c.stops) })

	_, fs = operations(l, 1)
	f := WithTimeout(fs[0], time.Hour)
	f.Cancel()
	_, err = f.Await(t.Context())
	require.Equal(t, ErrCanceled, err)
}

func TestAsCompleted(t *testing.T) {
	l := newLoop(t)
	for range AsCompleted[int](t.Context()) {
		require.Fail(t, "nothing to range over")
	}
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		ops, fs := operations(l, 4)
		plain := NewPromise[int]()
		fs = append(fs, plain.Future())
		var order []int
		var errs []error
		ctx, cancel := context.WithCancelCause(t.Context())
		ops[2].Resolve(2)
		require.NoError(t, run(ctx, func(ctx context.Context) error {
			for i, o := range AsCompleted(ctx, fs...) {
				order = append(order, i)
				errs = append(errs, o.Err)
				switch len(order) {
				case 1:
					ops[0].Fail(errors.ErrUnsupported)
				case 2:
					ops[3].Resolve(1)
				case 3:
					l.post(func() { cancel(errTest) })
				}
			}
			return nil
		}))
		require.Equal(t, []int{2, 0, 3, 1, 4}, order)
		require.NoError(t, errs[0])
		require.Equal(t, errors.ErrUnsupported, errs[1])
		require.ErrorIs(t, errs[3], errTest)
		require.ErrorIs(t, errs[4], errTest)
		require.True(t, fs[1].Ready())
		require.True(t, plain.Pending())
	})
	for range AsCompleted(t.Context(), Resolved(1), Resolved(2)) {
		break
	}
}

// A combinator cancels every input, though the callback of one does not return.
func TestCancelOfAllThoughCallbacksFail(t *testing.T) {
	for how, fail := range map[string]func(){
		"panic":  func() { panic(errTest) },
		"goexit": runtime.Goexit,
	} {
		t.Run(how, func(t *testing.T) {
			first := NewPromise[int]()
			inputs := []Future[int]{first.Future()}
			for range 3 {
				f := NewPromise[int]().Future()
				f.Then(func(int, error) { fail() })
				inputs = append(inputs, f, NewPromise[int]().Future())
			}
			all := All(inputs...)
			ended := make(chan any)
			go func() {
				defer func() { ended <- recover() }()
				first.Fail(errTest)
			}()
			<-ended
			_, err := all.Result()
			require.Equal(t, errTest, err)
		})
	}
}

// A combinator keeps the futures, not the slice that they came in.
func TestInputsOfCombinatorsAreCopied(t *testing.T) {
	for name, combine := range map[string]func(fs ...Future[int]) func() error{
		"All": func(fs ...Future[int]) func() error {
			f := All(fs...)
			return func() error { return f.error(t.Context()) }
		},
		"AllSettled": func(fs ...Future[int]) func() error {
			f := AllSettled(fs...)
			return func() error { return f.error(t.Context()) }
		},
		"Any": func(fs ...Future[int]) func() error {
			f := Any(fs...)
			return func() error { return f.error(t.Context()) }
		},
		"Race": func(fs ...Future[int]) func() error {
			f := Race(fs...)
			return func() error { return f.error(t.Context()) }
		},
		"AsCompleted": func(fs ...Future[int]) func() error {
			all := AsCompleted(t.Context(), fs...)
			return func() error {
				for range all {
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, other := NewPromise[int](), NewPromise[int]()
			fs := []Future[int]{p.Future()}
			wait := combine(fs...)
			fs[0] = other.Future() // of the next batch
			other.Resolve(2)
			p.Resolve(1)
			require.NoError(t, wait())
			require.True(t, p.Taken())
			require.False(t, other.Taken())
		})
	}
}
