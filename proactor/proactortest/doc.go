// Package proactortest tests handlers that are written with package proactor,
// over real sockets and on both backends, or on a network that [Simulate] makes.
//
// The three functions to know:
//
//   - [Each] runs a test once on every backend;
//   - [Serve] runs a handler, and returns the client's end of a connection to it;
//   - [Start] starts a runtime, for what is more than one handler.
//
// A test of a handler:
//
//	func TestEcho(t *testing.T) {
//		proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
//			conn := proactortest.Serve(t, echo, proactor.WithBackend(b))
//			fmt.Fprint(conn, "hello")
//			…
//		})
//	}
//
// When the test ends, everything is closed, and the test fails if the handler has
// left something behind: a lease, a connection, a file, a task. What the runtime
// logs goes to the log of the test.
package proactortest
