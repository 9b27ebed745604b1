package proactor

import (
	"log/slog"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/engine"
)

// scarcity is what a loop can run short of.
type scarcity uint8

const (
	memoryScarce scarcity = iota
	buffersScarce
	descriptorsScarce
	scarcities
)

// noticeEvery is how often a loop logs one scarcity at most.
const noticeEvery = time.Second

// notice returns where to log a scarcity, nil if it was logged just now, or if
// nobody wants to know.
func (l *Loop) notice(of scarcity) *slog.Logger {
	log := l.rt.options.logger
	now := l.engine.Now()
	last := &l.noticed[of]
	if log == nil || *last != 0 && now-*last < noticeEvery {
		return nil
	}
	*last = now
	return log.With("loop", l.index())
}

// ranDry counts a receive of h that found no buffer in p. It is armed again.
func (l *Loop) ranDry(p *engine.Pool, h holder) {
	l.counts.noBuffers++
	if log := l.notice(buffersScarce); log != nil {
		log.Info("no receive buffer was free", append(attributesOf(h),
			"size", p.Size(), "allocated", p.Buffers(), "leased", p.Out(), "times", l.counts.noBuffers)...)
	}
}

// ranShort counts an accept that failed for want of descriptors or memory. It rests.
func (l *Loop) ranShort(ln *Listener, e syscall.Errno, rest time.Duration) {
	l.counts.acceptShortages++
	if log := l.notice(descriptorsScarce); log != nil {
		log.Warn("accepting connections rests", append(attributesOf(ln), "op", "accept", "err", e, "rest", rest, "times", l.counts.acceptShortages)...)
	}
}
