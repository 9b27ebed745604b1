package futures

import "context"

// maxIdle is how many coroutines without a task a scheduler keeps.
const maxIdle = 1024

// Scheduler runs the tasks of one executor. It belongs to the executor's
// goroutine, which must be locked to its thread: except where a method says
// otherwise, only the executor may call it.
type Scheduler struct {
	exec    Executor
	current *Task
	running int
	idle    []*coroutine
	pool    pool
	entries entryPool // of tasks that wait in a waitQueue, to be used again
	tasks   *Task     // the first of a list of all that have not ended
	known   bool      // it is among the schedulers
}

// NewScheduler makes the scheduler of an executor. Close ends it.
func NewScheduler(exec Executor) *Scheduler {
	s := &Scheduler{exec: exec}
	s.pool.exec = exec
	s.open()
	return s
}

func (s *Scheduler) open() {
	if !s.known {
		s.known = true
		schedulers.add(s)
	}
}

// Len returns the number of tasks started and not ended.
func (s *Scheduler) Len() int { return s.running }

// Current returns the task that is running, nil in the loop's own callbacks. A
// producer may give it something to be told when the task ends: see EndHook.
func (s *Scheduler) Current() *Task { return s.current }

// Job is what a task does.
type Job interface {
	// Run is the function of the task, whose context is ctx.
	Run(ctx context.Context) error

	// Done runs on the executor when the task has ended: with Run's error, a
	// *PanicError or ErrGoexit.
	Done(err error)
}

// functions is a Job made of functions, of which done may be nil.
type functions struct {
	run  func(context.Context) error
	done func(error)
	name any // the function that the program gave, if run is another
}

func (f *functions) Run(ctx context.Context) error { return f.run(ctx) }

func (f *functions) Done(err error) {
	if f.done != nil {
		f.done(err)
	}
}

// Start makes a task of fn: it first runs when the executor gets to it, not
// inside Start, with the task as its context. done, if not nil, runs on the
// executor when it has ended: with fn's error, a *PanicError or ErrGoexit.
//
// The task has the parent's values and deadline, but does not watch it: whoever
// starts it must Cancel it when the parent ends, its deadline included. That
// saves a server a registration for each connection. StartWatching does watch.
func (s *Scheduler) Start(parent context.Context, fn func(ctx context.Context) error, done func(error)) *Task {
	return s.StartJob(parent, &functions{run: fn, done: done})
}

// StartJob is Start for what keeps its state itself.
func (s *Scheduler) StartJob(parent context.Context, job Job) *Task {
	parent, traced := traceTask(parent)
	t := &Task{scheduler: s, parent: parent, job: job}
	if traced != nil {
		t.AddEndHook(&traced.hook, traced)
	}
	s.add(t)
	t.wake()
	return t
}

// StartWatching is Start with a context that ends when the parent's does.
func (s *Scheduler) StartWatching(parent context.Context, fn func(ctx context.Context) error, done func(error)) *Task {
	return s.startWatching(parent, &functions{run: fn, done: done})
}

func (s *Scheduler) startWatching(parent context.Context, job *functions) *Task {
	t := s.StartJob(parent, job)
	if parent.Done() == nil {
		return t
	}
	if parent.Err() != nil {
		t.end(parent.Err(), context.Cause(parent))
		return t
	}
	t.unwatch = context.AfterFunc(parent, func() {
		if t.end(parent.Err(), context.Cause(parent)) {
			t.wake()
		}
	})
	return t
}

// begin gives a task a coroutine and switches to it.
func (s *Scheduler) begin(t *Task) {
	if n := len(s.idle); n > 0 {
		t.coroutine = s.idle[n-1]
		s.idle[n-1] = nil
		s.idle = s.idle[:n-1]
	} else {
		t.coroutine = newCoroutine()
	}
	t.coroutine.task, t.enter = t, t.coroutine.next
	s.resume(t)
}

// resume switches to a task until it parks or ends.
func (s *Scheduler) resume(t *Task) {
	t.phase = active
	s.current = t
	alive := switchTo(t.enter)
	s.current = nil
	if t.phase == finished {
		s.finish(t, alive)
	}
}

// finish is for a task whose function has ended.
func (s *Scheduler) finish(t *Task, alive bool) {
	s.remove(t)
	c := t.coroutine
	t.coroutine, t.enter, t.leave = nil, nil, nil
	if alive {
		s.release(c)
	}
	if t.unwatch != nil {
		t.unwatch()
	}
	t.end(context.Canceled, nil)
	t.callEndHooks()
	job := t.job
	t.job = nil
	defer contain(s.exec)
	job.Done(t.result)
}

// release keeps a coroutine for the next task, or ends it.
func (s *Scheduler) release(c *coroutine) {
	c.task = nil
	if len(s.idle) < maxIdle {
		s.idle = append(s.idle, c)
		return
	}
	c.stop()
}

// Close ends the idle coroutines. Every task must have ended; it panics
// otherwise. The scheduler may be used again.
func (s *Scheduler) Close() {
	if s.running > 0 {
		panic("futures: Close of a scheduler with running tasks: Cancel them and let them end first")
	}
	for _, c := range s.idle {
		c.stop()
	}
	s.idle = nil
	s.known = false
	schedulers.remove(s)
}

// CancelAll cancels every task, as Task.Cancel does.
func (s *Scheduler) CancelAll(cause error) {
	for t := s.tasks; t != nil; t = t.next {
		t.Cancel(cause)
	}
}

func (s *Scheduler) add(t *Task) {
	s.open()
	s.running++
	t.next = s.tasks
	if t.next != nil {
		t.next.prev = t
	}
	s.tasks = t
}

func (s *Scheduler) remove(t *Task) {
	s.running--
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		s.tasks = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}
