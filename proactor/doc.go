// Package proactor is completion-based I/O with futures: a program starts an
// operation and gets a future; the kernel's io_uring does the work, or, where
// there is none, a user-space queue over epoll behind the same contract.
//
// The three types to know:
//
//   - [Runtime], a set of event loops, each a goroutine locked to its thread;
//   - [Conn], a connection that belongs to one of them;
//   - [Buffer], a lease on received data.
//
// A handler is a coroutine of its connection's loop. It is written as straight-line
// code and waits with Await, which switches to the loop and back without the Go
// scheduler:
//
//	rt, err := proactor.New()
//	…
//	defer rt.Close()
//	ln, err := rt.Listen("tcp", ":9000")
//	…
//	err = ln.Serve(ctx, func(ctx context.Context, c *proactor.Conn) error {
//		for {
//			buf, err := c.Recv().Await(ctx)
//			if err != nil {
//				return err
//			}
//			if _, err := c.Send(buf).Await(ctx); err != nil {
//				return err
//			}
//		}
//	})
//
// While a handler or callback runs, nothing else on its loop does. It must not block on
// channels, mutexes or other system calls (futures.Blocking runs code that does on other
// threads), and must not call runtime.LockOSThread: a coroutine cannot be resumed with its
// thread locked more often than when it was made, and the Go runtime ends the process.
package proactor
