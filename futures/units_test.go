package futures

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// contended is a Mutex, RWMutex or Semaphore as units.
type contended struct {
	size    uint64
	acquire func(ctx context.Context, n uint64) error
	try     func(n uint64) bool
	release func(n uint64)
	amounts []uint64 // that may be asked for
	units   *units
}

func contendedKinds() map[string]contended {
	var m Mutex
	var rw RWMutex
	s := NewSemaphore(5)
	return map[string]contended{
		"Mutex": {1, func(ctx context.Context, n uint64) error { return m.Lock(ctx) },
			func(uint64) bool { return m.TryLock() }, func(uint64) { m.Unlock() }, []uint64{1}, &m.units},
		"RWMutex": {maxReaders, func(ctx context.Context, n uint64) error {
			if n == 1 {
				return rw.RLock(ctx)
			}
			return rw.Lock(ctx)
		}, func(n uint64) bool {
			if n == 1 {
				return rw.TryRLock()
			}
			return rw.TryLock()
		}, func(n uint64) {
			if n == 1 {
				rw.RUnlock()
			} else {
				rw.Unlock()
			}
		}, []uint64{1, 1, maxReaders}, &rw.units},
		"Semaphore": {5, func(ctx context.Context, n uint64) error { return s.Acquire(ctx, int64(n)) },
			func(n uint64) bool { return s.TryAcquire(int64(n)) },
			func(n uint64) { s.Release(int64(n)) }, []uint64{0, 1, 2, 3, 4, 5}, &s.units},
	}
}

// request is one who asks for units. In the model, it waits in a slice.
type request struct {
	n      uint64
	task   *Task
	result chan error
}

// unitsModel says who must have units: those who came first, as far as they go.
type unitsModel struct {
	size, taken uint64
	waiting     []*request
	holding     []*request
}

func (m *unitsModel) grant() {
	for len(m.waiting) > 0 && m.taken+m.waiting[0].n <= m.size {
		m.taken += m.waiting[0].n
		m.holding = append(m.holding, m.waiting[0])
		m.waiting = m.waiting[1:]
	}
}

// pick takes one out of a list.
func pick(random *rand.Rand, list *[]*request) *request {
	i := random.IntN(len(*list))
	r := (*list)[i]
	*list = append((*list)[:i:i], (*list)[i+1:]...)
	return r
}

// Random requests, releases and cancelSignal on one loop, and the same on a model.
func TestUnitsModel(t *testing.T) {
	l := newLoop(t)
	steps := 20000
	if testing.Short() {
		steps = 2000
	}
	for name, s := range contendedKinds() {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Log("seed", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			model := &unitsModel{size: s.size}
			l.do(func() {
				from := len(l.ready)
				for range steps {
					switch n := s.amounts[random.IntN(len(s.amounts))]; random.IntN(6) {
					case 0, 1:
						if len(model.waiting) > 20 {
							continue
						}
						r := &request{n: n, result: make(chan error, 1)}
						r.task = l.scheduler.Start(t.Context(), func(ctx context.Context) error {
							r.result <- s.acquire(ctx, n)
							return nil
						}, nil)
						model.waiting = append(model.waiting, r)
					case 2:
						fits := len(model.waiting) == 0 && model.taken+n <= s.size
						require.Equal(t, fits, s.try(n), "TryAcquire passes nobody")
						if fits {
							model.taken += n
							model.holding = append(model.holding, &request{n: n})
						}
					case 3, 4:
						if len(model.holding) == 0 {
							continue
						}
						r := pick(random, &model.holding)
						model.taken -= r.n
						s.release(r.n)
					case 5:
						if len(model.waiting) == 0 {
							continue
						}
						r := pick(random, &model.waiting)
						r.task.Cancel(errTest)
						l.turn(from)
						require.ErrorIs(t, <-r.result, errTest)
					}
					l.turn(from)
					model.grant()
					checkModel(t, model, s.units)
				}
				for len(model.holding) > 0 {
					r := pick(random, &model.holding)
					model.taken -= r.n
					s.release(r.n)
					l.turn(from)
					model.grant()
					checkModel(t, model, s.units)
				}
			})
			require.Empty(t, model.waiting)
			require.Zero(t, s.units.word.Load())
		})
	}
}

func checkModel(t *testing.T, m *unitsModel, u *units) {
	require.Equal(t, m.taken, u.taken())
	for _, r := range m.holding {
		if r.result != nil {
			require.NoError(t, <-r.result)
			r.result = nil
		}
	}
	for _, r := range m.waiting {
		require.Empty(t, r.result)
	}
	e := u.queue.first
	for _, r := range m.waiting {
		require.Equal(t, r.task, e.task)
		e = e.next
	}
	require.Nil(t, e)
}

// contenders run round on two loops and on goroutines, so often in all.
func contenders(t *testing.T, rounds int, round func(ctx context.Context, random *rand.Rand) error) {
	t.Helper()
	const each = 4
	seed := rand.Uint64()
	t.Log("seed", seed)
	ended := make(chan error, 3*each)
	run := func(i uint64) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			random := rand.New(rand.NewPCG(seed, i))
			for range rounds / (3 * each) {
				if err := round(ctx, random); err != nil {
					return err
				}
			}
			return nil
		}
	}
	loops := []*loop{newLoop(t), newLoop(t)}
	for i := range uint64(each) {
		for j, l := range loops {
			l.start(run(3*i+uint64(j)), func(err error) { ended <- err })
		}
		go func() { ended <- run(3*i + 2)(t.Context()) }()
	}
	for range 3 * each {
		require.NoError(t, <-ended)
	}
}

// cancelSignal ends contexts on a goroutine of its own, about when they are used.
type cancelSignal chan context.CancelFunc

func newCanceler(t *testing.T) cancelSignal {
	c := make(cancelSignal, 16)
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for cancel := range c {
			cancel()
		}
	}()
	t.Cleanup(func() { close(c); <-ended })
	return c
}

// soon derives a context that ends soon. If the cancelSignal is busy it ends at once.
func (c cancelSignal) soon(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	select {
	case c <- cancel:
	default:
		cancel()
	}
	return ctx
}

// guarded is what units guard. The race detector looks on.
type guarded struct {
	mu      sync.Mutex
	taken   uint64
	written int // with all units taken
}

func (g *guarded) enter(n, size uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taken += n; g.taken > size {
		return errors.New("more is taken than there is")
	}
	return nil
}

func (g *guarded) leave(n uint64) {
	g.mu.Lock()
	g.taken -= n
	g.mu.Unlock()
}

func TestUnitsStress(t *testing.T) {
	rounds := 100_000
	if testing.Short() {
		rounds = 5_000
	}
	for name, s := range contendedKinds() {
		t.Run(name, func(t *testing.T) {
			c := newCanceler(t)
			var g guarded
			contenders(t, rounds, func(ctx context.Context, random *rand.Rand) error {
				n := s.amounts[random.IntN(len(s.amounts))]
				waitCtx := ctx
				switch random.IntN(8) {
				case 0:
					waitCtx = c.soon(ctx)
				case 1:
					waitCtx = context.Background()
				case 2:
					if !s.try(n) {
						return nil
					}
					s.release(n)
					return nil
				}
				if err := s.acquire(waitCtx, n); err != nil {
					if waitCtx.Err() == nil || !errors.Is(err, context.Canceled) {
						return err
					}
					return nil
				}
				defer s.release(n)
				if err := g.enter(n, s.size); err != nil {
					return err
				}
				defer g.leave(n)
				if n == s.size {
					g.written++
				}
				if random.IntN(4) == 0 {
					return Yield(ctx)
				}
				return nil
			})
			require.Zero(t, s.units.word.Load())
			require.False(t, s.units.queue.waits())
			require.NoError(t, s.acquire(t.Context(), s.size))
			s.release(s.size)
		})
	}
}

// A million pairs of Lock and Unlock.
func TestMutexMillion(t *testing.T) {
	pairs := 1_000_000
	if testing.Short() {
		pairs = 20_000
	}
	var m Mutex
	n, want := 0, pairs/12*12
	contenders(t, pairs, func(ctx context.Context, _ *rand.Rand) error {
		if err := m.Lock(ctx); err != nil {
			return err
		}
		n++
		m.Unlock()
		return nil
	})
	require.Equal(t, want, n)
}

// While nobody waits, nothing is allocated.
func TestUnitsAllocations(t *testing.T) {
	for name, s := range contendedKinds() {
		for _, n := range s.amounts {
			ctx := t.Context()
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if s.acquire(ctx, n) != nil {
					panic("not acquired")
				}
				s.release(n)
				if !s.try(n) {
					panic("not acquired")
				}
				s.release(n)
			}), name)
		}
	}
}

func TestMutexMisuse(t *testing.T) {
	var m Mutex
	var rw RWMutex
	s := NewSemaphore(3)
	s.TryAcquire(2)
	var g WaitGroup
	group := new(Group)
	end := make(chan bool)
	group.Go(func(context.Context) error { <-end; return nil })
	for want, fn := range map[string]func(){
		"futures: Unlock of a Mutex that is not locked":                             m.Unlock,
		"futures: Unlock of an RWMutex that is not locked for writing":              rw.Unlock,
		"futures: RUnlock of an RWMutex that is not locked for reading":             rw.RUnlock,
		"futures: Release of 3 units of a Semaphore of which 2 are taken":           func() { s.Release(3) },
		"futures: Release of -1 units: want zero or more":                           func() { s.Release(-1) },
		"futures: Acquire of -1 units: want zero or more":                           func() { s.Acquire(t.Context(), -1) },
		"futures: TryAcquire of -1 units: want zero or more":                        func() { s.TryAcquire(-1) },
		"futures: NewSemaphore of -1 units: want zero or more":                      func() { NewSemaphore(-1) },
		"futures: the count of a WaitGroup has become negative: more Done than Add": g.Done,
		"futures: SetLimit of a Group while 1 functions run":                        func() { group.SetLimit(1) },
	} {
		require.PanicsWithValue(t, want, fn)
	}
	rw.TryRLock()
	require.Panics(t, rw.Unlock)
	rw.RUnlock()
	rw.TryLock()
	require.Panics(t, rw.RUnlock)
	rw.Unlock()
	close(end)
	require.NoError(t, group.Wait(t.Context()))
	m.TryLock()
	m.Unlock()
	require.Panics(t, m.Unlock, "while nobody waits")
}

func TestSemaphoreSize(t *testing.T) {
	s := NewSemaphore(3)
	require.EqualValues(t, 3, s.Size())
	err := s.Acquire(t.Context(), 4)
	require.ErrorIs(t, err, ErrTooManyUnits)
	require.EqualError(t, err, "acquire 4 units of a semaphore of 3: futures: more units than the semaphore has")
	require.False(t, s.TryAcquire(4))
	require.NoError(t, s.Acquire(t.Context(), 3))
	require.NoError(t, s.Acquire(t.Context(), 0))
	s.Release(0)
	s.Release(3)
	var none Semaphore
	require.NoError(t, none.Acquire(t.Context(), 0))
	require.ErrorIs(t, none.Acquire(t.Context(), 1), ErrTooManyUnits)
}

// A lock that is free is locked, though ctx has ended.
func TestLockFreeWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var m Mutex
	require.NoError(t, m.Lock(ctx))
	require.Equal(t, context.Canceled, m.Lock(ctx))
	m.Unlock()
	require.Equal(t, errTest, m.Do(ctx, func() error { return errTest }))
	require.Panics(t, func() { m.Do(ctx, func() error { panic(errTest) }) })
	exited := make(chan bool)
	go func() {
		defer close(exited)
		m.Do(ctx, func() error { runtime.Goexit(); return nil })
	}()
	<-exited
	require.True(t, m.TryLock(), "Do has unlocked it")
}
