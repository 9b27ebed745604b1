package futures

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// device is an executor whose operations write into memory of the caller until
// they have ended, which a completion tells.
type device struct {
	*loop
	busy        []*writing // operations that write
	completions []*writing // of those that have ended, not delivered
	quiesced    int
}

// writing is an operation that writes into memory.
type writing struct {
	Promise[int]
	device   *device
	memory   []byte
	canceled bool
	late     bool // its cancel is posted to the executor
}

func (d *device) start(memory []byte) (*writing, Future[int]) {
	w := &writing{device: d, memory: memory}
	w.Bind(d, (*writingCanceler)(w))
	d.busy = append(d.busy, w)
	return w, w.Future()
}

// step is what the hardware does.
func (d *device) step() {
	var busy []*writing
	for _, w := range d.busy {
		w.memory[0]++
		if w.canceled {
			d.completions = append(d.completions, w)
		} else {
			busy = append(busy, w)
		}
	}
	d.busy = busy
}

func (d *device) deliver() {
	completions := d.completions
	d.completions = nil
	for _, w := range completions {
		w.Fail(ErrCanceled)
	}
}

// Quiesce implements Quiescer.
func (d *device) Quiesce(cancel func()) {
	d.quiesced++
	from := len(d.ready)
	cancel()
	posted := d.ready[from:]
	d.ready = d.ready[:from:from]
	for _, r := range posted {
		r.Run()
	}
	for left := true; left; {
		d.step()
		left = false
		for _, w := range d.busy {
			left = left || w.canceled
		}
	}
}

type writingCanceler writing

func (c *writingCanceler) Cancel() {
	cancel := func() { c.canceled = true }
	if c.late {
		c.device.post(cancel)
	} else {
		cancel()
	}
}

// When Await returns in a callback, the operation does not use the memory that it
// was given.
func TestAwaitInCallbackQuiesces(t *testing.T) {
	for _, late := range []bool{false, true} {
		d := &device{loop: newLoop(t)}
		d.do(func() {
			d.scheduler.Close()
			d.scheduler = NewScheduler(d)
		})
		await := map[string]func(f Future[int]) error{
			"the future itself": func(f Future[int]) error { return f.error(t.Context()) },
			"All":               func(f Future[int]) error { return All(f, f).error(t.Context()) },
			"Map":               func(f Future[int]) error { return Map(f, func(int) (int, error) { return 0, nil }).error(t.Context()) },
			"a stream":          func(f Future[int]) error { return All(f, NewStream[int](d, 0).Next()).error(t.Context()) },
		}
		for name, await := range await {
			t.Run(name, func(t *testing.T) {
				memory, other := make([]byte, 1), make([]byte, 1)
				var f Future[int]
				d.do(func() {
					w, _ := d.start(other) // goes on all the while
					var mine *writing
					mine, f = d.start(memory)
					mine.late = late
					d.quiesced = 0
					require.Equal(t, ErrNoTask, await(f))
					require.Equal(t, 1, d.quiesced)
					is := memory[0]
					d.step()
					require.Equal(t, is, memory[0], "the memory is the caller's")
					require.False(t, f.Ready(), "nothing is delivered meanwhile")
					require.Contains(t, d.busy, w)
					d.deliver()
					w.canceled = true
					d.step()
					d.deliver()
				})
				_, err := f.Await(t.Context())
				require.ErrorIs(t, err, ErrCanceled)
			})
		}
	}
}

// recanceling counts the calls.
type recanceling struct{ cancels, recancels int }

func (c *recanceling) Cancel()   { c.cancels++ }
func (c *recanceling) Recancel() { c.recancels++ }

// What has been canceled is canceled again, if its Canceler allows that, by whatever
// future was made of it.
func TestAwaitInCallbackRecancels(t *testing.T) {
	made := map[string]func(f Future[int]) error{
		"the future itself": func(f Future[int]) error { return f.error(t.Context()) },
		"All":               func(f Future[int]) error { return All(f, f).error(t.Context()) },
		"Race":              func(f Future[int]) error { return Race(f).error(t.Context()) },
		"Map":               func(f Future[int]) error { return Map(f, func(int) (int, error) { return 0, nil }).error(t.Context()) },
		"FlatMap":           func(f Future[int]) error { return FlatMap(f, Resolved[int]).error(t.Context()) },
		"WithTimeout":       func(f Future[int]) error { return WithTimeout(f, time.Hour).error(t.Context()) },
	}
	for name, await := range made {
		t.Run(name, func(t *testing.T) {
			for _, bound := range []bool{true, false} {
				d := &device{loop: newLoop(t)}
				d.do(func() {
					d.scheduler.Close()
					d.scheduler = NewScheduler(d)
				})
				c, once := new(recanceling), 0
				p, plain := new(Promise[int]), new(Promise[int])
				if bound {
					p.Bind(d, c)
					plain.Bind(d, CancelFunc(func() { once++ }))
				} else {
					p.SetCanceler(c)
					plain.SetCanceler(CancelFunc(func() { once++ }))
				}
				d.do(func() {
					p.Future().Cancel()
					plain.Future().Cancel()
					require.Equal(t, recanceling{cancels: 1}, *c)
					require.Equal(t, ErrNoTask, await(p.Future()))
					require.Equal(t, ErrNoTask, await(plain.Future()))
				})
				require.Equal(t, 1, c.cancels)
				require.Positive(t, c.recancels)
				require.Equal(t, 1, once)
				require.Equal(t, 2, d.quiesced)
				recancels := c.recancels
				d.do(func() {
					p.Resolve(1)
					plain.Resolve(1)
					p.Future().Cancel()
				})
				require.Equal(t, recancels, c.recancels, "it has a result")
			}
		})
	}
}

// What cannot be canceled uses no memory, and is left alone.
func TestAwaitInCallbackLeavesPlainPromises(t *testing.T) {
	d := &device{loop: newLoop(t)}
	d.do(func() {
		d.scheduler.Close()
		d.scheduler = NewScheduler(d)
	})
	for name, p := range map[string]*Promise[int]{"bound": newBound(d.loop), "free": NewPromise[int]()} {
		t.Run(name, func(t *testing.T) {
			f := p.Future()
			d.do(func() {
				require.Equal(t, ErrNoTask, f.error(t.Context()))
				_, err := Blocking(t.Context(), func() (int, error) { panic("must not run") })
				require.Equal(t, ErrNoTask, err)
				require.Zero(t, d.quiesced)
			})
			p.Resolve(1)
			v, err := f.Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, v)
		})
	}
}

// An executor that is no Quiescer has the operation canceled all the same.
func TestAwaitInCallbackCancels(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	op.cancel = func() { l.post(func() { op.Fail(ErrCanceled) }) }
	f := op.Future()
	l.do(func() { require.Equal(t, ErrNoTask, f.error(context.Background())) })
	_, err := f.Await(t.Context())
	require.ErrorIs(t, err, ErrCanceled)
}
