package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/goproactor/goproactor/proactor"
)

//go:embed page.html
var page string

// headLimit is the maximum length of the head of an HTTP request, in bytes.
const headLimit = 16 << 10

// serveWeb is the handler of a connection that speaks HTTP: it gets the page, or becomes
// a WebSocket, whose messages are lines without their end.
func (srv *server) serveWeb(ctx context.Context, conn *proactor.Conn) error {
	r, w := conn.Reader(proactor.WithFrameLimit(headLimit)), conn.Writer()
	conn.SetReadDeadline(time.Now().Add(srv.lineTime))
	head, err := readHead(ctx, r)
	conn.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, proactor.ErrFrameTooLong):
		answer(w, http.StatusRequestHeaderFieldsTooLarge, "")
	case err != nil:
		return nil // the peer has gone, or takes too long
	default:
		if srv.upgrade(head, w) {
			return srv.serveSocket(ctx, conn, r, w)
		}
	}
	w.Queue()
	linger(ctx, conn, r)
	return nil
}

// readHead waits for the whole head of a request.
func readHead(ctx context.Context, r *proactor.Reader) ([]byte, error) {
	end := []byte("\r\n\r\n")
	for need := 1; ; need = r.Buffered() + 1 {
		if _, err := r.Peek(ctx, need); err != nil {
			return nil, err
		}
		p, err := r.Peek(ctx, min(r.Buffered(), headLimit))
		if err != nil {
			return nil, err
		}
		if i := bytes.Index(p, end); i >= 0 {
			r.Discard(i + len(end))
			return p[:i+len(end)], nil
		}
	}
}

// upgrade answers a request. It reports whether the connection is a WebSocket now.
func (srv *server) upgrade(head []byte, w *proactor.Writer) bool {
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	switch {
	case err != nil:
		answer(w, http.StatusBadRequest, "")
	case request.URL.Path == "/ws" && !sameOrigin(request):
		answer(w, http.StatusForbidden, "")
	case request.URL.Path == "/ws":
		var reply bytes.Buffer
		if _, err := (ws.Upgrader{}).Upgrade(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(head), &reply}); err == nil {
			w.Write(reply.Bytes())
			return true
		}
		answer(w, http.StatusBadRequest, "") // its own would not say that the connection ends
	case request.URL.Path != "/":
		answer(w, http.StatusNotFound, "")
	case request.Method == http.MethodGet:
		answer(w, http.StatusOK, page)
	default:
		answer(w, http.StatusMethodNotAllowed, "")
	}
	return false
}

// sameOrigin reports whether the page that opens a WebSocket is ours. A program that is
// no browser does not say where it comes from.
func sameOrigin(request *http.Request) bool {
	origin := request.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, request.Host)
}

// answer writes a response. A body is HTML.
func answer(w io.Writer, status int, body string) {
	kind := "text/html; charset=utf-8"
	if body == "" {
		kind, body = "text/plain", http.StatusText(status)+"\n"
	}
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), kind, len(body), body)
}

// serveSocket is serveLines for a WebSocket.
func (srv *server) serveSocket(ctx context.Context, conn *proactor.Conn, r *proactor.Reader, w *proactor.Writer) error {
	if _, err := w.Queue().Await(ctx); err != nil {
		return err
	}
	c := srv.enter(conn, true)
	var err error
	defer func() { c.leave(err) }()
	err = c.readMessages(ctx, r, w)
	if code, reason := closing(err, srv.lineLimit); code != 0 {
		w.Write(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason))))
	}
	if w.Buffered() > 0 { // a close frame
		w.Queue()
		linger(ctx, conn, r)
	}
	if errors.As(err, new(wsutil.ClosedError)) {
		return nil
	}
	return err
}

// closing is what the peer is told when its connection ends because of err; 0 is nothing.
func closing(err error, limit int) (ws.StatusCode, string) {
	var protocol ws.ProtocolError
	switch {
	case err == nil:
		return ws.StatusNormalClosure, ""
	case errors.Is(err, io.EOF):
		return ws.StatusGoingAway, "" // the server stops, or nobody reads it
	case errors.Is(err, wsutil.ErrFrameTooLarge), errors.Is(err, wsutil.ErrMessageTooLarge):
		return ws.StatusMessageTooBig, fmt.Sprintf("a message has %d bytes at most", limit)
	case errors.Is(err, wsutil.ErrInvalidUTF8):
		return ws.StatusInvalidFramePayloadData, ""
	case errors.Is(err, errLineTime):
		return ws.StatusPolicyViolation, "the message did not end in time"
	case errors.Is(err, errNoText):
		return ws.StatusUnsupportedData, "a message is text"
	case errors.As(err, &protocol):
		return ws.StatusProtocolError, ""
	}
	return 0, ""
}

var errNoText = errors.New("a message is not text")

// readMessages is readLines for a WebSocket.
func (c *client) readMessages(ctx context.Context, r *proactor.Reader, w *proactor.Writer) error {
	in := &wsutil.Reader{
		Source: r.Bound(ctx), State: ws.StateServerSide, CheckUTF8: true,
		OnIntermediate: wsutil.ControlFrameHandler(w, ws.StateServerSide),
		MaxFrameSize:   int64(c.srv.lineLimit), MaxMessageSize: int64(c.srv.lineLimit),
	}
	var message []byte
	for !c.gone {
		if _, err := r.Peek(ctx, 1); err != nil {
			return err
		}
		var err error
		c.hurry()
		message, err = appendMessage(message[:0], in)
		c.relax()
		if isLate(err) {
			return errLineTime
		}
		if err != nil {
			return err
		}
		if _, err := w.Queue().Await(ctx); err != nil { // a pong, if there was a ping
			return err
		}
		for line := range bytes.Lines(message) {
			if err := c.obey(ctx, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendMessage appends the next message to p, or nothing if a control frame comes first.
func appendMessage(p []byte, in *wsutil.Reader) ([]byte, error) {
	header, err := in.NextFrame()
	switch {
	case err != nil:
		return p, err
	case header.OpCode.IsControl():
		return p, in.OnIntermediate(header, in)
	case header.OpCode != ws.OpText:
		return p, errNoText
	}
	return appendAll(p, in)
}

// appendAll appends what r has to p.
func appendAll(p []byte, r io.Reader) ([]byte, error) {
	for {
		if len(p) == cap(p) {
			p = append(p, 0)[:len(p)]
		}
		n, err := r.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err == io.EOF {
			return p, nil
		}
		if err != nil {
			return p, err
		}
	}
}

// frames is lines as WebSocket has them: each is a message of its own.
func frames(l *proactor.Loop, lines []byte) proactor.Buffer {
	size := 0
	for line := range bytes.Lines(lines) {
		size += ws.MaxHeaderSize + len(line)
	}
	b := l.Buffer(size).Keep()
	out := bytes.NewBuffer(b.Bytes()[:0])
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		ws.WriteHeader(out, ws.Header{Fin: true, OpCode: ws.OpText, Length: int64(len(line))})
		out.Write(line)
	}
	return b.Truncate(out.Len())
}
