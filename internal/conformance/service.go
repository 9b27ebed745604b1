package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

// service is a program that a suite's tests need beside it.
type service struct {
	cmd *exec.Cmd
	end syscall.Signal
}

// startService starts a program and waits until it listens at an address of this machine.
func startService(ctx context.Context, cmd *exec.Cmd, end syscall.Signal, address string) (*service, error) {
	log, err := os.CreateTemp(cmd.Dir, "log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &service{cmd, end}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for tick := time.Tick(50 * time.Millisecond); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return s, nil
		}
		select {
		case <-tick:
		case <-ctx.Done():
			s.stop()
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s does not listen at %s: %w\n%s", cmd.Path, address, err, text)
		}
	}
}

func (s *service) stop() {
	s.cmd.Process.Signal(s.end)
	s.cmd.Wait()
}

// freePort is a port that nobody listens at.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port), nil
}

// ordinary is what has a program run as an ordinary user, and that user's folder: the
// caller's, or nobody's for root, as whom some programs do not run.
func ordinary(pattern string) (dir string, attributes *syscall.SysProcAttr, err error) {
	if dir, err = os.MkdirTemp("", pattern); err != nil || os.Getuid() != 0 {
		return dir, nil, err
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return dir, nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	attributes = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return dir, attributes, os.Chown(dir, uid, gid)
}
