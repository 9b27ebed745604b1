package differential

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// noFile is a number that no file ever gets here.
const noFile = 1000

// closed stands for an end that is closed.
const closed = -1

// endpoint is an object in being: our end, which entries name, and the
// peer's.
type endpoint struct {
	ours, peer int
	made       bool
	wrote      int // bytes the peer wrote so far
}

// world is the descriptors a program runs on, made anew for each run.
type world struct {
	ends     [objects]endpoint
	outside  int // listens and accepts for dials; closed if there are none
	toOut    []byte
	toList   []byte
	clients  int
	named    bool              // pipes have names
	packets  bool              // datagrams are SOCK_SEQPACKET
	others   []int             // accepted, and of no further interest
	identity map[string]string // addresses of those who connect to Listener
}

func newWorld(p *Program) (*world, error) {
	w := &world{outside: closed, identity: map[string]string{}, named: p.Named, packets: p.Packets}
	for i := range w.ends {
		w.ends[i] = endpoint{ours: noFile, peer: closed}
	}
	w.ends[Negative].ours = -1
	used := p.uses()
	// A pair that is needed for one end is made whole.
	used[LoopLeft] = used[LoopLeft] || used[LoopRight]
	for o, needed := range used {
		if needed {
			if err := w.create(Object(o)); err != nil {
				w.close()
				return nil, fmt.Errorf("%v: %w", Object(o), err)
			}
		}
	}
	return w, nil
}

func (w *world) create(o Object) (err error) {
	e := &w.ends[o]
	e.made = true
	switch o {
	case UnixA, UnixB:
		return w.socketPair(e, unix.SOCK_STREAM)
	case Datagram:
		if w.packets {
			return w.socketPair(e, unix.SOCK_SEQPACKET)
		}
		return w.socketPair(e, unix.SOCK_DGRAM)
	case LoopLeft:
		if err = w.socketPair(e, unix.SOCK_STREAM); err == nil {
			w.ends[LoopRight] = endpoint{ours: e.peer, peer: closed, made: true}
			e.peer = closed
			err = unix.SetNonblock(w.ends[LoopRight].ours, false)
		}
	case TCPA, TCPB:
		return w.tcpPair(e)
	case PipeOut:
		e.ours, e.peer, err = w.pipe()
	case PipeIn:
		e.peer, e.ours, err = w.pipe()
		if err == nil {
			unix.SetNonblock(e.ours, false)
			unix.SetNonblock(e.peer, true)
		}
		return err
	case Event:
		if e.ours, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err == nil {
			e.peer, err = unix.FcntlInt(uintptr(e.ours), unix.F_DUPFD_CLOEXEC, 0)
		}
		return err
	case Listener:
		e.ours, w.toList, err = listen()
		return err
	case DialA, DialB:
		return w.dialer(e)
	}
	if o == PipeOut && err == nil {
		err = unix.SetNonblock(e.peer, true)
	}
	return err
}

const socketBuffer = 8 << 10 // small: programs fill it

func (w *world) socketPair(e *endpoint, kind int) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	e.ours, e.peer = pair[0], pair[1]
	for _, fd := range pair {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, socketBuffer); err != nil {
			return err
		}
	}
	return unix.SetNonblock(e.peer, true)
}

// pipe has one page.
func (w *world) pipe() (out, in int, err error) {
	p := [2]int{closed, closed}
	if w.named {
		p, err = namedPipe()
	} else {
		err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	}
	if err != nil {
		return closed, closed, err
	}
	_, err = unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, 4096)
	return p[0], p[1], err
}

// namedPipe is both ends of one whose name is gone again.
func namedPipe() (p [2]int, err error) {
	dir, err := os.MkdirTemp("", "differential")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "pipe")
	if err = unix.Mkfifo(path, 0o600); err != nil {
		return p, err
	}
	both, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0) // neither end waits for the other then
	if err != nil {
		return p, err
	}
	defer unix.Close(both)
	if p[0], err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return p, err
	}
	if p[1], err = unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil {
		unix.Close(p[0])
	}
	return p, err
}

func (w *world) dialer(e *endpoint) (err error) {
	if w.outside == closed {
		if w.outside, w.toOut, err = listen(); err != nil {
			return err
		}
		unix.SetNonblock(w.outside, true)
	}
	e.ours, err = tcpSocket()
	return err
}

// name is who a socket's other end belongs to, of connections to Listener.
func (w *world) name(fd int) string {
	sa, err := unix.Getpeername(fd)
	if err != nil {
		return "somebody gone"
	}
	if name, ok := w.identity[addressString(sa)]; ok {
		return name
	}
	for o := DialA; o <= DialB; o++ {
		if w.ends[o].made && w.ends[o].ours != noFile {
			if own, err := unix.Getsockname(w.ends[o].ours); err == nil && addressString(own) == addressString(sa) {
				return o.String()
			}
		}
	}
	return "a stranger"
}

// accepted takes in a connection that the program's listener accepted.
func (w *world) accepted(fd int) string {
	name := w.name(fd)
	for o := ConnA; o <= ConnC; o++ {
		if name == o.String() {
			e := &w.ends[o]
			if e.ours != noFile { // cannot be: a client connects once
				unix.Close(e.ours)
			}
			e.ours = fd
			return name
		}
	}
	w.others = append(w.others, fd)
	return name
}

// clientConnects is PeerConnects: the next client becomes the peer of the
// next ConnX.
func (w *world) clientConnects() string {
	if w.clients > int(ConnC-ConnA) {
		return "no more clients"
	}
	o := ConnA + Object(w.clients)
	w.clients++
	fd, err := tcpSocket()
	if err != nil {
		return err.Error()
	}
	unix.SetNonblock(fd, true)
	if err := connectWithin(fd, w.toList); err != nil {
		unix.Close(fd)
		return fmt.Sprintf("%v connects: %v", o, err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return err.Error()
	}
	w.identity[addressString(sa)] = o.String()
	w.ends[o].peer, w.ends[o].made = fd, true
	return fmt.Sprintf("%v connects", o)
}

// meet gives dials that got through their peers.
func (w *world) meet() {
	for w.outside != closed {
		fd, sa, err := unix.Accept4(w.outside, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			return
		}
		owner := (*endpoint)(nil)
		for o := DialA; o <= DialB; o++ {
			e := &w.ends[o]
			if !e.made || e.peer != closed || e.ours == noFile {
				continue
			}
			if own, err := unix.Getsockname(e.ours); err == nil && addressString(own) == addressString(sa) {
				owner = e
			}
		}
		if owner == nil {
			abort(fd)
			continue
		}
		owner.peer = fd
	}
}

// settle waits until what TCP has on its way has arrived.
func (w *world) settle() {
	for o := range objects {
		if e := &w.ends[o]; o.tcp() && e.made && e.ours != noFile && e.peer != closed {
			settlePair(e.ours, e.peer)
		}
	}
}

func (w *world) close() {
	for o := range objects {
		e := &w.ends[o]
		if e.peer != closed {
			abort(e.peer)
		}
		if e.ours != noFile && e.ours != -1 {
			abort(e.ours)
		}
	}
	for _, fd := range w.others {
		abort(fd)
	}
	if w.outside != closed {
		for {
			fd, _, err := unix.Accept4(w.outside, unix.SOCK_CLOEXEC)
			if err != nil {
				break
			}
			abort(fd)
		}
		unix.Close(w.outside)
	}
}
