package proactor

import (
	"fmt"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// rights are descriptors that are sent with a segment. They are duplicates, so that the
// caller may close the files at once.
type rights struct {
	fds     []int
	control []byte // the control message, in use while the send is under way
}

func (r *rights) close() {
	sockets.CloseAll(r.fds)
	r.fds = nil
}

// SendFiles sends all of p, and with its first byte descriptors for files, to
// the process at the other end of a Unix socket (unix(7), SCM_RIGHTS), which
// receives them with RecvFiles. p must have at least one byte, since descriptors cannot
// be sent alone, and belongs to the library until the future resolves; the files
// may be closed at once. Sends keep their order. At most 253 files can be sent with one
// send.
//
// Errors are those of Send; also syscall.EINVAL for an empty p or too many
// files, os.ErrClosed for a closed file, syscall.EMFILE when no descriptor is
// left for the copies, and syscall.ENOTSUP if the connection is no Unix socket.
func (c *Conn) SendFiles(p []byte, files ...*os.File) futures.Future[int] {
	g := segment{data: p}
	switch {
	case c.network() != "unix" && c.network() != "unixpacket":
		return futures.Failed[int](c.opError("write", syscall.ENOTSUP))
	case len(files) == 0:
		return c.sendSegment(g)
	case len(p) == 0:
		return futures.Failed[int](c.opError("write", fmt.Errorf("descriptors cannot be sent without data: %w", syscall.EINVAL)))
	case len(files) > sockets.MaxRights:
		return futures.Failed[int](c.opError("write", fmt.Errorf("%d files in one send, at most %d: %w", len(files), sockets.MaxRights, syscall.EINVAL)))
	}
	g.rights = new(rights)
	for _, f := range files {
		fd, err := sockets.Duplicate(f)
		if err != nil {
			g.rights.close()
			return futures.Failed[int](c.opError("write", err))
		}
		g.rights.fds = append(g.rights.fds, fd)
	}
	g.rights.control = sockets.EncodeRights(g.rights.fds)
	return c.sendSegment(g)
}

// Received is a message that may have come with descriptors.
type Received struct {
	N     int        // bytes
	Files []*os.File // close-on-exec; the receiver's to close
	Cut   bool       // more than max descriptors came: the others are closed
}

// RecvFiles receives into p as RecvInto does, together with at most max
// descriptors that came with the data (recvmsg(2), SCM_RIGHTS). Files that nobody
// takes are closed: at once if the future has failed, and by the garbage collector if the
// result is dropped.
//
// Recv and RecvInto receive data only, and the kernel closes descriptors that come with
// it. So use RecvFiles from the beginning on a connection that may receive files. On a
// stream, data with descriptors is not joined with data that follows. A descriptor of the
// sender's process, which the kernel adds where the program has set SO_PASSPIDFD (Linux 6.5),
// is closed. The sender's credentials (SO_PASSCRED) are not given out.
//
// The error is io.EOF at the end, syscall.EINVAL for an empty p or a max that is
// not 0 to 253, else as of RecvInto.
func (c *Conn) RecvFiles(p []byte, max int) futures.Future[Received] {
	if len(p) == 0 || max < 0 || max > sockets.MaxRights {
		return futures.Failed[Received](c.opError("read", fmt.Errorf("%d bytes and %d files: want at least a byte and 0 to %d files: %w", len(p), max, sockets.MaxRights, syscall.EINVAL)))
	}
	answer := futures.NewPromise[Received]()
	o := &into{loop: c.loop, elsewhere: true, rights: newRightsReceiver(p, max)}
	answer.SetCanceler(o)
	ok := c.loop.engine.Perform(func() {
		o.promise.Bind(&c.loop.engine, o)
		o.promise.Future().Then(func(n int, err error) {
			r := Received{N: n, Files: o.rights.files, Cut: o.rights.cut}
			if err != nil || !answer.Settle(r, nil) {
				o.rights.close()
				answer.Settle(Received{N: n}, err)
			}
		})
		c.recv.filesCome = true
		o.begin(c, p)
	})
	if !ok {
		answer.Fail(c.closedError("read"))
	}
	return answer.Future()
}

// rightsReceiver is the header of a receive that takes descriptors. The kernel
// writes into it until the completion.
type rightsReceiver struct {
	header  ring.Msghdr
	vector  ring.Iovec
	control []byte
	max     int
	files   []*os.File
	cut     bool
}

func newRightsReceiver(p []byte, max int) *rightsReceiver {
	r := &rightsReceiver{
		vector:  ring.Iovec{Base: &p[0], Len: uintptr(len(p))},
		control: make([]byte, sockets.RightsSpace(max)),
		max:     max,
	}
	r.header.Iov, r.header.Iovlen = &r.vector, 1
	r.header.Control = &r.control[0]
	return r
}

// arm sets the header again, which an attempt before may have changed.
func (r *rightsReceiver) arm() *ring.Msghdr {
	r.header.Controllen, r.header.Flags = uintptr(len(r.control)), 0
	return &r.header
}

// collect makes files from the descriptors that came.
func (r *rightsReceiver) collect() {
	r.cut = uint32(r.header.Flags)&ring.MsgCTrunc != 0
	n := min(int(r.header.Controllen), len(r.control))
	engine.RaceWrote(r.control[:n])
	_, rights := sockets.Received(r.control[:n]).WithoutRights()
	sockets.CloseAll(rights.Processes)
	if len(rights.Passed) > r.max {
		sockets.CloseAll(rights.Passed[r.max:])
		rights.Passed, r.cut = rights.Passed[:r.max], true
	}
	for _, fd := range rights.Passed {
		r.files = append(r.files, os.NewFile(uintptr(fd), fmt.Sprintf("descriptor %d", fd)))
	}
}

func (r *rightsReceiver) close() {
	for _, f := range r.files {
		f.Close()
	}
	r.files = nil
}
