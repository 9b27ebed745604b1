package sockets

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// JoinListeners makes one listener of listeners of package net that have sockets of the
// same address. An Accept takes a connection from whichever has one; none is accepted
// before there is an Accept for it. Closing the result closes all; if JoinListeners fails
// they stay open.
//
// SetDeadline is there as with package net.
func JoinListeners(all []net.Listener) (net.Listener, error) {
	if len(all) == 1 {
		return all[0], nil
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	for i, ln := range all {
		if err := watch(epoll, ln, i); err != nil {
			unix.Close(epoll)
			return nil, err
		}
	}
	unix.SetNonblock(epoll, true) // for a file that the Go runtime waits for
	s := &listeners{all: all, readiness: os.NewFile(uintptr(epoll), "listeners")}
	s.raw, err = s.readiness.SyscallConn()
	if err != nil {
		s.readiness.Close()
		return nil, err
	}
	return s, nil
}

// watch registers a listener under a number.
func watch(epoll int, ln net.Listener, number int) error {
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(number)}
		failure = os.NewSyscallError("epoll_ctl", unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(fd), &event))
	})
	return errors.Join(err, failure)
}

// listeners is several listeners as one.
type listeners struct {
	all       []net.Listener
	readiness *os.File // the epoll instance that watches them
	raw       syscall.RawConn
}

// takenElsewhere is how long an Accept waits on the listener that was ready. If another
// process, or another Accept, was faster, it looks again which is.
const takenElsewhere = 10 * time.Millisecond

// Accept implements net.Listener.
func (s *listeners) Accept() (net.Conn, error) {
	for {
		number, err := s.ready()
		if err != nil {
			return nil, &net.OpError{Op: "accept", Net: s.Addr().Network(), Addr: s.Addr(), Err: err}
		}
		ln := s.all[number]
		ln.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(takenElsewhere))
		if conn, err := ln.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
	}
}

// ready waits until somebody has connected to one, and returns its number.
func (s *listeners) ready() (number int, err error) {
	var events [1]unix.EpollEvent
	var failure error
	err = s.raw.Read(func(epoll uintptr) bool {
		var n int
		for n, failure = unix.EpollWait(int(epoll), events[:], 0); failure == unix.EINTR; {
			n, failure = unix.EpollWait(int(epoll), events[:], 0)
		}
		return n > 0 || failure != nil
	})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, os.ErrDeadlineExceeded // by itself, as from package net
	case err != nil:
		return 0, net.ErrClosed // package os has two errors for that, one of them internal
	case failure != nil:
		return 0, os.NewSyscallError("epoll_wait", failure)
	}
	return int(events[0].Fd), nil
}

// SetDeadline makes Accepts at t or later fail with os.ErrDeadlineExceeded.
func (s *listeners) SetDeadline(t time.Time) error { return s.readiness.SetReadDeadline(t) }

// Addr implements net.Listener.
func (s *listeners) Addr() net.Addr { return s.all[0].Addr() }

// Close implements net.Listener.
func (s *listeners) Close() error {
	err := s.readiness.Close()
	for _, ln := range s.all {
		err = errors.Join(err, ln.Close())
	}
	return err
}
