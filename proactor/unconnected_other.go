//go:build !linux

package proactor

import "errors"

// Unconnected exists on Linux only.
func (rt *Runtime) Unconnected(network, address string) (*Conn, Step, error) {
	return nil, Step{}, errors.ErrUnsupported
}
