package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// action is what a signal asks for.
type action int

const (
	stop action = iota
	report
	restart
)

func whatToDo(s os.Signal) action {
	switch s {
	case syscall.SIGUSR1:
		return report
	case syscall.SIGUSR2:
		return restart
	}
	return stop
}

// watched are the signals that the program heeds.
func watched(restarts bool) []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1}
	if restarts {
		signals = append(signals, syscall.SIGUSR2)
	}
	return signals
}

// The names of what a process hands over to its successor (sd_listen_fds(3)).
const (
	socketName = "proxy" // each of the listening sockets
	readyName  = "ready" // the pipe that tells it that the successor serves
)

// startLimit is how long a successor may take until it serves.
const startLimit = 30 * time.Second

// errStopped is that of a restart during which a signal to stop came.
var errStopped = errors.New("a signal to stop came first")

// handOver starts the program anew with copies of the listening sockets, and returns
// when the new process serves. One that does not within startLimit, or before a signal to
// stop, is killed.
func handOver(ln *proactor.Listener, signals <-chan os.Signal) (pid int, err error) {
	files, err := ln.Files()
	if err != nil {
		return 0, err
	}
	ready, telling, err := os.Pipe()
	if err != nil {
		closeAll(files)
		return 0, err
	}
	defer ready.Close()
	cmd, err := successor(append(files, telling))
	if err == nil {
		err = cmd.Start()
	}
	closeAll(append(files, telling))
	if err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid
	if err := untilReady(ready, signals); err != nil {
		cmd.Process.Kill()
		return 0, fmt.Errorf("process %d does not serve: %w", pid, errors.Join(cmd.Wait(), err))
	}
	return pid, cmd.Process.Release()
}

// untilReady waits for the byte that tells that the successor serves. It ends with io.EOF if
// the successor closes the pipe, or ends, before. Other signals than one to stop are for
// the process that serves, which is not decided yet: they are dropped.
func untilReady(ready *os.File, signals <-chan os.Signal) error {
	told := make(chan error, 1)
	go func() {
		_, err := ready.Read(make([]byte, 1))
		told <- err
	}()
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	for {
		select {
		case err := <-told:
			return err
		case <-limit.C:
			return fmt.Errorf("not within %v: %w", startLimit, os.ErrDeadlineExceeded)
		case s := <-signals:
			if whatToDo(s) == stop {
				return errStopped
			}
		}
	}
}

// successor is the program as it is now where this process was started from, with the
// same arguments. The last file is the pipe.
func successor(files []*os.File) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program = strings.TrimSuffix(program, " (deleted)") // it was replaced since
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	names := strings.Repeat(socketName+":", len(files)-1) + readyName
	cmd.Env = append(os.Environ(), "LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+names)
	return cmd, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// listen takes over the sockets that the process was started with, by its predecessor
// or by a service manager, or opens some.
func listen(rt *proactor.Runtime, c config) (*proactor.Listener, predecessor, error) {
	opts := []proactor.ListenOption{proactor.WithMaxConnsPerAddress(c.perAddress), proactor.WithAcceptRate(c.acceptRate, 1+int(c.acceptRate))}
	activated, err := rt.Activation(opts...)
	if err != nil {
		return nil, predecessor{}, err
	}
	var p predecessor
	if pipes := activated.Conns[readyName]; len(pipes) > 0 {
		p.pipe = pipes[0]
	}
	for _, listeners := range activated.Listeners {
		listeners[0].SetUnlinkOnClose(p.pipe != nil) // the file of a service manager is its own
		return listeners[0], p, nil
	}
	ln, err := rt.Listen(c.network, c.addr, opts...)
	return ln, p, err
}

// predecessor is the process that this one takes over from, if there is one.
type predecessor struct{ pipe *proactor.Conn }

// tell tells it that this process serves.
func (p predecessor) tell() {
	if p.pipe != nil {
		p.pipe.SendBytes([]byte{1}).Await(context.Background())
		p.pipe.Close()
	}
}
