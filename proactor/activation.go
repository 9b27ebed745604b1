package proactor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
)

// firstActivated is the first descriptor that is passed on (SD_LISTEN_FDS_START).
const firstActivated = 3

// Activated is the sockets that a process was started with, by the names that the
// starting process gave. Those without a name are under "unknown".
type Activated struct {
	Listeners   map[string][]*Listener
	PacketConns map[string][]*PacketConn
	Conns       map[string][]*Conn // connections (Accept=yes), pipes
}

// ActivationFiles returns the files that a process was started with, by a service
// manager or by the process that it replaces (sd_listen_fds(3)). LISTEN_FDS is the number
// of descriptors, which begin at 3. LISTEN_FDNAMES, which is optional, has their names
// with colons between; the files have these names. The variables are ignored if LISTEN_PID
// is set and is another process: a program that uses os/exec cannot know the number and
// leaves it out.
//
// The variables are removed from the environment, and the descriptors become
// close-on-exec, so that later child processes do not use them. A second call returns
// no files. The caller closes the files.
func ActivationFiles() ([]*os.File, error) {
	count, pid := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID")
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if count == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	for _, variable := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		os.Unsetenv(variable)
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1<<16 {
		return nil, fmt.Errorf("proactor: LISTEN_FDS=%q: want a number of descriptors: %w", count, syscall.EINVAL)
	}
	var files []*os.File
	for i := range n {
		name := "unknown"
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		sockets.CloseOnExec(firstActivated + i)
		files = append(files, os.NewFile(uintptr(firstActivated+i), name))
	}
	return files, nil
}

// Activation makes listeners, packet sockets and connections from the ActivationFiles.
// Listening sockets of one address are one listener, see FileListeners; opts are for all
// listeners. Without activation the result is empty, and there is no error.
func (rt *Runtime) Activation(opts ...ListenOption) (a Activated, err error) {
	files, err := ActivationFiles()
	if err != nil {
		return a, err
	}
	defer func() {
		for _, f := range files {
			f.Close()
		}
		if err != nil {
			a.close()
			a = Activated{}
		}
	}()
	a = Activated{Listeners: map[string][]*Listener{}, PacketConns: map[string][]*PacketConn{}, Conns: map[string][]*Conn{}}
	listening := map[string][]*os.File{}
	for _, f := range files {
		switch name := f.Name(); kindOf(f) {
		case activatedListener:
			listening[name] = append(listening[name], f)
		case activatedPacketConn:
			c, err := rt.FilePacketConn(f)
			if err != nil {
				return a, err
			}
			a.PacketConns[name] = append(a.PacketConns[name], c)
		default:
			c, err := rt.FileConn(f)
			if err != nil {
				return a, err
			}
			a.Conns[name] = append(a.Conns[name], c)
		}
	}
	for name, files := range listening {
		if a.Listeners[name], err = rt.FileListeners(files, opts...); err != nil {
			return a, err
		}
	}
	return a, nil
}

type activatedKind uint8

const (
	activatedConn activatedKind = iota
	activatedListener
	activatedPacketConn
)

func kindOf(f *os.File) (kind activatedKind) {
	raw, err := f.SyscallConn()
	if err != nil {
		return activatedConn
	}
	raw.Control(func(fd uintptr) {
		switch {
		case sockets.Listens(int(fd)):
			kind = activatedListener
		case sockets.IsPacket(int(fd)):
			kind = activatedPacketConn
		}
	})
	return kind
}

func (a Activated) close() {
	for _, list := range a.Listeners {
		for _, ln := range list {
			ln.Close()
		}
	}
	for _, list := range a.PacketConns {
		for _, c := range list {
			c.Close()
		}
	}
	for _, list := range a.Conns {
		for _, c := range list {
			c.Abort()
		}
	}
}
