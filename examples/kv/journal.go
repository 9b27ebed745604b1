package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/tidwall/redcon"
)

// retryAfter is how long a journal that could not be written waits before it tries
// again.
const retryAfter = 200 * time.Millisecond

// keepPending is how much memory a journal keeps for what is to be written.
const keepPending = 1 << 20

var wordDel = []byte("DEL")

// errNotWritten is what those learn whose change could not be written.
var errNotWritten = errors.New("the journal could not be written")

// journal is a file of all commands that have changed something, as the client sent
// them or would have. What comes while a write is under way goes out with the next:
// one write and one sync, linked, for all of it (group commit).
type journal struct {
	rt      *proactor.Runtime
	file    *proactor.File
	durable atomic.Int64 // position up to which all is on the disk
	cause   atomic.Pointer[error]

	mu      sync.Mutex
	end     int64  // position behind the last command
	pending *group // is being filled
	writing *group // is being written, nil if none is
	spare   []byte
}

// group is the commands that are written together.
type group struct {
	data []byte
	end  int64                      // position behind them
	done *futures.Promise[struct{}] // they are on the disk, or could not be written
}

// heldReply is the reply to a change that the journal may not have yet.
type heldReply struct {
	begin, end int   // in the batch's replies
	position   int64 // behind the change
}

func newGroup(memory []byte) *group {
	return &group{data: memory[:0], done: futures.NewPromise[struct{}]()}
}

// append adds a command, and returns the position behind it. It does not wait. Any
// goroutine may call it.
func (j *journal) append(args ...[]byte) int64 {
	if j == nil { // it is being replayed
		return 0
	}
	j.mu.Lock()
	g := j.pending
	before := len(g.data)
	g.data = redcon.AppendArray(g.data, len(args))
	for _, a := range args {
		g.data = redcon.AppendBulk(g.data, a)
	}
	j.end += int64(len(g.data) - before)
	g.end = j.end
	end, first := j.end, before == 0 && j.writing == nil
	j.mu.Unlock()
	if first {
		j.file.Loop().Do(j.write)
	}
	return end
}

// wait waits until everything up to the position is on the disk. The error is
// errNotWritten, or that of ctx.
func (j *journal) wait(ctx context.Context, position int64) error {
	for j.durable.Load() < position {
		j.mu.Lock()
		g := j.writing
		if g == nil || g.end < position {
			g = j.pending
		}
		over, done := g.end < position, g.done.Future()
		j.mu.Unlock()
		if over { // it was written meanwhile
			continue
		}
		if _, err := done.Await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// isBroken reports whether the last write has failed.
func (j *journal) isBroken() bool { return j != nil && j.cause.Load() != nil }

// write writes what is pending, unless a write is under way. It runs on the file's
// loop.
func (j *journal) write() {
	j.mu.Lock()
	if j.writing != nil || len(j.pending.data) == 0 {
		j.mu.Unlock()
		return
	}
	g := j.pending
	j.writing, j.pending, j.spare = g, newGroup(j.spare), nil
	j.mu.Unlock()
	j.commit(g)
}

// commit writes a group and syncs the file, as one chain.
func (j *journal) commit(g *group) {
	j.rt.Chain(j.file.WriteNextStep(g.data), j.file.SyncDataStep()).Then(func(_ []proactor.StepResult, err error) {
		if err != nil {
			j.failed(g, err)
			return
		}
		j.written(g)
	})
}

// written tells those who wait that the group is on the disk.
func (j *journal) written(g *group) {
	j.durable.Store(g.end)
	j.cause.Store(nil)
	j.mu.Lock()
	j.writing = nil
	if cap(g.data) <= keepPending {
		j.spare = g.data[:0]
	}
	j.mu.Unlock()
	g.done.Resolve(struct{}{})
	j.write()
}

// failed tells those who wait that the group is not on the disk, nor what comes behind it,
// and tries again later: all of that is in the keyspace, and what follows builds on it.
func (j *journal) failed(g *group, err error) {
	j.cause.Store(&err)
	next := newGroup(nil)
	next.data, next.end = g.data, g.end
	j.mu.Lock()
	j.writing = next
	behind := j.pending.done
	j.pending.done = futures.NewPromise[struct{}]()
	j.mu.Unlock()
	g.done.Fail(errNotWritten)
	behind.Fail(errNotWritten)
	j.file.Loop().AfterFunc(retryAfter, func() { j.retry(next) })
}

// retry writes a group again, behind what is on the disk for sure.
func (j *journal) retry(g *group) {
	j.file.Truncate(j.durable.Load()).Then(func(_ struct{}, err error) {
		if err != nil {
			j.failed(g, err)
			return
		}
		j.commit(g)
	})
}

// misconfigured is the error of a change that is refused, or could not be written.
func (j *journal) misconfigured() string {
	why := error(errNotWritten)
	if cause := j.cause.Load(); cause != nil {
		why = *cause
		if p := (*fs.PathError)(nil); errors.As(why, &p) {
			why = p.Err
		}
	}
	return fmt.Sprintf("MISCONF Errors writing to the AOF file: %v", why)
}

// release waits until the journal has what the replies tell, and then gives them to the
// Writer.
func (s *session) release(ctx context.Context) error {
	// While it cannot be written, what was read is answered all the same.
	if j := s.srv.journal; s.until > j.durable.Load() && (len(s.writes) > 0 || !j.isBroken()) {
		switch err := j.wait(ctx, s.until); {
		case errors.Is(err, errNotWritten):
			s.refuse()
		case err != nil:
			return err
		}
	}
	s.w.Write(s.out)
	s.out, s.writes, s.until = s.out[:0], s.writes[:0], 0
	if cap(s.out) > batchLimit {
		s.out = nil
	}
	return nil
}

// refuse puts an error in the place of each reply to a change that is not on the disk.
func (s *session) refuse() {
	j := s.srv.journal
	durable, message := j.durable.Load(), j.misconfigured()
	var out []byte
	at := 0
	for _, w := range s.writes {
		if w.position > durable {
			out = redcon.AppendError(append(out, s.out[at:w.begin]...), message)
			at = w.end
		}
	}
	s.out = append(out, s.out[at:]...)
}

// openJournal replays the file, and goes on behind its last command.
func (srv *server) openJournal(ctx context.Context, name string) error {
	file, err := srv.rt.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666).Await(ctx)
	if err != nil {
		return err
	}
	info, err := file.Stat().Await(ctx)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "aof", Path: name, Err: errors.New("not a regular file")}
	}
	if err := lockFile(ctx, srv.rt, file); err != nil {
		return err
	}
	r := srv.newReplay(file)
	if err := r.run(ctx); err != nil {
		return err
	}
	if srv.notice, err = r.cut(ctx, srv.rt); err != nil {
		return err
	}
	srv.journal = &journal{rt: srv.rt, file: file, end: r.end, pending: newGroup(nil)}
	srv.journal.durable.Store(r.end)
	return nil
}
