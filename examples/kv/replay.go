package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/goproactor/goproactor/proactor"
	"github.com/tidwall/redcon"
)

// replayBlock is how much of the journal is read at a time.
const replayBlock = 1 << 20

// replay runs the commands of a journal.
type replay struct {
	session *session
	file    *proactor.File
	rest    []byte // what was read and not run
	end     int64  // where the last command ends
	need    int    // bytes of rest that the next one has at least
}

func (srv *server) newReplay(file *proactor.File) *replay {
	s := &session{srv: srv, holds: true, replays: true, parser: parser{limit: srv.frameLimit}}
	return &replay{session: s, file: file, need: 1}
}

// run runs all whole commands. What is left in rest then is one of which only a part
// was written, because the server was killed.
func (r *replay) run(ctx context.Context) error {
	for {
		have := len(r.rest)
		r.rest = slices.Grow(r.rest, replayBlock)
		n, err := r.file.ReadAt(r.rest[have:have+replayBlock], r.end+int64(have)).Await(ctx)
		r.rest = r.rest[:have+n]
		if err != nil && err != io.EOF {
			return err
		}
		done, invalid := r.commands()
		r.end += int64(done)
		r.rest = r.rest[:copy(r.rest, r.rest[done:])]
		switch {
		case invalid != nil && !r.isBlank():
			return &fs.PathError{Op: "aof", Path: r.file.Name(), Err: fmt.Errorf("at offset %d: %w: cut the file there, or restore it", r.end, invalid)}
		case invalid != nil || err == io.EOF:
			return nil
		}
	}
}

// commands runs the whole commands in rest, and returns how many bytes they have.
func (r *replay) commands() (done int, err error) {
	for len(r.rest)-done >= r.need {
		args, used, need, err := r.session.parser.next(r.rest[done:])
		if err != nil {
			return done, err
		}
		if r.need = need; used == 0 {
			continue
		}
		r.need = 1
		if err := r.session.again(args); err != nil {
			return done, err
		}
		done += used
	}
	return done, nil
}

// isBlank reports whether rest begins with zeros, as where the machine has failed after
// the file was made longer and before its blocks were written.
func (r *replay) isBlank() bool {
	return len(bytes.TrimLeft(r.rest[:min(len(r.rest), replayBlock)], "\x00")) == 0
}

// again runs a command of the journal.
func (s *session) again(args [][]byte) error {
	if len(args) == 0 {
		return errors.New("a command without a name")
	}
	c := s.srv.find(args[0])
	if c == nil || !c.has(writes) {
		return fmt.Errorf("%q is no command of a journal", args[0][:min(len(args[0]), quoted)])
	}
	s.out, s.writes = s.out[:0], s.writes[:0]
	s.run(c, args)
	if len(s.out) > 0 && s.out[0] == redcon.Error {
		return fmt.Errorf("%s: %s", c.name, bytes.TrimSpace(s.out[1:]))
	}
	return nil
}

// cut ends the file behind the last whole command, and syncs it and its directory.
func (r *replay) cut(ctx context.Context, rt *proactor.Runtime) (notice string, err error) {
	if left := len(r.rest); left > 0 {
		notice = fmt.Sprintf("aof %s: cut off the last command, at offset %d, of which only %d bytes were written", r.file.Name(), r.end, left)
		if _, err := r.file.Truncate(r.end).Await(ctx); err != nil {
			return "", err
		}
	}
	if _, err := r.file.Sync().Await(ctx); err != nil {
		return "", err
	}
	dir, err := rt.Open(filepath.Dir(r.file.Name())).Await(ctx)
	if err != nil {
		return "", err
	}
	_, err = dir.Sync().Await(ctx)
	_, unclosed := dir.Close().Await(ctx)
	return notice, errors.Join(err, unclosed)
}
