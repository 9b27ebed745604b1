//go:build !linux

package engine

import (
	"errors"
	"time"
)

// wakeup wakes a loop that waits.
type wakeup struct{}

func (*wakeup) open(*Loop) error   { return errors.ErrUnsupported }
func (*wakeup) inFlight() int      { return 0 }
func (*wakeup) wait(time.Duration) {}
func (*wakeup) signal()            {}
func (*wakeup) close()             {}
