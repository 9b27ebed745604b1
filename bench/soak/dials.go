package soak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// deadEnds are addresses that no dial reaches. The sockets stay bound, so that nobody
// else gets their ports.
type deadEnds struct {
	refusing, full int        // sockets: one does not listen, the queue of the other is full
	waiting        []net.Conn // in that queue
	refuses, hangs string     // their addresses
	missing        string     // a path
}

func openDeadEnds(dir string) (d *deadEnds, err error) {
	d = &deadEnds{refusing: -1, full: -1, missing: filepath.Join(dir, "missing")}
	if d.refusing, d.refuses, err = bound(); err != nil {
		return d, err
	}
	if d.full, d.hangs, err = bound(); err != nil {
		return d, err
	}
	if err := unix.Listen(d.full, 0); err != nil {
		return d, os.NewSyscallError("listen", err)
	}
	for {
		c, err := net.DialTimeout("tcp", d.hangs, 200*time.Millisecond)
		if err != nil {
			return d, nil
		}
		d.waiting = append(d.waiting, c)
	}
}

// bound opens a socket with a port of its own.
func bound() (fd int, address string, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, "", os.NewSyscallError("socket", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fd, "", os.NewSyscallError("bind", err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return fd, "", os.NewSyscallError("getsockname", err)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port), nil
}

func (d *deadEnds) close() {
	for _, c := range d.waiting {
		c.Close()
	}
	for _, fd := range []int{d.refusing, d.full} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// failingDials has dials refused, run into a deadline, and canceled at several moments.
func (c *client) failingDials() error {
	dead, rt := c.world.soak.dead, c.life.rt
	soon, cancel := context.WithTimeout(c.ctx, time.Duration(1+c.random.IntN(5000))*time.Microsecond)
	defer cancel()
	over, end := context.WithCancel(c.ctx)
	end()
	for _, v := range []struct {
		ctx              context.Context
		network, address string
		want             error
	}{
		{c.ctx, "tcp", dead.refuses, syscall.ECONNREFUSED},
		{c.ctx, "unix", dead.missing, syscall.ENOENT},
		{over, "tcp", dead.hangs, context.Canceled},
		{soon, "tcp", dead.hangs, context.DeadlineExceeded},
	} {
		conn, err := rt.Dial(v.ctx, v.network, v.address).Await(c.ctx)
		if !errors.Is(err, v.want) {
			return unexpected(conn, err, v.want)
		}
	}
	return c.cancelDials()
}

func (c *client) cancelDials() error {
	_, err := c.life.rt.Go(c.ctx, func(ctx context.Context) error {
		f := c.life.rt.Dial(ctx, "tcp", c.world.soak.dead.hangs)
		if c.random.IntN(2) == 0 {
			futures.Yield(ctx) // it is under way
		}
		f.Cancel()
		if conn, err := f.Await(ctx); !errors.Is(err, context.Canceled) {
			return unexpected(conn, err, context.Canceled)
		}
		f = c.life.rt.Dial(ctx, "tcp", c.world.addresses["await"])
		f.Cancel()
		conn, err := f.Await(ctx)
		if err == nil { // it was faster
			return conn.Close()
		}
		if !errors.Is(err, context.Canceled) {
			return unexpected(conn, err, context.Canceled)
		}
		return nil
	}).Await(c.ctx)
	return err
}

func unexpected(conn *proactor.Conn, err, want error) error {
	if conn != nil {
		conn.Abort()
	}
	return fmt.Errorf("a dial ended with %w, expected %v", err, want)
}
