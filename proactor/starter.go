package proactor

import "github.com/goproactor/goproactor/futures"

// startable is an operation that any goroutine may call. All methods run on its
// loop, except refuse after the end of the loop.
type startable interface {
	begin()
	cancel()          // asks it to end, once it has begun; asked again, see engine's AwaitEnd
	refuse(err error) // it does not begin
}

// starter posts an operation to its loop, and is the Canceler of its future. A
// cancel may reach the loop first: a callback must cancel at once (see engine's
// Quiesce). The operation then never begins.
type starter struct {
	loop  *Loop
	op    startable
	begun bool
	over  bool // it was canceled before
}

// start begins op, at once if the caller is on the loop. It returns false when the
// loop has ended.
func (s *starter) start(l *Loop, op startable) bool {
	s.loop, s.op = l, op
	if l.engine.Refusing() {
		return false
	}
	if l.engine.Inside() {
		s.Run()
		return true
	}
	return l.engine.Post(s)
}

// Run implements futures.Runnable.
func (s *starter) Run() {
	if !s.over {
		s.begun = true
		s.op.begin()
	}
}

// Recancel implements futures.Recanceler.
func (s *starter) Recancel() { s.Cancel() }

// Cancel implements futures.Canceler.
func (s *starter) Cancel() {
	s.loop.engine.Do(func() {
		switch {
		case s.begun:
			s.op.cancel()
		case !s.over:
			s.over = true
			s.op.refuse(futures.ErrCanceled)
		}
	})
}
