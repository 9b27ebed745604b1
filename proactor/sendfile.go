package proactor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// What is not sent out of the page cache (sendCached) is sent in pieces, each read into
// memory of the loop, which is used again. A send that waits for its client holds one
// piece, so they are small.
const (
	filePiece      = 64 << 10
	smallFilePiece = 4 << 10
)

var errFileMessages = errors.New("a file can be sent on a stream only, and this connection sends messages")

// SendFile sends n bytes of f from offset off on. It does not use f's cursor. The
// future resolves when the kernel has taken all of them, with their number; an
// error comes with the number sent before it: io.ErrUnexpectedEOF if the file ends
// before n bytes (or is truncated while it is being sent), an *fs.PathError of the
// reading, or an error as of SendBytes. f is a *File or an *os.File, for example. It may be
// closed at once: the library uses a duplicate of its descriptor, and a *File of the same
// loop is closed when the send has ended.
//
// It keeps the order of the connection's sends. A cancel, or a write
// deadline that passes, after the first byte ends the connection's sending.
//
// Bytes in the page cache go from there to the socket, as with sendfile(2); the others, and
// those of small files, through memory of the loop, see docs/performance.md.
func (c *Conn) SendFile(f syscall.Conn, off, n int64) futures.Future[int64] {
	s := &fileSend{longSend: longSend{conn: c}, off: off, left: n}
	sent, err := s.startWith(f)
	if err != nil {
		return futures.Failed[int64](err)
	}
	return sent
}

// fileSend is a file that is being sent.
type fileSend struct {
	longSend
	file   *File // on the connection's loop, used as it is; else nil
	fd     int   // the file's, or a duplicate
	lent   bool  // it is the caller's, who keeps it open until the call returns
	name   string
	off    int64
	left   int64
	memory *fileMemory
	rest   []byte // the part of it that was read and not sent yet
	stage  fileStage
}

// fileMemory is memory for a piece. Its bytes are not cleared for the next use.
type fileMemory struct {
	bytes []byte
	pool  *sync.Pool // of its size
}

// fileMemories are those of a loop that are not in use. The garbage collector frees those
// that stay so: as many are kept as there are sends at a time.
type fileMemories struct{ small, whole sync.Pool }

// take returns memory for a piece of n bytes or less.
func (m *fileMemories) take(n int64) *fileMemory {
	pool, size := &m.whole, filePiece
	if n <= smallFilePiece {
		pool, size = &m.small, smallFilePiece
	}
	if memory, ok := pool.Get().(*fileMemory); ok {
		return memory
	}
	return &fileMemory{make([]byte, size), pool}
}

func (m *fileMemory) giveBack() { m.pool.Put(m) }

type fileStage uint8

const (
	fileReading fileStage = iota
	fileSending
	fileWaiting // for room in the socket
)

// startWith checks the arguments and starts it.
func (s *fileSend) startWith(f syscall.Conn) (sent futures.Future[int64], err error) {
	c := s.conn
	switch {
	case s.off < 0 || s.left < 0 || s.left > math.MaxInt64-s.off:
		return sent, c.opError("sendfile", fmt.Errorf("%d bytes at offset %d: want neither negative nor beyond 63 bits: %w", s.left, s.off, syscall.EINVAL))
	case c.medium == packets:
		return sent, c.misused("sendfile", errFileMessages)
	case f == nil:
		return sent, c.opError("sendfile", os.ErrInvalid)
	}
	if ours, ok := f.(*File); ok && ours.loop == c.loop {
		s.file, s.fd, s.name = ours, -1, ours.name
		return s.start(s), nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return sent, c.opError("sendfile", err)
	}
	if named, ok := f.(interface{ Name() string }); ok {
		s.name = named.Name()
	}
	if raw.Control(func(fd uintptr) { sent, err = s.startLent(int(fd)) }) != nil {
		err = os.ErrClosed
	}
	if err != nil {
		err = c.opError("sendfile", err)
	}
	return sent, err
}

// startLent starts it with the caller's descriptor. On the loop, bytes in the page cache are
// often all sent before the call returns; else it goes on with a duplicate.
func (s *fileSend) startLent(fd int) (sent futures.Future[int64], err error) {
	s.fd, s.lent = fd, true
	if !s.conn.loop.engine.Inside() {
		if err := s.keep(); err != nil {
			return sent, err
		}
		return s.start(s), nil
	}
	sent = s.start(s)
	if !s.over {
		if err := s.keep(); err != nil {
			s.abort(s.conn.opError("sendfile", err))
		}
	}
	return sent, nil
}

// keep duplicates a descriptor that is lent.
func (s *fileSend) keep() error {
	if !s.lent {
		return nil
	}
	fd, err := sockets.DuplicateNumber(s.fd)
	if err == nil {
		s.fd, s.lent = fd, false
	}
	return err
}

func (s *fileSend) begin() {
	if err := s.use(); err != nil {
		s.refuse(err)
		return
	}
	if s.left == 0 && s.conn.send.refusal() == nil {
		s.refuse(nil)
		return
	}
	s.longSend.begin()
}

// use keeps a file of the loop open.
func (s *fileSend) use() error {
	f := s.file
	if f == nil {
		return nil
	}
	if f.state != fileOpen {
		return s.conn.opError("sendfile", f.loop.closedBy(errFileClosed))
	}
	f.inFlight++
	s.fd = f.fd
	return nil
}

// proceed implements longSender. It sends what comes next.
func (s *fileSend) proceed() {
	if !s.sendCached() {
		s.read()
	}
}

func (s *fileSend) read() {
	if err := s.keep(); err != nil {
		s.finish(s.conn.opError("sendfile", err))
		return
	}
	if s.memory == nil {
		s.memory = s.conn.loop.fileMemories.take(s.left)
	}
	sqe := s.conn.loop.engine.Next()
	sqe.PrepReadAt(s.fd, s.memory.bytes[:min(s.left, int64(len(s.memory.bytes)))], s.off)
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
		s.giveBack()
	case s.stage == fileReading:
		s.wasRead(result)
	case s.stage == fileSending:
		s.wasSent(result)
	default:
		s.hasRoom(result)
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
		s.rest = s.memory.bytes[:result]
		s.send()
	}
}

func (s *fileSend) wasSent(result int32) {
	c := s.conn
	if result > 0 {
		c.touch(int(result))
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
		s.proceed()
	case result > 0, e == syscall.EINTR:
		s.send()
	case e == syscall.EAGAIN:
		s.awaitRoom()
	case e == syscall.ECANCELED:
		s.fail(c.closedError("write"))
	case e == 0:
		s.fail(c.failed("write", syscall.EPIPE))
	default:
		s.fail(c.failed("write", e))
	}
}

// hasRoom goes on after awaitRoom.
func (s *fileSend) hasRoom(result int32) {
	switch e := syscall.Errno(-result); {
	case s.reason != nil:
		s.stop()
	case result < 0 && e == syscall.ECANCELED:
		s.fail(s.conn.closedError("write"))
	case result < 0:
		s.fail(s.conn.failed("write", e))
	case len(s.rest) > 0:
		s.send()
	default:
		s.proceed()
	}
}

// free implements longSender.
func (s *fileSend) free() {
	if !s.live {
		s.giveBack()
	}
}

// giveBack gives back the file and the memory, which no operation uses any more.
func (s *fileSend) giveBack() {
	switch {
	case s.lent:
	case s.file == nil:
		sockets.Close(s.fd)
	case s.fd >= 0:
		s.file.inFlight--
		s.file.settled()
	}
	if s.memory != nil {
		s.memory.giveBack()
	}
}
