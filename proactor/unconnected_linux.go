package proactor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Unconnected makes a connection that is not connected yet, and the step of a
// chain that connects it (connect(2)): a request to somebody new is one chain of
// connect, SendStep and RecvStep. The network is "tcp", "tcp4" or "tcp6" with a
// numeric IP address and port, "unix" or "unixpacket" with a path; names are for
// Dial. Until the step has succeeded, the connection's operations fail with
// syscall.ENOTCONN. A connection that is not used is the caller's to Close.
//
// Errors are *net.OpError with Op "dial".
func (rt *Runtime) Unconnected(network, address string) (*Conn, Step, error) {
	fail := func(err error) (*Conn, Step, error) {
		return nil, Step{}, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	family, kind := unix.AF_UNIX, unix.SOCK_STREAM
	to := new(sockaddr)
	switch network {
	case "tcp", "tcp4", "tcp6":
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return fail(err)
		}
		if four := a.Addr().Unmap().Is4(); four && network == "tcp6" || !four && network == "tcp4" {
			return fail(&net.AddrError{Err: "the address is of another family", Addr: address})
		}
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		family = unix.AF_INET
		if a.Addr().Is6() {
			family = unix.AF_INET6
		}
		to.setIP(a, a.Addr().Is6())
	case "unixpacket":
		kind = unix.SOCK_SEQPACKET
		fallthrough
	case "unix":
		if address == "" || !to.setUnix(address) {
			return fail(fmt.Errorf("a path of %d bytes: %w", len(address), syscall.EINVAL))
		}
	default:
		return fail(net.UnknownNetworkError(network))
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(os.NewSyscallError("socket", err))
	}
	if family != unix.AF_UNIX {
		setOption(fd, noDelay)
	}
	c, err := rt.connOf(fd, network)
	if err != nil {
		return fail(err)
	}
	return c, c.connectStep(to), nil
}

func (c *Conn) connectStep(to *sockaddr) Step {
	return Step{
		conn:    c,
		sends:   true,
		prepare: func(sqe *ring.SQE, _ []StepResult) { sqe.PrepConnect(c.fd, to.bytes()) },
		failed:  func(e syscall.Errno) error { return c.opError("dial", os.NewSyscallError("connect", e)) },
	}
}
