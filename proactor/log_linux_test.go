package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// What a handler ends with makes one line, or none, with whom it has served.
func TestHandlersInTheLog(t *testing.T) {
	of := func(op string, to net.Addr, errno syscall.Errno) error {
		return &net.OpError{Op: op, Net: "tcp", Addr: to, Err: os.NewSyscallError(op, errno)}
	}
	upstream := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}
	for _, c := range []struct {
		name string
		err  func(c *proactor.Conn) error
		want string // "" for no line
	}{
		{"nothing", func(*proactor.Conn) error { return nil }, ""},
		{"the end", func(*proactor.Conn) error { return io.EOF }, ""},
		{"a cancel", func(*proactor.Conn) error { return context.Canceled }, ""},
		{"a close", func(*proactor.Conn) error { return fmt.Errorf("reading: %w", net.ErrClosed) }, ""},
		{"an error", func(*proactor.Conn) error { return errors.New("no such user") }, `ERROR msg="handler failed" loop=0 PEER err="no such user"`},
		{"an error in the middle", func(*proactor.Conn) error { return io.ErrUnexpectedEOF }, `ERROR msg="handler failed" loop=0 PEER err="unexpected EOF"`},
		{"a timeout", func(c *proactor.Conn) error { return of("read", c.RemoteAddr(), syscall.EAGAIN) }, `ERROR msg="handler failed" loop=0 PEER op=read err=".*"`},
		{"a file", func(*proactor.Conn) error { return &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist} }, `ERROR msg="handler failed" loop=0 PEER op=open err=".*"`},
		{"a reset", func(c *proactor.Conn) error { return of("read", c.RemoteAddr(), syscall.ECONNRESET) }, `DEBUG msg="handler failed" loop=0 PEER op=read err=".*reset by peer"`},
		{"a pipe", func(c *proactor.Conn) error { return of("write", c.RemoteAddr(), syscall.EPIPE) }, `DEBUG msg="handler failed" loop=0 PEER op=write err=".*"`},
		{"a bare reset", func(*proactor.Conn) error { return syscall.ECONNRESET }, `DEBUG msg="handler failed" loop=0 PEER err=".*"`},
		{"a reset by another", func(*proactor.Conn) error { return of("read", upstream, syscall.ECONNRESET) }, `ERROR msg="handler failed" loop=0 PEER op=read err=".*"`},
		{"a panic", func(*proactor.Conn) error { panic("out of order") }, `ERROR msg="handler panicked" loop=0 PEER panic="out of order" stack=".*TestHandlersInTheLog.*"`},
		{"a panic with the end", func(*proactor.Conn) error { panic(io.EOF) }, `ERROR msg="handler panicked" loop=0 PEER panic=EOF stack=".*"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := &syncBuffer{}
			logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				log.Reset()
				ln := listen(t, rt)
				served := make(chan error, 1)
				go func() {
					served <- ln.Serve(context.Background(), func(_ context.Context, conn *proactor.Conn) error { return c.err(conn) })
				}()
				peer := dial(t, ln.Addr())
				io.ReadAll(peer)
				ln.Close()
				<-served
				if c.want == "" {
					require.Empty(t, log.String())
					return
				}
				who := regexp.QuoteMeta(fmt.Sprintf("peer=%v local=%v listener=%v", peer.LocalAddr(), ln.Addr(), ln.Addr()))
				want := regexp.MustCompile(`PEER`).ReplaceAllLiteralString(c.want, who)
				require.Regexp(t, "^time=[^ ]* level="+want+"\n$", log.String())
			}, proactor.WithLoops(1), proactor.WithLogger(logger))
		})
	}
}

// Without a logger nothing is logged but what nobody may miss.
func TestPanicsWithoutALogger(t *testing.T) {
	log, before := &syncBuffer{}, slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	defer slog.SetDefault(before)
	for _, c := range []struct {
		handler func() error
		want    string // "" for no line
	}{
		{func() error { return errors.New("no such user") }, ""},
		{func() error { panic("out of order") }, `level=ERROR msg="handler panicked" loop=0 peer=.* panic="out of order" stack=`},
	} {
		onEach(t, func(t *testing.T, rt *proactor.Runtime) {
			log.Reset()
			ln := listen(t, rt)
			served := make(chan error, 1)
			go func() {
				served <- ln.Serve(context.Background(), func(context.Context, *proactor.Conn) error { return c.handler() })
			}()
			io.ReadAll(dial(t, ln.Addr()))
			ln.Close()
			<-served
			if c.want == "" {
				require.Empty(t, log.String())
			} else {
				require.Regexp(t, c.want, log.String())
			}
			log.Reset()
			stepped := make(chan struct{})
			rt.Loops()[0].Do(func() { defer close(stepped); panic("so is this") })
			<-stepped
			eventually(t, func() bool { return log.String() != "" }, func() string { return "no line" })
			require.Regexp(t, `level=ERROR msg="callback panicked" loop=0 panic="so is this" stack=`, log.String())
		}, proactor.WithLoops(1))
	}
}

// A peer that resets its connection makes no noise.
func TestResetInTheLog(t *testing.T) {
	log := &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		log.Reset()
		peer := dial(t, serveEcho(t, rt, "await"))
		wrote(t, peer, "hello")
		readFull(t, peer, 5)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		eventually(t, func() bool { return log.String() != "" }, func() string { return "nothing logged" })
		require.Regexp(t, `^[^\n]* level=DEBUG msg="handler failed" [^\n]* op=read err="read tcp [^\n]*: connection reset by peer"\n$`, log.String())
	}, proactor.WithLogger(logger))
}

// A callback that panics is logged with the connection that it is of.
func TestCallbackPanicInTheLog(t *testing.T) {
	log := &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		log.Reset()
		ln := listen(t, rt)
		defer ln.Close()
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) {
			c.OnRecv(func(b proactor.Buffer, err error) { b.Release(); panic("out of order") })
		}))
		peer := dial(t, ln.Addr())
		wrote(t, peer, "hello")
		io.ReadAll(peer)
		eventually(t, func() bool { return log.String() != "" }, func() string { return "nothing logged" })
		want := fmt.Sprintf(`level=ERROR msg="callback panicked" loop=0 peer=%v local=%v listener=%v panic="out of order" stack=`, peer.LocalAddr(), ln.Addr(), ln.Addr())
		require.Contains(t, log.String(), want)
	}, proactor.WithLoops(1), proactor.WithLogger(logger))
}

// Whatever a loop is short of is logged once a second, and no oftener.
func TestScarcityIsLoggedOnceASecond(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		begun := time.Now()
		for of, logged := range proactor.Noticed(rt.Loops()[0], 10000) {
			require.GreaterOrEqual(t, logged, 1, of)
			require.LessOrEqual(t, logged, 1+int(time.Since(begun)/time.Second), of)
		}
	}, proactor.WithLogger(slog.New(slog.DiscardHandler)))
}
