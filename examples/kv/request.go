package main

import (
	"bytes"
	"strings"

	"github.com/tidwall/redcon"
)

const (
	inlineLimit = 64 << 10 // bytes of a command that is written as a line
	headerLimit = 32       // bytes of a line that is a length
	argsLimit   = 1 << 20  // arguments of a command
)

// protocolError ends a connection after the client was told.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

const (
	errBulkLength      = protocolError("invalid bulk length")
	errMultibulkLength = protocolError("invalid multibulk length")
	errInlineTooBig    = protocolError("too big inline request")
	errFrameTooBig     = protocolError("too big request")
)

// parser finds the commands in what a client sends.
type parser struct {
	limit int // bytes of a command
	args  [][]byte
	frame frame
}

// next returns the arguments of the command that p begins with, which lie within p, and
// the number of its bytes. That is 0 if the command is not complete; need is then how
// many bytes p has to have before it can be.
func (r *parser) next(p []byte) (args [][]byte, used, need int, err error) {
	if r.frame.partial {
		if need, err := r.frame.advance(p, r.limit); need > 0 || err != nil {
			return nil, 0, need, err
		}
	}
	args, used, err = r.read(p)
	switch {
	case err != nil:
		return nil, 0, 0, err
	case used > 0:
		r.frame = frame{}
		return args, used, 0, nil
	case p[0] == redcon.Array:
		need, err = r.frame.advance(p, r.limit)
	case len(p) > inlineLimit:
		err = errInlineTooBig
	}
	return nil, 0, max(need, len(p)+1), err
}

// read has redcon read the command.
func (r *parser) read(p []byte) (args [][]byte, used int, err error) {
	// Lengths that are negative or overflow make ReadNextCommand index out of range.
	defer func() {
		if recover() != nil {
			args, used, err = nil, 0, errBulkLength
		}
	}()
	if p[0] == redcon.Bulk { // which redcon takes for another protocol
		return r.fields(p)
	}
	complete, args, _, rest, err := redcon.ReadNextCommand(p, r.args[:0])
	if err != nil {
		if n := negativeArray(p); n > 0 {
			return nil, n, nil
		}
		return nil, 0, protocolError(strings.TrimPrefix(err.Error(), "Protocol error: "))
	}
	if !complete {
		return nil, 0, nil
	}
	r.args = args
	return args, len(p) - len(rest), nil
}

// fields splits a line that begins with a dollar sign.
func (r *parser) fields(p []byte) ([][]byte, int, error) {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		return nil, 0, nil
	}
	return bytes.Fields(p[:end]), end + 1, nil
}

// negativeArray is the length of an array of fewer than no arguments, which Redis skips.
func negativeArray(p []byte) int {
	end := bytes.IndexByte(p[:min(len(p), headerLimit)], '\n')
	if end < 3 || p[0] != redcon.Array || p[1] != '-' {
		return 0
	}
	if _, ok := parseInt(p[1 : end-1]); !ok {
		return 0
	}
	return end + 1
}

// frame is how far an array that comes in pieces was looked through. It keeps the work
// for one of many arguments linear, and refuses one that is too big before it is here.
type frame struct {
	partial bool
	at      int // behind what was looked through; may be more than is here
	left    int // arguments that follow
}

// advance returns how many bytes p has to have before the array can be complete, and 0
// if it is, or is for redcon to refuse.
func (f *frame) advance(p []byte, limit int) (need int, err error) {
	for f.at <= len(p) {
		if f.partial && f.left == 0 {
			return 0, nil
		}
		end := bytes.IndexByte(p[f.at:], '\n')
		switch {
		case end < 0 && len(p)-f.at > headerLimit:
			return 0, f.tooLong()
		case end < 0:
			return len(p) + 1, nil
		case end < 2 || f.partial && p[f.at] != redcon.Bulk:
			return 0, nil
		}
		n, ok := parseInt(p[f.at+1 : f.at+end-1])
		f.at += end + 1
		switch {
		case !ok:
			return 0, f.tooLong()
		case !f.partial && n > argsLimit:
			return 0, errMultibulkLength
		case !f.partial:
			f.partial, f.left = true, int(max(n, 0))
		case n < 0 || n > int64(limit):
			return 0, errBulkLength
		default:
			f.at += int(n) + len("\r\n")
			f.left--
		}
		if f.at > limit {
			return 0, errFrameTooBig
		}
	}
	return f.at, nil
}

// tooLong is the error of a length that is none.
func (f *frame) tooLong() error {
	if f.partial {
		return errBulkLength
	}
	return errMultibulkLength
}
