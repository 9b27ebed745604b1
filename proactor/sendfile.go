package proactor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// A file is sent in pieces through memory of the loop, which pools a few of these
// pieces.
const (
	filePiece      = 256 << 10
	fileMemoryKept = 8
)

var errFileMessages = errors.New("a file can be sent on a stream only, and this connection sends messages")

// SendFile sends n bytes of f from offset off on. It does not use f's cursor. The
// future resolves when the kernel has taken all of them, with their number; an
// error comes with the number sent before it: io.ErrUnexpectedEOF if the file ends
// before n bytes (or is truncated while it is being sent), an *fs.PathError of the
// reading, or an error as of SendBytes. f is an *os.File, for example; the library uses a
// duplicate of its descriptor, so f may be closed at once.
//
// It keeps the order of the connection's sends. A cancel, or a write
// deadline that passes, after the first byte ends the connection's sending.
//
// The bytes go through memory of the loop: splice(2) would save little, and
// io_uring gives each splice to a worker thread, see docs/performance.md.
func (c *Conn) SendFile(f syscall.Conn, off, n int64) futures.Future[int64] {
	s := &fileSend{longSend: longSend{conn: c}, off: off, left: n}
	if err := s.take(f); err != nil {
		return futures.Failed[int64](err)
	}
	return s.start(s)
}

// fileSend is a file that is being sent.
type fileSend struct {
	longSend
	fd     int // a duplicate
	name   string
	off    int64
	left   int64
	memory []byte
	rest   []byte // the part of it that was read and not sent yet
	stage  fileStage
}

type fileStage uint8

const (
	fileReading fileStage = iota
	fileSending
	fileWaiting // for room in a socket that others have made non-blocking
)

// take checks the arguments and duplicates the descriptor.
func (s *fileSend) take(f syscall.Conn) error {
	c := s.conn
	switch {
	case s.off < 0 || s.left < 0 || s.left > math.MaxInt64-s.off:
		return c.opError("sendfile", fmt.Errorf("%d bytes at offset %d: want neither negative nor beyond 63 bits: %w", s.left, s.off, syscall.EINVAL))
	case c.medium == packets:
		return c.misused("sendfile", errFileMessages)
	case f == nil:
		return c.opError("sendfile", os.ErrInvalid)
	}
	var err error
	if s.fd, err = sockets.Duplicate(f); err != nil {
		return c.opError("sendfile", err)
	}
	if named, ok := f.(interface{ Name() string }); ok {
		s.name = named.Name()
	}
	return nil
}

func (s *fileSend) begin() {
	if s.left == 0 && s.conn.send.refusal() == nil {
		s.refuse(nil)
		return
	}
	s.longSend.begin()
}

// proceed implements longSender.
func (s *fileSend) proceed() {
	l := s.conn.loop
	if n := len(l.fileMemory); n > 0 {
		s.memory, l.fileMemory = l.fileMemory[n-1], l.fileMemory[:n-1]
	} else {
		s.memory = make([]byte, filePiece)
	}
	s.read()
}

func (s *fileSend) read() {
	sqe := s.conn.loop.engine.Next()
	sqe.PrepReadAt(s.fd, s.memory[:min(s.left, int64(len(s.memory)))], s.off)
	s.submit(sqe, fileReading)
}

func (s *fileSend) send() {
	sqe := s.conn.loop.engine.Next()
	if s.conn.medium == file {
		sqe.PrepWrite(s.conn.fd, s.rest)
	} else {
		sqe.PrepSend(s.conn.fd, s.rest, ring.MsgWaitAll|ring.MsgNoSignal)
	}
	s.submit(sqe, fileSending)
}

func (s *fileSend) submit(sqe *ring.SQE, stage fileStage) {
	s.stage = stage
	s.longSend.submit(sqe)
}

// Complete implements engine.Operation.
func (s *fileSend) Complete(result int32, _ uint32) {
	switch s.ended(); {
	case s.over: // abandoned
	case s.stage == fileReading:
		s.wasRead(result)
	case s.stage == fileSending:
		s.wasSent(result)
	case s.reason != nil:
		s.stop()
	default:
		s.send()
	}
	s.conn.settled()
}

func (s *fileSend) wasRead(result int32) {
	switch e := syscall.Errno(-result); {
	case s.reason != nil:
		s.stop()
	case e == syscall.EINTR:
		s.read()
	case result < 0:
		s.finish(&fs.PathError{Op: "read", Path: s.name, Err: e})
	case result == 0:
		s.finish(s.conn.opError("sendfile", io.ErrUnexpectedEOF))
	default:
		s.off += int64(result)
		s.rest = s.memory[:result]
		s.send()
	}
}

func (s *fileSend) wasSent(result int32) {
	c := s.conn
	if result > 0 {
		c.touch()
		s.sent += int64(result)
		s.left -= int64(result)
		s.rest = s.rest[result:]
	}
	switch e := syscall.Errno(-result); {
	case s.left == 0:
		s.finish(nil)
	case s.reason != nil:
		s.stop()
	case result > 0 && len(s.rest) == 0:
		s.read()
	case result > 0, e == syscall.EINTR:
		s.send()
	case e == syscall.EAGAIN:
		sqe := c.loop.engine.Next()
		sqe.PrepPoll(c.fd, ring.PollOut)
		s.submit(sqe, fileWaiting)
	case e == syscall.ECANCELED:
		s.fail(c.closedError("write"))
	case e == 0:
		s.fail(c.failed("write", syscall.EPIPE))
	default:
		s.fail(c.failed("write", e))
	}
}

// free implements longSender.
func (s *fileSend) free() {
	sockets.Close(s.fd)
	if l := s.conn.loop; s.memory != nil && !s.live && len(l.fileMemory) < fileMemoryKept {
		l.fileMemory = append(l.fileMemory, s.memory)
	}
}
