//go:build !linux

package faultqueue

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

// There is no queue to put another one above.

func kindOf(int, bool) Kind { return Other }

func (*entry) expect(*queueabi.Entry) {}

func (*entry) discard(ring.CQE) {}
