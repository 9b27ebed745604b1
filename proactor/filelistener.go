package proactor

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// FileListener makes a listener of a copy of f's descriptor, as net.FileListener does:
// a TCP or Unix socket that listens, "tcp", "unix" or "unixpacket". f remains the
// caller's to close. Connections are spread over the loops as WithSpread says, by
// default one to each loop in turn.
//
// The socket may be another process's too, which is how a new process takes over from
// an old one: each connection then comes to one of them. Close ends only this
// listener's share, and leaves the file of a Unix socket, see SetUnlinkOnClose. The
// blocking mode, which all share, stays what it is: a ring accepts from a non-blocking
// socket too, at the cost of a poll for each burst of connections.
//
// Errors are *net.OpError with Op "file"; errors.Is finds os.ErrClosed for a closed
// file, os.ErrInvalid for nil, syscall.ENOTSUP for what does not listen, and ErrClosed
// when the runtime is shutting down.
func (rt *Runtime) FileListener(f *os.File, opts ...ListenOption) (*Listener, error) {
	fd, err := duplicateOfFile(f)
	if err != nil {
		return nil, fileError(f, err)
	}
	ln, err := rt.listenerOf([]int{fd}, opts)
	if err != nil {
		return nil, fileError(f, err)
	}
	return ln, nil
}

// FileListeners makes listeners of copies of files, as FileListener does, but one for
// all sockets of the same address: those of Listener.Files are one listener again, with
// a socket for each loop if there are enough. The listeners are in the order of the
// first file of each.
func (rt *Runtime) FileListeners(files []*os.File, opts ...ListenOption) (all []*Listener, err error) {
	groups, err := groupedByAddress(files)
	if err != nil {
		return nil, err
	}
	for i, g := range groups {
		ln, err := rt.listenerOf(g.fds, opts)
		if err != nil {
			for _, rest := range groups[i+1:] {
				sockets.CloseAll(rest.fds)
			}
			for _, ln := range all {
				ln.Close()
			}
			return nil, fileError(g.first, err)
		}
		all = append(all, ln)
	}
	return all, nil
}

// socketGroup is listening sockets of one address.
type socketGroup struct {
	address string
	first   *os.File
	fds     []int
}

// groupedByAddress duplicates the descriptors of files.
func groupedByAddress(files []*os.File) (groups []*socketGroup, err error) {
	defer func() {
		if err != nil {
			for _, g := range groups {
				sockets.CloseAll(g.fds)
			}
			groups = nil
		}
	}()
	byAddress := map[string]*socketGroup{}
	for _, f := range files {
		fd, err := duplicateOfFile(f)
		if err != nil {
			return groups, fileError(f, err)
		}
		network, addr, err := sockets.Listening(fd)
		if err != nil {
			sockets.Close(fd)
			return groups, fileError(f, err)
		}
		address := network + " " + addr.String()
		g := byAddress[address]
		if g == nil {
			g = &socketGroup{address: address, first: f}
			byAddress[address] = g
			groups = append(groups, g)
		}
		g.fds = append(g.fds, fd)
	}
	return groups, nil
}

// listenerOf makes a listener of sockets of one address, which it takes in any case.
func (rt *Runtime) listenerOf(fds []int, opts []ListenOption) (*Listener, error) {
	ln, err := rt.newListener(opts)
	if err != nil {
		sockets.CloseAll(fds)
		return nil, err
	}
	network, addr, err := sockets.Listening(fds[0])
	if err == nil && network == "tcp" {
		for _, fd := range fds {
			if err = sockets.SetTCPOptions(fd); err != nil {
				break
			}
		}
	}
	if err != nil {
		sockets.CloseAll(fds)
		return nil, err
	}
	ln.shared.Store(true)
	return ln, ln.begin(fds, network, addr)
}

// Files returns copies of the listener's sockets, one for each loop for TCP, for a
// process that is to take over from this one: in exec.Cmd.ExtraFiles, or over a Unix
// socket. There, FileListeners makes a listener of them. They are the caller's to
// close. The sockets listen until the last copy is closed, in whatever process: what
// connects to one that nobody accepts from waits.
//
// Any goroutine may call it. After Close the error is ErrClosed.
func (ln *Listener) Files() (files []*os.File, err error) {
	ln.mu.Lock()
	closed := ln.failure != nil
	ln.mu.Unlock()
	if closed {
		return nil, &net.OpError{Op: "file", Net: ln.network, Addr: ln.address, Err: ErrClosed}
	}
	ln.shared.Store(true) // Close must not stop those that others have
	for _, a := range ln.acceptors {
		if a.socketless {
			continue
		}
		f, err := a.file()
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, &net.OpError{Op: "file", Net: ln.network, Addr: ln.address, Err: err}
		}
		files = append(files, f)
	}
	return files, nil
}

// file is a copy of the socket.
func (a *acceptor) file() (*os.File, error) {
	a.holding.Lock()
	defer a.holding.Unlock()
	if a.fd < 0 {
		return nil, ErrClosed
	}
	return sockets.File(a.fd, fmt.Sprintf("%s:%v", a.listener.network, a.listener.address))
}

// SetUnlinkOnClose says whether Close removes the file of a Unix socket. It does for a
// listener of Listen and AdoptListener, not for one of FileListener. The process that is
// to go on listening turns it on and the other off. Any goroutine may call it.
func (ln *Listener) SetUnlinkOnClose(on bool) { ln.unlink.Store(on) }

// Pause stops accepting until Resume. A client that connects meanwhile waits in the
// kernel's queue, or is refused when that is full. Open connections go on. The future
// resolves when no accept is under way: every connection accepted so far has been given
// to its handler or to an Accept. A Close after that loses no connection of a socket that
// another process has too; without the Pause it may drop some. Any goroutine may call it.
func (ln *Listener) Pause() futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	var left atomic.Int32
	left.Store(int32(len(ln.acceptors)) + 1)
	stopped := func() {
		if left.Add(-1) == 0 {
			p.Resolve(struct{}{})
		}
	}
	ln.mu.Lock()
	ln.paused.Store(true)
	std := ln.std
	if std != nil {
		std.pause(stopped)
	}
	ln.mu.Unlock()
	if std == nil {
		stopped()
	}
	for _, a := range ln.acceptors {
		if !a.loop.engine.Perform(func() { a.stopAccepting(stopped) }) {
			stopped()
		}
	}
	return p.Future()
}

// stopAccepting stops accepting, and calls stopped when no accept is under way.
func (a *acceptor) stopAccepting(stopped func()) {
	if !a.armed {
		stopped()
		return
	}
	a.onStopped = append(a.onStopped, stopped)
	a.pause()
}

// acceptingStopped is called when no accept is under way.
func (a *acceptor) acceptingStopped() {
	waiting := a.onStopped
	a.onStopped = nil
	for _, stopped := range waiting {
		stopped()
	}
}

// Resume accepts again after a Pause. Any goroutine may call it.
func (ln *Listener) Resume() {
	ln.mu.Lock()
	ln.paused.Store(false)
	if ln.std != nil {
		ln.std.resume()
	}
	ln.mu.Unlock()
	for _, a := range ln.acceptors {
		a.loop.engine.Perform(a.refill)
	}
}
