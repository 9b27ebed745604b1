//go:build !linux

package proactor

import (
	"errors"
	"os"
	"syscall"
)

// FileConn exists on Linux only.
func (rt *Runtime) FileConn(*os.File) (*Conn, error) { return nil, errors.ErrUnsupported }

// Pipe exists on Linux only.
func (rt *Runtime) Pipe() (r, w *Conn, err error) { return nil, nil, errors.ErrUnsupported }

// SocketPair exists on Linux only.
func (rt *Runtime) SocketPair(string) (one, other *Conn, err error) {
	return nil, nil, errors.ErrUnsupported
}

// Credentials are who a process was when it connected or listened.
type Credentials struct {
	PID int
	UID int
	GID int
}

// PeerCredentials exists on Linux only.
func (c *Conn) PeerCredentials() (Credentials, error) { return Credentials{}, errors.ErrUnsupported }

func duplicate(syscall.Conn) (int, error) { return -1, errors.ErrUnsupported }
func duplicateNumber(int) (int, error)    { return -1, errors.ErrUnsupported }
func encodeRights([]int) []byte           { return nil }
func decodeRights([]byte) []int           { return nil }
func rightsSpace(int) int                 { return 0 }
