package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if !playRole() {
		exampletest.Main(m)
	}
}

// patience is how long a test waits for what must come.
const patience = time.Minute

// chatServer is the program while it serves.
type chatServer struct {
	*exampletest.Server
	web string // address of the page
}

// onEach runs a test with a server of two loops on each backend.
func onEach(t *testing.T, test func(t *testing.T, s chatServer), args ...string) {
	for _, backend := range exampletest.Backends(t) {
		t.Run(backend, func(t *testing.T) {
			s := start(t, append([]string{"-backend", backend, "-loops", "2"}, args...)...)
			test(t, s)
			s.Stop(t, syscall.SIGTERM)
		})
	}
}

func start(t *testing.T, args ...string) chatServer {
	t.Helper()
	s := exampletest.Start(t, append([]string{"-addr", "127.0.0.1:0", "-web", "127.0.0.1:0"}, args...)...)
	page := s.Line(t)
	require.Regexp(t, `^page at http://\S+/$`, page)
	return chatServer{s, strings.TrimSuffix(strings.TrimPrefix(page, "page at http://"), "/")}
}

// person is a client of the server.
type person interface {
	say(t testing.TB, line string)
	// read reads the next line. It fails with io.EOF or another error at the end.
	read() (string, error)
}

// waits reads lines until one contains all words, and returns it.
func waits(t testing.TB, p person, words ...string) string {
	t.Helper()
	var before []string
	for {
		line, err := p.read()
		require.NoError(t, err, "want %q, read %q", words, before)
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return line
		}
		before = append(before, line)
	}
}

// joins gives a person a name and has it enter a room.
func joins[P person](t testing.TB, p P, name, room string) P {
	t.Helper()
	p.say(t, "/nick "+name)
	waits(t, p, "* you are "+name)
	p.say(t, "/join "+room)
	waits(t, p, "* "+name+" joined "+room)
	return p
}

// caller speaks the line protocol.
type caller struct {
	net.Conn
	in *bufio.Reader
}

func call(t testing.TB, network, addr string) *caller {
	t.Helper()
	c, err := net.Dial(network, addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return &caller{c, bufio.NewReader(c)}
}

// Each line has so long, not all together.
func (c *caller) say(t testing.TB, line string) {
	t.Helper()
	require.NoError(t, c.SetWriteDeadline(time.Now().Add(patience)))
	_, err := fmt.Fprintln(c, line)
	require.NoError(t, err)
}

func (c *caller) read() (string, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	line, err := c.in.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

// socket speaks WebSocket.
type socket struct {
	net.Conn
}

func open(t testing.TB, addr string) socket {
	t.Helper()
	c, early, _, err := ws.Dial(t.Context(), "ws://"+addr+"/ws")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	if early != nil { // lines that came with the response
		return socket{begun{c, early}}
	}
	return socket{c}
}

// begun is a connection whose beginning was read already.
type begun struct {
	net.Conn
	in *bufio.Reader
}

func (c begun) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c socket) say(t testing.TB, line string) {
	t.Helper()
	require.NoError(t, c.SetWriteDeadline(time.Now().Add(patience)))
	require.NoError(t, wsutil.WriteClientText(c, []byte(line)))
}

// read answers nothing: a server that has closed does not read it.
func (c socket) read() (string, error) {
	for {
		code, payload, err := c.frame()
		switch {
		case err != nil:
			return "", err
		case code == ws.OpText:
			return string(payload), nil
		case code == ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return "", wsutil.ClosedError{Code: code, Reason: reason}
		}
	}
}

// frame reads what comes next, of whatever kind.
func (c socket) frame() (code ws.OpCode, payload []byte, err error) {
	c.SetReadDeadline(time.Now().Add(patience))
	h, err := ws.ReadHeader(c)
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, h.Length)
	_, err = io.ReadFull(c, payload)
	return h.OpCode, payload, err
}
