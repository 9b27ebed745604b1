//go:build !linux

package engine

import (
	"errors"
	"time"

	"github.com/goproactor/goproactor/internal/queuehook"
)

// wakeup wakes a loop that waits.
type wakeup struct{}

func (*wakeup) open(*Loop, queuehook.Waker) error { return errors.ErrUnsupported }
func (*wakeup) inFlight() int                     { return 0 }
func (*wakeup) wait(time.Duration)                {}
func (*wakeup) signal()                           {}
func (*wakeup) close()                            {}
