package workload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/goproactor/goproactor/bench/load"
	"golang.org/x/sys/unix"
)

var _ = Register(Workload{
	Name:     "udp",
	About:    "UDP messages sent and received back, by so many sockets; 8 deep, 8 of them are on the way from each",
	Unit:     "messages",
	Cells:    []Cell{udpCell(64, 1, 1, 0), udpCell(64, 64, 1, 0), udpCell(64, 16, 8, 0), udpCell(1400, 32, 1, 0)},
	Custom:   udpCell,
	Messages: true,
	Drive:    driveUDP,
})

// The kernel drops what does not fit a socket's buffer, 208 KiB unless told
// otherwise (net.core.rmem_default), in which a small message counts as 768
// bytes. What the cells have on the way at once fits.
func udpCell(size, conns, window, _ int) Cell {
	return Cell{Workload: "udp", Size: max(def(size, 64), udpStamp), Conns: def(conns, 64), Window: def(window, 1)}
}

const (
	udpStamp = 8 // a message begins with the time it was sent

	// A message that has not come back by then is taken for lost.
	udpLost = 200 * time.Millisecond
)

// udp is the state of a run.
type udp struct {
	job     load.Job
	meter   *load.Meter
	start   time.Time
	epoll   int
	sockets []int
	pending []int // messages on the way, by socket
	message []byte
	buffer  []byte
}

func driveUDP(job load.Job) (load.Result, error) {
	to, err := netip.ParseAddrPort(job.Addr)
	if err != nil {
		return load.Result{}, err
	}
	u := &udp{job: job, start: time.Now(), message: pattern(2 * max(job.Size, udpStamp))[:max(job.Size, udpStamp)], buffer: make([]byte, 64<<10)}
	u.meter = load.NewMeter(job, u.now)
	if u.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return load.Result{}, fmt.Errorf("epoll_create1: %w", err)
	}
	defer u.close()
	for range job.Conns {
		if err := u.open(to); err != nil {
			return load.Result{}, err
		}
	}
	u.meter.Running(u.now())
	for heard := u.now(); u.meter.Running(u.now()); {
		n, err := u.poll()
		switch {
		case err != nil:
			return load.Result{}, err
		case n > 0:
			heard = u.now()
		case u.now()-heard > udpLost: // all that is on the way: begin again
			clear(u.pending)
			heard = u.now()
		}
		if err := u.fill(); err != nil {
			return load.Result{}, err
		}
	}
	return u.meter.Result()
}

func (u *udp) now() time.Duration { return time.Since(u.start) }

func (u *udp) open(to netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	u.sockets, u.pending = append(u.sockets, fd), append(u.pending, 0)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return fmt.Errorf("connect %v: %w", to, err)
	}
	return unix.EpollCtl(u.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(u.sockets) - 1)})
}

func (u *udp) close() {
	unix.Close(u.epoll)
	for _, fd := range u.sockets {
		unix.Close(fd)
	}
}

// fill sends until each socket has its window on the way.
func (u *udp) fill() error {
	for i, fd := range u.sockets {
		for u.pending[i] < max(u.job.Window, 1) {
			binary.LittleEndian.PutUint64(u.message, uint64(u.now()))
			if _, err := unix.Write(fd, u.message); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			u.pending[i]++
		}
	}
	return nil
}

// poll takes what has come back; it waits for something, unless told to spin.
func (u *udp) poll() (messages int, err error) {
	var events [64]unix.EpollEvent
	wait := min(int(u.meter.Left(u.now())/time.Millisecond)+1, int(udpLost/time.Millisecond))
	if u.job.Spin {
		wait = 0
	}
	n, err := unix.EpollWait(u.epoll, events[:], wait)
	if err != nil && err != unix.EINTR {
		return 0, fmt.Errorf("epoll_wait: %w", err)
	}
	for _, e := range events[:max(n, 0)] {
		k, err := u.take(int(e.Fd))
		if err != nil {
			return messages, err
		}
		messages += k
	}
	return messages, nil
}

// take receives what one socket has.
func (u *udp) take(i int) (messages int, err error) {
	for u.pending[i] > 0 || messages == 0 {
		n, err := unix.Read(u.sockets[i], u.buffer)
		switch {
		case err == unix.EAGAIN:
			return messages, nil
		case err != nil:
			return messages, fmt.Errorf("receive: %w", err)
		case n != len(u.message), u.job.Check && !bytes.Equal(u.buffer[udpStamp:n], u.message[udpStamp:]):
			return messages, fmt.Errorf("a message of %d bytes differs from the %d sent", n, len(u.message))
		}
		messages++
		u.pending[i] = max(u.pending[i]-1, 0)
		u.meter.Answered(1)
		u.meter.Took(u.now() - time.Duration(binary.LittleEndian.Uint64(u.buffer)))
	}
	return messages, nil
}
