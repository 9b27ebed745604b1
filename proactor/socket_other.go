//go:build !linux

package proactor

import (
	"errors"
	"net"
)

// No runtime exists on this system, so none of this is reached.

const (
	acceptFlags  = 0
	shutdownRead = 0
	shutdownBoth = 2
)

func listenSockets(string, string, int, int) ([]int, net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}

func dialSocket(net.Addr, net.Addr, *sockaddr) (int, error) { return -1, errors.ErrUnsupported }
func connectedToItself(int, net.Addr) bool                  { return false }

func socketAddresses(int, string) *addresses { return new(addresses) }
func closeSocket(int)                        {}
func messagesEnded(int) bool                 { return true }
func removeSocketFile(string)                {}
func closeAll([]int)                         {}
func reset(int)                              {}
func pinThread(int) error                    { return errors.ErrUnsupported }

// wakeup wakes a loop that waits.
type wakeup struct{}

func (*wakeup) open(*Loop) error { return errors.ErrUnsupported }
func (*wakeup) signal()          {}
func (*wakeup) close()           {}
