//go:build !linux

package main

import (
	"errors"
	"os"

	"github.com/goproactor/goproactor/proactor"
)

// action is what a signal asks for.
type action int

const (
	stop action = iota
	report
	restart
)

func whatToDo(os.Signal) action { return stop }

// watched are the signals that the program heeds.
func watched(bool) []os.Signal { return []os.Signal{os.Interrupt} }

func handOver(*proactor.Listener) (int, error) { return 0, errors.ErrUnsupported }

func listen(rt *proactor.Runtime, c config) (*proactor.Listener, predecessor, error) {
	ln, err := rt.Listen(c.network, c.addr)
	return ln, predecessor{}, err
}

// predecessor is the process that this one takes over from: none here.
type predecessor struct{}

func (predecessor) tell() {}
