package proactor

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// FileListener makes a listener from a duplicate of f's descriptor, as net.FileListener
// does: a TCP or Unix socket that listens, "tcp", "unix" or "unixpacket". The caller
// closes f. Connections are spread over the loops as WithSpread says, by default one to
// each loop in turn.
//
// Another process may have the socket, too, for example the one that this process
// replaces: each connection is accepted by one of them. So that none is left to a process
// that ends, each that waits for clients is woken, and accepts one connection at a time: a
// connection that is over at once costs up to a tenth more. Close closes only this
// duplicate, and leaves the file of a Unix socket, see SetUnlinkOnClose. The blocking mode,
// which the processes share, is not changed.
//
// Errors are *net.OpError with Op "file"; errors.Is finds os.ErrClosed for a closed
// file, os.ErrInvalid for nil, syscall.ENOTSUP if it does not listen, and ErrClosed
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

// FileListeners makes listeners from duplicates of files, as FileListener does, but one
// for all sockets of the same address: the files of Listener.Files become one listener
// again, with a socket for each loop if there are enough. The listeners are in the order
// of the first file of each.
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

// listenerOf makes a listener from sockets of one address. It closes them if it fails.
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
	ln.shared.Add(1)
	return ln, ln.begin(fds, network, addr)
}

// Files returns duplicates of the listener's sockets, for TCP one for each loop, to be
// passed to a process that replaces this one: in exec.Cmd.ExtraFiles, or over a Unix
// socket. FileListeners makes a listener from them there. The caller closes them. A
// socket listens until its last duplicate in any process is closed; a client that
// connects while nobody accepts waits. From then on this listener accepts one connection
// at a time, so that whoever it has not accepted is served by the other.
//
// Any goroutine may call it. After Close the error is ErrClosed.
func (ln *Listener) Files() (files []*os.File, err error) {
	ln.mu.Lock()
	closed := ln.failure != nil
	ln.mu.Unlock()
	if closed {
		return nil, &net.OpError{Op: "file", Net: ln.network, Addr: ln.address, Err: ErrClosed}
	}
	ln.shared.Add(1) // Close must not shut the sockets down
	for _, a := range ln.acceptors {
		if a.socketless {
			continue
		}
		f, err := a.file()
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			ln.shared.Add(-1)
			return nil, &net.OpError{Op: "file", Net: ln.network, Addr: ln.address, Err: err}
		}
		files = append(files, f)
	}
	for _, a := range ln.acceptors {
		a.loop.engine.Perform(a.pollFromNow)
	}
	return files, nil
}

// file is a duplicate of the socket.
func (a *acceptor) file() (*os.File, error) {
	a.holding.Lock()
	defer a.holding.Unlock()
	if a.fd < 0 {
		return nil, ErrClosed
	}
	return sockets.File(a.fd, fmt.Sprintf("%s:%v", a.listener.network, a.listener.address))
}

// SetUnlinkOnClose sets whether Close removes the file of a Unix socket. It does by
// default for a listener of Listen and AdoptListener, but not of FileListener. When one
// process replaces another, the old one turns it off and the new one on. Any goroutine
// may call it.
func (ln *Listener) SetUnlinkOnClose(on bool) { ln.unlink.Store(on) }

// Pause stops accepting until Resume. A client that connects meanwhile waits in the
// kernel's queue, or is refused when that is full. Open connections go on. The future
// resolves when no accept is under way: every connection accepted so far has been given
// to its handler, or is there for Accept, which gives it out after a Close, too. A Close
// after that loses no connection of a socket that another process has too, which accepts
// those in the kernel's queue; without the Pause it may drop some. Any goroutine may call
// it.
//
// A Pause does not wait for clients to leave: under a limit (WithMaxConns, WithAcceptRate)
// no connection is taken from the kernel's queue before there is a place for it.
func (ln *Listener) Pause() futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	arrived := countdown(len(ln.acceptors), func() { p.Resolve(struct{}{}) })
	stopped := countdown(len(ln.acceptors)+1, func() {
		// What acceptors have handed to loops is in the inboxes of these: go behind it.
		for _, a := range ln.acceptors {
			if !a.loop.engine.Do(arrived) {
				arrived()
			}
		}
	})
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

// countdown returns a function whose n-th call calls last. Any goroutine may call it.
func countdown(n int, last func()) func() {
	var left atomic.Int32
	left.Store(int32(n))
	return func() {
		if left.Add(-1) == 0 {
			last()
		}
	}
}

// stopAccepting stops accepting, and calls stopped when that is done.
func (a *acceptor) stopAccepting(stopped func()) {
	a.onStopped = append(a.onStopped, stopped)
	if a.armed {
		a.pause()
	}
	a.acceptingStopped()
}

// acceptingStopped tells those who wait for it that no accept is under way.
func (a *acceptor) acceptingStopped() {
	if a.armed {
		return
	}
	calls := a.onStopped
	a.onStopped = nil
	for _, stopped := range calls {
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
		a.loop.engine.Perform(a.arm)
	}
}
