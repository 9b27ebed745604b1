package proactor

import (
	"fmt"
	"syscall"

	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// Tracer is told of each operation that the loops of a runtime hand to their queues, see
// WithTracer. An operation is an entry of io_uring, or what stands for it on epoll:
// several Sends that go out together are one, a multishot receive is one of which many
// completions come. The loops' own are among them, such as the read by which other
// goroutines wake a loop.
//
// Both methods run on the loop's thread, in the path of each operation: they must not
// block, wait, or use the connection. They are called by one loop at a time for what
// belongs to it, and by several loops at once. A panic is logged, and costs nothing else.
type Tracer interface {
	// Begin is told that an operation is about to be submitted.
	Begin(o *TracedOperation)

	// End is told of a completion of o. It is the last, unless r.More says that others
	// follow.
	End(o *TracedOperation, r TracedResult)
}

// TracedOperation is an operation as a Tracer sees it. It is the same in Begin and in
// each End, and belongs to the tracer until the last End returns: it is used again.
type TracedOperation struct {
	// Kind is what the operation does. Its String is the name that io_uring has for it,
	// such as IORING_OP_RECV, on epoll too: docs/operations.md has them all.
	Kind ring.Op

	// Subject is what the operation belongs to: a *Conn, *PacketConn, *Listener, *File or
	// *ChainFile; nil for a dial, a poll, what concerns names of files, and the loop's own.
	Subject any

	// Loop is the loop that it runs on.
	Loop *Loop

	// State is the tracer's own, nil in Begin: when it began, or a span. A pointer in it
	// costs no allocation.
	State any
}

// TracedResult is what came of an operation.
type TracedResult struct {
	Bytes int   // that were sent, received, read, written or moved; zero for other operations
	Err   error // a syscall.Errno, nil if there is none
	More  bool  // it is not the last completion
}

// WithTracer has t told of each operation. Without it tracing costs nothing: the path of
// an operation does not ask whether there is a tracer.
//
// A span for each operation is an example of Tracer.
func WithTracer(t Tracer) Option {
	return func(o *options) error {
		if t == nil {
			return fmt.Errorf("proactor: a tracer is wanted, got nil: %w", syscall.EINVAL)
		}
		o.tracer = t
		return nil
	}
}

// loopTracer tells a Tracer of what its loop does. It implements engine.Tracer.
type loopTracer struct {
	loop    *Loop
	tracer  Tracer
	records []*TracedOperation // by slot
}

// tracing is the loop's, nil if nobody wants to know.
func (l *Loop) tracing() engine.Tracer {
	if l.rt.options.tracer == nil {
		return nil
	}
	return &loopTracer{loop: l, tracer: l.rt.options.tracer}
}

// Submitted implements engine.Tracer.
func (t *loopTracer) Submitted(slot uint32, op engine.Operation, kind ring.Op) {
	for int(slot) >= len(t.records) {
		t.records = append(t.records, &TracedOperation{Loop: t.loop})
	}
	o := t.records[slot]
	o.Kind, o.Subject, o.State = kind, subjectOf(op), nil
	t.tracer.Begin(o)
}

// Completed implements engine.Tracer.
func (t *loopTracer) Completed(slot uint32, _ engine.Operation, result int32, flags uint32) {
	if int(slot) >= len(t.records) {
		return // submitted when the tracer panicked
	}
	o := t.records[slot]
	r := TracedResult{More: flags&ring.CQEFMore != 0}
	switch {
	case flags&ring.CQEFNotif != 0: // of a send without copying, whose result was there before
	case result < 0:
		r.Err = syscall.Errno(-result)
	case movesBytes(o.Kind):
		r.Bytes = int(result)
	}
	t.tracer.End(o, r)
	if !r.More {
		o.Subject, o.State = nil, nil // let go of them
	}
}

// movesBytes says that the result of such an operation is a number of bytes.
func movesBytes(kind ring.Op) bool {
	switch kind {
	case ring.OpReadv, ring.OpWritev, ring.OpReadFixed, ring.OpWriteFixed, ring.OpRead, ring.OpWrite, ring.OpReadMultishot,
		ring.OpSend, ring.OpRecv, ring.OpSendmsg, ring.OpRecvmsg, ring.OpSendZC, ring.OpSplice, ring.OpTee:
		return true
	}
	return false
}
