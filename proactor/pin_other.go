//go:build !linux

package proactor

import "errors"

// No runtime exists on this system, so none of this is reached.

func pinThread(int) error { return errors.ErrUnsupported }

// wakeup wakes a loop that waits.
type wakeup struct{}

func (*wakeup) open(*Loop) error { return errors.ErrUnsupported }
func (*wakeup) signal()          {}
func (*wakeup) close()           {}
