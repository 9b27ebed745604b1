package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/stretchr/testify/require"
)

// talk checks that two clients hear each other.
func talk(t *testing.T, a, b person) {
	t.Helper()
	a.say(t, "are you there?")
	waits(t, b, "> are you there?")
	b.say(t, "yes")
	waits(t, a, "> yes")
}

// TestSlowConsumer has clients in the room that never read: they are dropped, the others
// go on, and the server does not keep what those have not read.
func TestSlowConsumer(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		anna, ben := joins(t, call(t, "tcp", s.Addr), "anna", "attic"), joins(t, open(t, s.web), "ben", "attic")
		waits(t, anna, "* ben joined")
		slow := make(map[string]bool)
		for i := range 10 {
			name := fmt.Sprint("slow", i)
			slow[name] = true
			if i%2 == 0 {
				joins(t, call(t, "tcp", s.Addr), name, "attic")
			} else {
				joins(t, open(t, s.web), name, "attic")
			}
		}
		before := peakMemory(t, s.Process.Pid)
		text := strings.Repeat("x", 1000)
		sent := 0
		for ; len(slow) > 0; sent += len(text) {
			require.Less(t, sent, 256<<20, "still there: %v", slow)
			anna.say(t, text)
			for {
				line, err := anna.read()
				require.NoError(t, err)
				if who, dropped := strings.CutSuffix(line, " left attic: did not keep up"); dropped {
					delete(slow, strings.TrimPrefix(who, "* "))
				}
				if strings.HasPrefix(line, "<anna>") {
					break
				}
			}
			require.Equal(t, "<anna> "+text, waits(t, ben, "<anna>"))
		}
		talk(t, anna, ben)
		grown := peakMemory(t, s.Process.Pid) - before
		t.Logf("%d KiB said, peak memory grown by %d KiB", sent>>10, grown>>10)
		// 10 clients with 64 KiB each; the kernel has the rest.
		require.Less(t, grown, 32<<20)
	}, "-queuelimit", "65536", "-rate", "0")
}

var peakPattern = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// peakMemory is the most memory that a process has had, in bytes.
func peakMemory(t testing.TB, pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	m := peakPattern.FindSubmatch(status)
	require.NotNil(t, m, string(status))
	kilobytes, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return kilobytes << 10
}

// TestFlood has a client say more than it may: it waits, and the others are not dropped.
func TestFlood(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		anna, ben := joins(t, call(t, "tcp", s.Addr), "anna", "attic"), joins(t, open(t, s.web), "ben", "attic")
		flood := joins(t, call(t, "tcp", s.Addr), "flood", "attic")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			lines := bytes.Repeat([]byte(strings.Repeat("y", 1000)+"\n"), 1000)
			for err := error(nil); err == nil; {
				_, err = flood.Write(lines)
			}
		}()
		for range 9 {
			talk(t, anna, ben)
		}
		flood.Close()
		<-ended
		talk(t, anna, ben)
	}, "-queuelimit", "65536", "-rate", "10")
}

func TestGarbage(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		anna, ben := joins(t, call(t, "tcp", s.Addr), "anna", "attic"), joins(t, open(t, s.web), "ben", "attic")
		random := rand.NewChaCha8([32]byte{1})
		for i := range 40 {
			garbage := make([]byte, 1+int(random.Uint64()%(64<<10)))
			random.Read(garbage)
			c := call(t, "tcp", []string{s.Addr, s.web}[i%2])
			switch i % 4 {
			case 0:
				garbage = append([]byte("/join attic\n"), garbage...)
			case 1:
				garbage = append([]byte("GET /ws HTTP/1.1\r\n"), garbage...)
			case 3:
				c = &caller{Conn: open(t, s.web)}
			}
			c.Write(garbage) // may be cut off
			c.Close()
		}
		talk(t, anna, ben)
		ben.say(t, "the end")
		for {
			line, err := anna.read()
			require.NoError(t, err)
			require.True(t, utf8.ValidString(line), "%q", line)
			require.Regexp(t, `^([*!] |<[^>]+> .)`, line)
			if line == "<ben> the end" {
				break
			}
		}
	}, "-rate", "0")
}

func TestTooLong(t *testing.T) {
	onEach(t, func(t *testing.T, s chatServer) {
		anna, ben := joins(t, call(t, "tcp", s.Addr), "anna", "attic"), joins(t, open(t, s.web), "ben", "attic")
		longest := strings.Repeat("x", 1024)
		anna.say(t, longest)
		require.Equal(t, "<anna> "+longest, waits(t, ben, "<anna>"))
		ben.say(t, longest)
		require.Equal(t, "<ben> "+longest, waits(t, anna, "<ben>"))

		long := call(t, "tcp", s.Addr)
		long.say(t, strings.Repeat("x", 1030))
		require.Equal(t, "! goodbye: a line has 1024 bytes at most", waits(t, long, "goodbye"))
		_, err := long.read()
		require.ErrorIs(t, err, io.EOF)
		// It is told even if it has sent more.
		long = call(t, "tcp", s.Addr)
		long.say(t, strings.Repeat("x", 100_000))
		waits(t, long, "goodbye")
		_, err = call(t, "tcp", s.Addr).Write(make([]byte, 64<<20))
		require.Error(t, err)

		head := call(t, "tcp", s.web)
		fmt.Fprintf(head, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", headLimit))
		status, err := head.read()
		require.NoError(t, err)
		require.Contains(t, status, "431")
		talk(t, anna, ben)
	})
}

// TestBadFrames sends what WebSocket does not allow, or this server does not take. Each
// ends with its own code.
func TestBadFrames(t *testing.T) {
	masked := func(f ws.Frame) ws.Frame { return ws.MaskFrame(f) }
	text := func(fin bool, n int) ws.Frame {
		return masked(ws.NewFrame(ws.OpText, fin, bytes.Repeat([]byte("x"), n)))
	}
	more := func(fin bool, n int) ws.Frame {
		return masked(ws.NewFrame(ws.OpContinuation, fin, bytes.Repeat([]byte("x"), n)))
	}
	reserved := text(true, 1)
	reserved.Header.Rsv = ws.Rsv(true, false, false)
	huge := text(true, 1)
	huge.Header.Length = 1 << 62
	onEach(t, func(t *testing.T, s chatServer) {
		for name, c := range map[string]struct {
			code   ws.StatusCode
			frames []ws.Frame
		}{
			"too long":             {ws.StatusMessageTooBig, []ws.Frame{text(true, 1025)}},
			"of 2 to the 62 bytes": {ws.StatusMessageTooBig, []ws.Frame{huge}},
			"too long in parts":    {ws.StatusMessageTooBig, []ws.Frame{text(false, 1000), more(true, 1000)}},
			"binary":               {ws.StatusUnsupportedData, []ws.Frame{masked(ws.NewBinaryFrame([]byte("x")))}},
			"not UTF-8":            {ws.StatusInvalidFramePayloadData, []ws.Frame{masked(ws.NewTextFrame([]byte("\xff\xff")))}},
			"not masked":           {ws.StatusProtocolError, []ws.Frame{ws.NewTextFrame([]byte("x"))}},
			"of no beginning":      {ws.StatusProtocolError, []ws.Frame{more(true, 1)}},
			"of two beginnings":    {ws.StatusProtocolError, []ws.Frame{text(false, 1), text(true, 1)}},
			"reserved bits":        {ws.StatusProtocolError, []ws.Frame{reserved}},
			"a long ping":          {ws.StatusProtocolError, []ws.Frame{masked(ws.NewPingFrame(make([]byte, 126)))}},
		} {
			conn := open(t, s.web)
			for _, f := range c.frames {
				require.NoError(t, ws.WriteFrame(conn, f), name)
			}
			var closed wsutil.ClosedError
			var err error
			for err == nil {
				_, err = conn.read()
			}
			require.ErrorAs(t, err, &closed, name)
			require.Equal(t, c.code, closed.Code, name)
		}
	})
}

// TestSlowLoris sends what has begun byte by byte, and nothing that is wrong in itself: it is
// cut off, and those who are silent are not.
func TestSlowLoris(t *testing.T) {
	// The head of a text frame of 1,000 bytes, which are masked with zeros.
	message := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame(bytes.Repeat([]byte("x"), 1000)), [4]byte{}))[:8]
	onEach(t, func(t *testing.T, s chatServer) {
		anna, ben := joins(t, call(t, "tcp", s.Addr), "anna", "attic"), joins(t, open(t, s.web), "ben", "attic")
		line, head, socket := call(t, "tcp", s.Addr), call(t, "tcp", s.web), open(t, s.web)
		for c, begun := range map[net.Conn]string{line.Conn: "", head.Conn: "GET /", socket.Conn: string(message)} {
			go func() {
				for _, err := io.WriteString(c, begun); err == nil; _, err = io.WriteString(c, "x") {
					time.Sleep(20 * time.Millisecond) // the attack: what is waited for comes from the server's clock
				}
			}()
		}
		waits(t, line, "! goodbye: the line did not end in time")
		_, err := head.read()
		require.True(t, errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || isReset(err), "%v", err)
		for err = nil; err == nil; {
			_, err = socket.read()
		}
		require.Equal(t, wsutil.ClosedError{Code: ws.StatusPolicyViolation, Reason: "the message did not end in time"}, err)
		talk(t, anna, ben)
	}, "-linetime", "2s")
}

func isReset(err error) bool { return strings.Contains(err.Error(), "reset") }
