package proactortest

import (
	"fmt"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// LeftoversOf is what the end of a test would name now.
func LeftoversOf(rt *proactor.Runtime) string { return fmt.Sprint(leftovers(rt.Stats().Total())) }

// CheckProcessWithin is CheckProcess that waits no longer than that for what ends.
func CheckProcessWithin(t testing.TB, patience time.Duration) { checkProcess(t, patience) }
