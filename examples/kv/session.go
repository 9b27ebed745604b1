package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// batchLimit is from how many bytes of replies on a session sends them before it goes
// on with what the client has sent.
const batchLimit = 256 << 10

// keepArgs is how many arguments a session keeps memory for.
const keepArgs = 1 << 10

// session is a client: a task of its connection's loop.
type session struct {
	srv    *server
	conn   *proactor.Conn
	r      *proactor.Reader
	w      *proactor.Writer
	parser parser
	id     int64
	name   string
	closes bool // the connection is to end after the replies

	// Of the command that runs:
	command  *command
	one      *shard // that is locked, if it is one
	locked   uint64 // those that are locked, else
	dirty    bool   // it has changed something
	silent   bool   // and has told the journal itself
	recorded int64  // position in the journal behind that, 0 if there is none

	// Of a batch, the commands that are answered together:
	out      []byte
	produced int   // bytes of replies that the Writer has
	clock    int64 // milliseconds since 1970, 0 until somebody asked
	replays  bool  // the commands come from the journal
	holds    bool  // replies wait for the journal
	until    int64 // for this position in it
	writes   []heldReply

	subscriptions map[subscription]struct{}
}

// serve is the handler of a connection.
func (srv *server) serve(ctx context.Context, c *proactor.Conn) error {
	s := &session{
		srv: srv, conn: c, id: srv.clients.Add(1), holds: srv.journal != nil,
		r:      c.Reader(proactor.WithFrameLimit(srv.frameLimit + inlineLimit)),
		w:      c.Writer(),
		parser: parser{limit: srv.frameLimit},
	}
	defer s.unsubscribeAll()
	err := s.converse(ctx)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// converse answers the client's commands, all that are here at a time as one.
func (s *session) converse(ctx context.Context) error {
	need := 1
	for !s.closes {
		p, err := s.r.Peek(ctx, need)
		if err != nil {
			return err
		}
		if there := min(s.r.Buffered(), s.parser.limit+inlineLimit); there > len(p) {
			if p, err = s.r.Peek(ctx, there); err != nil {
				return err
			}
		}
		var used int
		used, need = s.batch(p)
		s.r.Discard(used)
		if err := s.send(ctx); err != nil {
			return err
		}
	}
	return nil
}

// batch runs the commands in p until the replies are to be sent. It returns how many
// bytes it has used, and how many there must be for the next command.
func (s *session) batch(p []byte) (used, need int) {
	s.clock, s.produced = 0, 0
	commands := int64(0)
	defer func() { s.srv.commands.Add(commands) }()
	for used < len(p) {
		args, n, need, err := s.parser.next(p[used:])
		switch {
		case err != nil:
			s.fail("ERR " + err.Error())
			s.closes = true
			return used, 0
		case n == 0:
			return used, need
		case len(args) == 0:
			used += n
			continue
		}
		c := s.srv.find(args[0])
		if c != nil && c.has(alone) && len(s.out) > 0 {
			return used, 1
		}
		used += n
		commands++
		s.begin()
		s.run(c, args)
		if s.closes || s.produced+len(s.out) > batchLimit || c != nil && c.has(alone) {
			return used, 1
		}
	}
	return used, 1
}

// begin sees that there is memory for a reply.
func (s *session) begin() {
	switch {
	case cap(s.out)-len(s.out) >= lowRoom:
	case s.holds:
	case s.out == nil:
		s.out = s.w.AvailableBuffer()
	default:
		s.spill()
	}
}

// send sends the replies, when the journal has what they tell. It waits for a client
// that does not take them.
func (s *session) send(ctx context.Context) error {
	if cap(s.parser.args) > keepArgs {
		s.parser.args = nil
	}
	if s.holds {
		if err := s.release(ctx); err != nil {
			return err
		}
	} else if s.out != nil {
		s.pass()
	}
	_, err := s.w.Queue().Await(ctx)
	return err
}

// now is the time in milliseconds since 1970. It is one for the whole batch.
func (s *session) now() int64 {
	if s.clock == 0 {
		s.clock = time.Now().UnixMilli()
	}
	return s.clock
}

// of is the shard of a key, which is locked.
func (s *session) of(key []byte) *shard {
	if s.one != nil {
		return s.one
	}
	return &s.srv.keys.shards[s.srv.keys.index(key)]
}

// find is the entry of a key to be read, nil if there is none.
func (s *session) find(key []byte) *entry {
	e := s.of(key).entries[string(key)]
	if e != nil && e.expires != 0 && s.isOver(e) {
		return nil
	}
	return e
}

// isOver reports whether the entry has expired. While the journal is replayed, none
// has: it says itself when they did.
func (s *session) isOver(e *entry) bool { return !s.replays && e.isOver(s.now()) }

// take is find for a key to be changed: one that has expired is gone.
func (s *session) take(key []byte) *entry {
	h := s.of(key)
	e := h.entries[string(key)]
	if e != nil && e.expires != 0 && s.isOver(e) {
		h.remove(e)
		s.journal(wordDel, key)
		return nil
	}
	return e
}

// make is take, with a new entry if there is none.
func (s *session) make(key []byte) *entry {
	if e := s.take(key); e != nil {
		return e
	}
	return s.of(key).add(key)
}

// remove removes an entry.
func (s *session) remove(key []byte, e *entry) {
	s.of(key).remove(e)
	s.dirty = true
}
