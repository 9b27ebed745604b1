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

// notice returns where to log a scarcity, nil without a logger or if it was logged
// within noticeEvery.
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

// noteNoBuffer counts a receive of h that found no buffer in p. It is armed again.
func (l *Loop) noteNoBuffer(p *engine.Pool, h holder) {
	l.counts.noBuffers++
	if !p.AtLimit() {
		return // usual where much comes at a time
	}
	if log := l.notice(buffersScarce); log != nil {
		log.Info("no receive buffer was free", append(attributesOf(h),
			"size", p.Size(), "allocated", p.Buffers(), "leased", p.Out(), "times", l.counts.noBuffers)...)
	}
}

// noteAcceptShortage counts an accept that failed for want of descriptors or memory, or was refused.
// The next try is after backoff.
func (l *Loop) noteAcceptShortage(ln *Listener, e syscall.Errno, backoff time.Duration) {
	l.counts.acceptShortages++
	if log := l.notice(descriptorsScarce); log != nil {
		log.Warn("accepting connections pauses", append(attributesOf(ln), "op", "accept", "err", e, "for", backoff, "times", l.counts.acceptShortages)...)
	}
}
