package proactor

import (
	"net"

	"github.com/goproactor/goproactor/internal/sockets"
)

// Unconnected makes a connection that is not connected yet, and the step of a
// chain that connects it (connect(2)): a request to a new peer is one chain of
// connect, SendStep and RecvStep. The network is "tcp", "tcp4" or "tcp6" with a
// numeric IP address and port, "unix" or "unixpacket" with a path; for host names use
// Dial. Until the step has succeeded, the connection's operations fail with
// syscall.ENOTCONN. The caller must Close a connection that it does not use.
//
// Errors are *net.OpError with Op "dial".
func (rt *Runtime) Unconnected(network, address string) (*Conn, Step, error) {
	if rt.isClosing() {
		return nil, Step{}, &net.OpError{Op: "dial", Net: network, Err: errShutdownDone}
	}
	fd, to, err := sockets.Unconnected(network, address)
	if err != nil {
		return nil, Step{}, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	c, err := rt.someLoop().take(fd, network, true, nil)
	if err != nil {
		return nil, Step{}, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return c, c.connectStep(to), nil
}

func (c *Conn) connectStep(to *sockets.Address) Step {
	return Step{conn: c, action: stepConnects, remote: to}
}
