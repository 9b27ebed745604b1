package program_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
)

// TestFastHTTPInCoroutines tries what fasthttp does by other goroutines. Hijack works:
// fasthttp calls the hijacker on a goroutine of its own when ServeConn returns. So does
// TimeoutHandler, but the coroutine waits on a channel for it, and the loop with it:
// docs/tls.md says not to use it.
func TestFastHTTPInCoroutines(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, backend proactor.Backend) {
		rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
		require.NoError(t, err)
		t.Cleanup(func() { rt.Close() })
		ln, err := rt.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		never := make(chan struct{})
		t.Cleanup(func() { close(never) })
		slow := fasthttp.TimeoutHandler(func(*fasthttp.RequestCtx) { <-never }, time.Millisecond, "too slow")
		s := &fasthttp.Server{Handler: func(c *fasthttp.RequestCtx) {
			switch string(c.Path()) {
			case "/slow":
				slow(c)
			case "/hijack":
				c.Hijack(func(conn net.Conn) {
					line, _ := bufio.NewReader(conn).ReadString('\n')
					io.WriteString(conn, "hijacked "+line)
				})
			case "/stream":
				c.SetBodyStreamWriter(func(w *bufio.Writer) {
					for i := range 5 {
						fmt.Fprintln(w, "part", i)
						w.Flush()
					}
				})
			default:
				c.Write(c.PostBody())
			}
		}}
		go ln.Serve(t.Context(), func(ctx context.Context, c *proactor.Conn) error {
			return serveFast(ctx, s, c)
		})
		url := "http://" + ln.Addr().String()

		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		get := func(path string) (int, string) {
			r, err := client.Get(url + path)
			require.NoError(t, err)
			defer r.Body.Close()
			text, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			return r.StatusCode, string(text)
		}
		status, text := get("/slow")
		require.Equal(t, http.StatusRequestTimeout, status)
		require.Equal(t, "too slow", text)
		_, text = get("/stream")
		require.Equal(t, "part 0\npart 1\npart 2\npart 3\npart 4\n", text)

		c, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		in := bufio.NewReader(c)
		answer, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode)
		_, err = io.CopyN(io.Discard, in, answer.ContentLength)
		require.NoError(t, err)
		_, err = io.WriteString(c, "hello\n")
		require.NoError(t, err)
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "hijacked hello\n", line)
	})
}

// serveFast stays until the connection is closed: ServeConn returns at once when it is
// hijacked, and the end of the handler would end the connection.
func serveFast(ctx context.Context, s *fasthttp.Server, c *proactor.Conn) error {
	err := s.ServeConn(c.NetConn(ctx))
	if err == nil {
		_, err = c.Closed().Await(ctx)
	}
	return err
}
