package proactor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	acceptFlags  = unix.SOCK_CLOEXEC
	shutdownRead = unix.SHUT_RD
	shutdownBoth = unix.SHUT_RDWR
)

// listenSockets opens n listening sockets on one address, or a single one
// where the network cannot share it. They are blocking: a ring waits inside
// the kernel, and the fallback sets what it needs itself.
func listenSockets(network, address string, n, backlog int) (fds []int, addr net.Addr, err error) {
	defer func() {
		if err != nil {
			closeAll(fds)
			fds = nil
		}
	}()
	switch network {
	case "tcp", "tcp4", "tcp6":
		a, err := net.ResolveTCPAddr(network, address)
		if err != nil {
			return nil, nil, listenError(network, nil, err)
		}
		for i := range n {
			fd, bound, err := listenTCP(network, a, backlog, i > 0)
			if err != nil {
				return fds, nil, listenError(network, a, err)
			}
			fds = append(fds, fd)
			a = bound // port 0 is decided by the first
		}
		return fds, a, nil
	case "unix", "unixpacket":
		a := &net.UnixAddr{Name: address, Net: network}
		fd, err := listenUnix(a, backlog)
		if err != nil {
			return nil, nil, listenError(network, a, err)
		}
		return []int{fd}, a, nil
	}
	return nil, nil, listenError(network, nil, net.UnknownNetworkError(network))
}

func listenError(network string, addr net.Addr, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return err
	}
	return &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
}

// listenTCP opens one listening socket; shared says that others of ours listen
// on the address.
//
// Sockets share a port when each has SO_REUSEPORT, of whatever process of the
// user they are. The first one binds without, so that a port that somebody else
// listens on is taken, and gets it then.
func listenTCP(network string, a *net.TCPAddr, backlog int, shared bool) (fd int, bound *net.TCPAddr, err error) {
	family, sa, dual := tcpSockaddr(network, a)
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err == unix.EAFNOSUPPORT && dual {
		// No IPv6 here: the wildcard is IPv4's.
		family, sa, dual = unix.AF_INET, bindAddress(unix.AF_INET, &net.TCPAddr{Port: a.Port}), false
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	}
	if err != nil {
		return -1, nil, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if family == unix.AF_INET6 {
		only := 1
		if dual {
			only = 0
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return fd, nil, os.NewSyscallError("setsockopt IPV6_V6ONLY", err)
		}
	}
	if shared {
		err = setOption(fd, reusePort)
	}
	// Accepted sockets inherit these, which saves a call a connection.
	for _, o := range []socketOption{reuseAddress, noDelay, keepAlive} {
		if err == nil {
			err = setOption(fd, o)
		}
	}
	if err != nil {
		return fd, nil, err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fd, nil, os.NewSyscallError("bind", err)
	}
	if err := setOption(fd, reusePort); err != nil {
		return fd, nil, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return fd, nil, os.NewSyscallError("listen", err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return fd, nil, os.NewSyscallError("getsockname", err)
	}
	return fd, netAddr(local, "tcp").(*net.TCPAddr), nil
}

// socketOption is an option to be switched on.
type socketOption struct {
	name          string
	level, option int
}

var (
	reuseAddress = socketOption{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR}
	reusePort    = socketOption{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT}
	noDelay      = socketOption{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY}
	keepAlive    = socketOption{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE}
)

func setOption(fd int, o socketOption) error {
	return os.NewSyscallError("setsockopt "+o.name, unix.SetsockoptInt(fd, o.level, o.option, 1))
}

// tcpSockaddr decides family and address; dual says that one IPv6 socket is to
// take IPv4 too.
func tcpSockaddr(network string, a *net.TCPAddr) (family int, sa unix.Sockaddr, dual bool) {
	if a.IP.To4() != nil || network == "tcp4" {
		return unix.AF_INET, bindAddress(unix.AF_INET, a), false
	}
	return unix.AF_INET6, bindAddress(unix.AF_INET6, a), network == "tcp" && (a.IP == nil || a.IP.IsUnspecified())
}

// bindAddress is an address of a socket of that family, its wildcard if a has
// none.
func bindAddress(family int, a *net.TCPAddr) unix.Sockaddr {
	if family == unix.AF_INET {
		sa := &unix.SockaddrInet4{Port: a.Port}
		copy(sa.Addr[:], a.IP.To4())
		return sa
	}
	sa := &unix.SockaddrInet6{Port: a.Port, ZoneId: zoneIndex(a.Zone)}
	copy(sa.Addr[:], a.IP.To16())
	return sa
}

func listenUnix(a *net.UnixAddr, backlog int) (fd int, err error) {
	kind := unix.SOCK_STREAM
	if a.Net == "unixpacket" {
		kind = unix.SOCK_SEQPACKET
	}
	fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: a.Name}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

func socketAddresses(fd int, network string) *addresses {
	a := new(addresses)
	if sa, err := unix.Getsockname(fd); err == nil {
		a.local = netAddr(sa, network)
	}
	if sa, err := unix.Getpeername(fd); err == nil {
		a.remote = netAddr(sa, network)
	}
	if mediumOf(network) == file {
		a.local, a.remote = fileAddr(network), fileAddr(network)
	}
	return a
}

func netAddr(sa unix.Sockaddr, network string) net.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: append(net.IP(nil), sa.Addr[:]...), Port: sa.Port}
	case *unix.SockaddrInet6:
		a := &net.TCPAddr{IP: append(net.IP(nil), sa.Addr[:]...), Port: sa.Port}
		if sa.ZoneId != 0 {
			a.Zone = fmt.Sprint(sa.ZoneId)
			if i, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				a.Zone = i.Name
			}
		}
		return a
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: network}
	}
	return nil
}

// removeSocketFile removes what binding made, unless the name is abstract.
func removeSocketFile(path string) {
	if path != "" && path[0] != '@' && path[0] != 0 {
		os.Remove(path)
	}
}

func closeSocket(fd int) { unix.Close(fd) }

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// reset makes the peer of a TCP connection see a reset, at once. Closing with a
// linger of zero would do that too, but the operations in flight end at a
// shutdown only, and that says goodbye with a FIN. Connecting to no address
// ends both (connect(2), AF_UNSPEC). A unix socket has no reset, and refuses.
func reset(fd int) {
	nowhere := unix.RawSockaddrAny{Addr: unix.RawSockaddr{Family: unix.AF_UNSPEC}}
	unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), unix.SizeofSockaddrInet4)
}

// pinThread binds the calling thread to the i-th processor that it may use,
// counting round.
func pinThread(i int) error {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	i %= max(1, allowed.Count())
	for cpu := range len(allowed) * 64 {
		if !allowed.IsSet(cpu) {
			continue
		}
		if i--; i >= 0 {
			continue
		}
		var one unix.CPUSet
		one.Set(cpu)
		return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &one))
	}
	return fmt.Errorf("pin: no processor of %d allowed: %w", runtime.NumCPU(), syscall.EINVAL)
}

// messagesEnded reports whether a receive of nothing from a SOCK_SEQPACKET socket
// was the end. recv(2) says 0 for an empty message too, and recvmsg(2) has no flag
// that tells. So it asks whether the peer sends no more, and whether bytes are still
// queued: the end comes behind them. What is left in doubt are empty messages with
// nothing but the end behind them; they are taken for the end.
func messagesEnded(fd int) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for {
		if _, err := unix.Poll(poll, 0); err != unix.EINTR {
			break
		}
	}
	if poll[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) == 0 {
		return false
	}
	queued, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return err != nil || queued == 0
}
