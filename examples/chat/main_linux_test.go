package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

// TestOneOrder has many clients of both kinds talk at once: all read the same lines in
// the same order.
func TestOneOrder(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		const lines = 200
		var people []person
		for i := range 6 {
			people = append(people, joins(t, call(t, "tcp", s.Addr), fmt.Sprint("line", i), "hall"))
		}
		for i := range 4 {
			people = append(people, joins(t, open(t, s.web), fmt.Sprint("web", i), "hall"))
		}
		for _, p := range people {
			p.say(t, "here")
			waits(t, people[0], "> here")
		}
		heard := make(chan []string, len(people))
		for i, p := range people {
			go func() {
				for n := range lines {
					p.say(t, fmt.Sprint("no. ", n))
				}
			}()
			go func() {
				var said []string
				for len(said) < lines*len(people) {
					line, err := p.read()
					if err != nil {
						t.Error(i, err)
						break
					}
					if strings.Contains(line, "> no. ") {
						said = append(said, line)
					}
				}
				heard <- said
			}()
		}
		first := <-heard
		require.Len(t, first, lines*len(people))
		next := make(map[string]int)
		for _, line := range first {
			who, what, _ := strings.Cut(line, " ")
			require.Equal(t, fmt.Sprint("no. ", next[who]), what, who)
			next[who]++
		}
		for range people[1:] {
			require.Equal(t, first, <-heard)
		}
	}, "-rate", "0")
}

func TestCommands(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		joins(t, call(t, "tcp", s.Addr), "anna", "attic")
		for _, p := range []person{call(t, "tcp", s.Addr), open(t, s.web)} {
			for _, c := range []struct{ say, reply string }{
				{"hello", "! you are in no room: /join ROOM"},
				{"/leave", "! you are in no room: /join ROOM"},
				{"/who", "! you are in no room: /join ROOM"},
				{"/nick anna", "! the name anna is taken"},
				{"/nick", "! a name has 1 to 32 bytes"},
				{"/nick two words", "! a name has 1 to 32 bytes"},
				{"/nick " + strings.Repeat("x", 33), "! a name has 1 to 32 bytes"},
				{"/nick <b>", "! a name has 1 to 32 bytes"},
				{"/nick Zoë", "* you are Zoë"},
				{"/nick Zoë", "* you are Zoë"},
				{"/join a/b", "! a name has 1 to 32 bytes"},
				{"/join attic", "* Zoë joined attic"},
				{"/join attic", "! you are in attic already"},
				{"hello", "<Zoë> hello"},
				{"  /who  ", "* in attic: Zoë anna"},
				{"/nick Bob", "* Zoë is now Bob"},
				{"/rooms", "* rooms: attic (2)"},
				{"/join cellar", "* Bob joined cellar"},
				{"/rooms", "* rooms: attic (1), cellar (1)"},
				{"/leave", "* you left cellar"},
				{"/help", "* /nick NAME"},
				{"/sing", "! no such command"},
				{"/quit", "* goodbye"},
			} {
				p.say(t, c.say)
				waits(t, p, c.reply)
			}
			_, err := p.read()
			require.Error(t, err)
		}
	})
}

// TestPrintable sends what a terminal would obey, or a browser refuse.
func TestPrintable(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		anna, web := joins(t, call(t, "tcp", s.Addr), "anna", "attic"), joins(t, open(t, s.web), "web", "attic")
		for said, read := range map[string]string{
			"\x1b[2Jgone":     "\uFFFD[2Jgone",
			"bell\a":          "bell\uFFFD",
			"\xff\xfd\x22 so": "\uFFFD\uFFFD\" so",
			"ünï©ode 世界":      "ünï©ode 世界",
			"crlf\r":          "crlf",
		} {
			anna.say(t, said)
			require.Equal(t, "<anna> "+read, waits(t, web, "<anna>"))
			require.Equal(t, "<anna> "+read, waits(t, anna, "<anna>"))
		}
	})
}

func TestNetcat(t *testing.T) {
	nc, err := exec.LookPath("nc")
	if err != nil {
		t.Skip("nc is not installed (Debian: netcat-openbsd)")
	}
	onEach(t, func(t *testing.T, s chatServer) {
		host, port, err := net.SplitHostPort(s.Addr)
		require.NoError(t, err)
		anna := joins(t, call(t, "tcp", s.Addr), "anna", "attic")
		cmd := exec.CommandContext(t.Context(), nc, "-N", host, port)
		cmd.Stdin = strings.NewReader("/nick cat\n/join attic\nmeow\n")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		waits(t, anna, "* cat joined attic")
		waits(t, anna, "<cat> meow")
		waits(t, anna, "* cat left attic")
	})
}

func TestWebSocket(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		anna, web := joins(t, call(t, "tcp", s.Addr), "anna", "attic"), joins(t, open(t, s.web), "web", "attic")
		web.say(t, "one\ntwo")
		require.Equal(t, "<web> one", waits(t, anna, "<web>"))
		require.Equal(t, "<web> two", waits(t, anna, "<web>"))

		// In fragments, with a ping between them.
		for _, f := range []ws.Frame{
			ws.NewFrame(ws.OpText, false, []byte("in ")),
			ws.NewPingFrame([]byte("still there?")),
			ws.NewFrame(ws.OpContinuation, false, nil),
			ws.NewFrame(ws.OpContinuation, true, []byte("parts")),
		} {
			require.NoError(t, ws.WriteFrame(web, ws.MaskFrameInPlace(f)))
		}
		require.Equal(t, "<web> in parts", waits(t, anna, "<web>"))
		for {
			code, payload, err := web.frame()
			require.NoError(t, err)
			if code == ws.OpPong {
				require.Equal(t, "still there?", string(payload))
				break
			}
		}
		require.NoError(t, ws.WriteFrame(web, ws.MaskFrameInPlace(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))))
		waits(t, anna, "* web left attic")
		for {
			code, _, err := web.frame()
			require.NoError(t, err)
			if code == ws.OpClose {
				break
			}
		}
		_, err := web.Conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestPage(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		for path, status := range map[string]int{"/": 200, "/?a=b": 200, "/favicon.ico": 404, "/ws": 400, "/../etc/passwd": 404} {
			r, err := http.Get("http://" + s.web + path)
			require.NoError(t, err)
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			r.Body.Close()
			require.Equal(t, status, r.StatusCode, path)
			require.Equal(t, status == 200, strings.Contains(string(body), "<title>chat</title>"), path)
		}
		r, err := http.Post("http://"+s.web+"/", "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
		require.NoError(t, err)
		r.Body.Close()
		require.Equal(t, 405, r.StatusCode)

		// A page from elsewhere may not open the WebSocket.
		elsewhere := ws.Dialer{Header: ws.HandshakeHeaderHTTP{"Origin": {"http://elsewhere.example"}}}
		_, _, _, err = elsewhere.Dial(t.Context(), "ws://"+s.web+"/ws")
		require.ErrorIs(t, err, ws.StatusError(403))
		ours := ws.Dialer{Header: ws.HandshakeHeaderHTTP{"Origin": {"http://" + s.web}}}
		c, _, _, err := ours.Dial(t.Context(), "ws://"+s.web+"/ws")
		require.NoError(t, err)
		c.Close()
	})
}

func TestIdle(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		for _, p := range []person{call(t, "tcp", s.Addr), open(t, s.web)} {
			var err error
			for err == nil {
				_, err = p.read()
			}
			require.NotErrorIs(t, err, net.ErrClosed)
		}
		silent, err := net.Dial("tcp", s.web)
		require.NoError(t, err)
		defer silent.Close()
		_, err = silent.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "no request came")
	}, "-idle", "100ms", "-linetime", "2s")
}

// TestStop ends with clients connected: each is told in its own way.
func TestStop(t *testing.T) {
	for _, backend := range exampletest.Backends(t) {
		t.Run(backend, func(t *testing.T) {
			s := start(t, "-backend", backend, "-loops", "2")
			idle, anna, web := call(t, "tcp", s.Addr), joins(t, call(t, "tcp", s.Addr), "anna", "attic"), joins(t, open(t, s.web), "web", "attic")
			idle.say(t, "/nick idle")
			waits(t, idle, "* you are idle") // it was accepted
			said := s.Stop(t, syscall.SIGTERM)
			require.Regexp(t, `(?m)^total: accepted=3 .* conns=0 .* out=0 `, said)
			for _, c := range []*caller{idle, anna} {
				_, err := io.ReadAll(c)
				require.NoError(t, err)
			}
			var closed wsutil.ClosedError
			var err error
			for err == nil {
				_, err = web.read()
			}
			require.ErrorAs(t, err, &closed)
			require.Equal(t, ws.StatusGoingAway, closed.Code)
		})
	}
}

func TestUnixSocket(t *testing.T) {
	for _, backend := range exampletest.Backends(t) {
		t.Run(backend, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "socket")
			s := exampletest.Start(t, "-network", "unix", "-addr", path, "-backend", backend)
			joins(t, call(t, "unix", path), "anna", "attic")
			s.Stop(t, syscall.SIGINT)
		})
	}
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		`backend "y"`:              {"-backend", "y"},
		"0 loops":                  {"-loops", "0"},
		"busy polling for -1s":     {"-busypoll", "-1s"},
		"line limit of 10 bytes":   {"-linelimit", "10"},
		"line time of 0s":          {"-linetime", "0s"},
		"idle for -1s":             {"-idle", "-1s"},
		"queue limit of 0 bytes":   {"-queuelimit", "0"},
		"-1 lines a second":        {"-rate", "-1"},
		"NaN lines a second":       {"-rate", "NaN"},
		"-unknown":                 {"-unknown"},
		`unexpected argument "up"`: {"up"},
	} {
		require.Contains(t, exampletest.Fails(t, 2, args...), says)
	}
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "192.0.2.1:1"), "192.0.2.1:1")
	require.Contains(t, exampletest.Fails(t, 1, "-addr", "127.0.0.1:0", "-web", "192.0.2.1:1"), "192.0.2.1:1")
}

func TestHelp(t *testing.T) {
	out, err := exampletest.Command(t, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-addr", "-network", "-web", "-backend", "-loops", "-pin", "-busypoll", "-verbose", "-linelimit", "-linetime", "-idle", "-queuelimit", "-rate"} {
		require.Contains(t, string(out), flag)
	}
}
