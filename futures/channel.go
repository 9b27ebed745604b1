package futures

import "context"

// maxAhead is how many values FromChan receives ahead of the reader at most.
const maxAhead = 64

// FromChan returns a stream of what is received from ch: a task must not wait for a
// channel, since that would hold up its loop. The stream ends when ch is closed,
// and with ctx's error when ctx ends.
//
// A goroutine receives. It ends when ch is closed or ctx ends, and not before: whoever
// stops reading early must end ctx. It receives only so many values ahead of the
// reader as ch has room for, one at least and 64 at most. What it has received when
// ctx ends is still in the stream: Next gives it.
//
//	for v, err := range futures.FromChan(ctx, ch).All(ctx) {
func FromChan[T any](ctx context.Context, ch <-chan T) *Stream[T] {
	s := NewStream[T](nil, max(1, min(cap(ch), maxAhead)))
	drained := make(chan struct{}, 1)
	s.OnDrain(func() {
		select {
		case drained <- struct{}{}:
		default:
		}
	})
	go func() { s.Close(receiveAll(ctx, ch, s, drained)) }()
	return s
}

// receiveAll fills s. Its error is why it ended; nil if ch was closed.
func receiveAll[T any](ctx context.Context, ch <-chan T, s *Stream[T], drained <-chan struct{}) error {
	for ctx.Err() == nil {
		if s.Full() {
			select {
			case <-drained:
			case <-ctx.Done():
			}
			continue
		}
		select {
		case v, ok := <-ch:
			if !ok || !s.Push(v) {
				return nil
			}
		case <-ctx.Done():
		}
	}
	return contextError(ctx)
}

// ToChan sends the values of s to ch, for code that waits on channels, and closes ch
// at the end. The future is then resolved, or has failed with the error with which s
// ended, or with ctx's if that ended first. Canceling it ends the transfer too.
//
// A goroutine sends. It ends when s does, when ctx ends, and when the future is
// canceled: whoever stops receiving early must do one of these. The value that it is
// about to send is then dropped, and what is unread stays in s. So values that hold
// something which must be given back should not go through a channel.
func ToChan[T any](ctx context.Context, s *Stream[T], ch chan<- T) Future[struct{}] {
	p := NewPromise[struct{}]()
	ctx, cancel := context.WithCancelCause(ctx)
	p.SetCanceler(CancelFunc(func() { cancel(ErrCanceled) }))
	go try(func() (struct{}, error) {
		defer cancel(nil)
		defer close(ch)
		return struct{}{}, sendAll(ctx, s, ch)
	}, p.settle)
	return p.Future()
}

func sendAll[T any](ctx context.Context, s *Stream[T], ch chan<- T) error {
	for v, err := range s.All(ctx) {
		if err != nil {
			return err
		}
		select {
		case ch <- v:
		case <-ctx.Done():
			return contextError(ctx)
		}
	}
	return nil
}
