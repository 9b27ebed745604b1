package proactor

import (
	"encoding/binary"
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
	var raw []byte
	switch network {
	case "tcp", "tcp4", "tcp6":
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return fail(err)
		}
		if four := a.Addr().Unmap().Is4(); four && network == "tcp6" || !four && network == "tcp4" {
			return fail(&net.AddrError{Err: "the address is of another family", Addr: address})
		}
		family, raw = rawAddrPort(a)
	case "unixpacket":
		kind = unix.SOCK_SEQPACKET
		fallthrough
	case "unix":
		if address == "" || len(address) >= len(unix.RawSockaddrUnix{}.Path) {
			return fail(fmt.Errorf("a path of %d bytes: %w", len(address), syscall.EINVAL))
		}
		raw = rawUnixPath(address)
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
	return c, c.connectStep(raw), nil
}

func (c *Conn) connectStep(raw []byte) Step {
	return Step{
		conn:    c,
		sends:   true,
		prepare: func(sqe *ring.SQE, _ []StepResult) { sqe.PrepConnect(c.fd, raw) },
		failed:  func(e syscall.Errno) error { return c.opError("dial", os.NewSyscallError("connect", e)) },
	}
}

// rawAddrPort is struct sockaddr_in or sockaddr_in6.
func rawAddrPort(a netip.AddrPort) (family int, raw []byte) {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		raw = binary.NativeEndian.AppendUint16(raw, unix.AF_INET)
		raw = binary.BigEndian.AppendUint16(raw, a.Port())
		raw = append(raw, ip.AsSlice()...)
		return unix.AF_INET, append(raw, make([]byte, 8)...)
	}
	raw = binary.NativeEndian.AppendUint16(raw, unix.AF_INET6)
	raw = binary.BigEndian.AppendUint16(raw, a.Port())
	raw = append(raw, 0, 0, 0, 0) // flow
	raw = append(raw, ip.AsSlice()...)
	scope := 0
	if i, err := net.InterfaceByName(ip.Zone()); err == nil {
		scope = i.Index
	}
	return unix.AF_INET6, binary.NativeEndian.AppendUint32(raw, uint32(scope))
}

// rawUnixPath is struct sockaddr_un. An abstract name begins with a zero byte
// and ends with the address.
func rawUnixPath(path string) []byte {
	raw := append(binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX), path...)
	if path[0] == '@' {
		raw[2] = 0
		return raw
	}
	return append(raw, 0)
}
