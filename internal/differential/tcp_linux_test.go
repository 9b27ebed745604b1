package differential

import (
	"encoding/binary"
	"fmt"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func tcpSocket() (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// listen listens on a free port of loopback and returns its raw address.
func listen() (fd int, address []byte, err error) {
	if fd, err = bound(); err != nil {
		return closed, nil, err
	}
	if err = unix.Listen(fd, 64); err != nil {
		unix.Close(fd)
		return closed, nil, err
	}
	return fd, rawAddress(fd), nil
}

func bound() (fd int, err error) {
	if fd, err = tcpSocket(); err != nil {
		return closed, err
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		unix.Close(fd)
		return closed, err
	}
	return fd, nil
}

// rawAddress is the struct sockaddr_in that fd is bound to.
func rawAddress(fd int) []byte {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return make([]byte, unix.SizeofSockaddrInet4)
	}
	in := sa.(*unix.SockaddrInet4)
	b := make([]byte, unix.SizeofSockaddrInet4)
	binary.NativeEndian.PutUint16(b, unix.AF_INET)
	binary.BigEndian.PutUint16(b[2:], uint16(in.Port))
	copy(b[4:], in.Addr[:])
	return b
}

func addressString(sa unix.Sockaddr) string {
	if in, ok := sa.(*unix.SockaddrInet4); ok {
		return fmt.Sprintf("%v:%d", in.Addr, in.Port)
	}
	return ""
}

// connectWithin connects a non-blocking socket and waits until it is done.
func connectWithin(fd int, address []byte) error {
	in := &unix.SockaddrInet4{Port: int(binary.BigEndian.Uint16(address[2:])), Addr: [4]byte(address[4:8])}
	if err := unix.Connect(fd, in); err != unix.EINPROGRESS {
		return err
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		if n, _ := unix.Poll(poll, 100); n > 0 {
			break
		}
	}
	pending, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && pending != 0 {
		err = syscall.Errno(pending)
	}
	return err
}

// gateway is the listener through which pairs are made; refused is bound and
// does not listen. Both live as long as the process.
var gateway = sync.OnceValues(func() (fd int, err error) {
	fd, gatewayAddress, err = listen()
	return fd, err
})

var gatewayAddress []byte

var refusedAddress = sync.OnceValue(func() []byte {
	fd, err := bound()
	if err != nil {
		return make([]byte, unix.SizeofSockaddrInet4)
	}
	return rawAddress(fd)
})

var gatewayMutex sync.Mutex

func (w *world) tcpPair(e *endpoint) error {
	gatewayMutex.Lock()
	defer gatewayMutex.Unlock()
	listener, err := gateway()
	if err != nil {
		return err
	}
	if e.peer, err = tcpSocket(); err != nil {
		e.peer = closed
		return err
	}
	unix.SetNonblock(e.peer, true)
	if err = connectWithin(e.peer, gatewayAddress); err != nil {
		return err
	}
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	e.ours = fd
	return nil
}

// abort closes, a TCP connection with a reset: nothing of it lingers.
func abort(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

const (
	tcpFinWait1  = 4
	tcpFinWait2  = 5
	tcpTimeWait  = 6
	tcpClose     = 7
	tcpCloseWait = 8
	tcpLastAck   = 9
	tcpClosing   = 11
)

// settlePair waits until each side has what the other sent. What the window
// holds back is not waited for.
func settlePair(a, b int) {
	for range 2000 {
		ia, errA := unix.GetsockoptTCPInfo(a, unix.IPPROTO_TCP, unix.TCP_INFO)
		ib, errB := unix.GetsockoptTCPInfo(b, unix.IPPROTO_TCP, unix.TCP_INFO)
		if errA != nil || errB != nil || arrived(ia, ib) && arrived(ib, ia) {
			return
		}
		unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

func arrived(from, to *unix.TCPInfo) bool {
	if to.State == tcpClose || from.State == tcpClose {
		return to.State == from.State // the reset, too
	}
	if to.Bytes_received < from.Bytes_sent-from.Bytes_retrans {
		return false
	}
	switch from.State {
	case tcpFinWait1, tcpFinWait2, tcpClosing, tcpLastAck, tcpTimeWait:
		switch to.State {
		case tcpCloseWait, tcpClosing, tcpLastAck, tcpTimeWait:
			return true
		}
		return false
	}
	return true
}

// gone waits until the end that is left has learned that the other closed.
func gone(fd int) {
	for range 2000 {
		i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		switch i.State {
		case tcpClose, tcpCloseWait, tcpClosing, tcpLastAck, tcpTimeWait:
			return
		}
		unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}
