package proxyprotocol_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/goproactor/goproactor/proactor/proxyprotocol"
)

func onEach(t *testing.T, show func(t *testing.T, rt *proactor.Runtime)) {
	proactortest.Each(t, func(t *testing.T, backend proactor.Backend) {
		rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
		require.NoError(t, err)
		t.Cleanup(func() { rt.Close() })
		show(t, rt)
	})
}

// serve has handle answer the connections, and returns their address and its errors.
func serve(t *testing.T, rt *proactor.Runtime, handle func(context.Context, *proactor.Conn) error) (net.Addr, chan error) {
	t.Helper()
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 16)
	go ln.Serve(t.Context(), func(ctx context.Context, c *proactor.Conn) error {
		err := handle(ctx, c)
		ended <- err
		return err
	})
	return ln.Addr(), ended
}

func dial(t *testing.T, addr net.Addr) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// describe answers with the addresses that a handler sees, and the rest of what comes in.
func describe(ctx context.Context, c *proactor.Conn, opts ...proxyprotocol.Option) error {
	conn, err := proxyprotocol.Accept(ctx, c, opts...)
	if err != nil {
		return err
	}
	rest, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	from, to := conn.RemoteAddr().String(), conn.LocalAddr().String()
	if from == c.RemoteAddr().String() {
		from = "its own"
	}
	if to == c.LocalAddr().String() {
		to = "its own"
	}
	_, err = io.WriteString(conn, from+" to "+to+": "+string(rest))
	return err
}

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// binary4 is a header of version 2, with TLVs.
func binary4(t *testing.T, tlvs ...proxyproto.TLV) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5000}, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 2), Port: 443})
	require.NoError(t, h.SetTLVs(tlvs))
	p, err := h.Format()
	require.NoError(t, err)
	return string(p)
}

func headers(t *testing.T) map[string][2]string {
	unix := "\x21\x31\x00\xd8" + pad("/from", 108) + pad("/to", 108)
	return map[string][2]string{
		"1, TCP4":                {"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n", "192.0.2.1:5000 to 198.51.100.2:443"},
		"1, TCP6":                {"PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n", "[2001:db8::1]:5000 to [2001:db8::2]:443"},
		"1, UNKNOWN":             {"PROXY UNKNOWN\r\n", "its own to its own"},
		"1, UNKNOWN and a rest":  {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "its own to its own"},
		"2, TCP4":                {binary4(t), "192.0.2.1:5000 to 198.51.100.2:443"},
		"2, TCP4 with TLVs":      {binary4(t, proxyproto.TLV{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("example.org")}, proxyproto.TLV{Type: proxyproto.PP2_TYPE_NOOP, Value: make([]byte, 1000)}), "192.0.2.1:5000 to 198.51.100.2:443"},
		"2, LOCAL":               {signature + "\x20\x00\x00\x00", "its own to its own"},
		"2, LOCAL with a length": {signature + "\x20\x11\x00\x0c" + strings.Repeat("x", 12), "its own to its own"},
		"2, unix":                {signature + unix, "/from to /to"},
	}
}

func pad(s string, n int) string { return s + strings.Repeat("\x00", n-len(s)) }

// TestAccept sends each header whole, split at every byte, and byte by byte.
func TestAccept(t *testing.T) {
	const rest = "and what follows"
	for name, header := range headers(t) {
		t.Run(name, func(t *testing.T) {
			text := header[0] + rest
			splits := map[string][]string{"whole": {text}, "byte by byte": strings.Split(text, "")}
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr, ended := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error { return describe(ctx, c) })
				check := func(pieces ...string) {
					c := dial(t, addr)
					for _, p := range pieces {
						_, err := io.WriteString(c, p)
						require.NoError(t, err)
					}
					require.NoError(t, c.CloseWrite())
					all, err := io.ReadAll(c)
					require.NoError(t, err)
					require.Equal(t, header[1]+": "+rest, string(all), "%q", pieces)
					require.NoError(t, <-ended)
					c.Close()
				}
				for _, pieces := range splits {
					check(pieces...)
				}
				for at := 1; at < min(len(text), 150); at++ {
					check(text[:at], text[at:])
				}
			})
		})
	}
}

// TestReadHeader leaves what follows to every way of receiving.
func TestReadHeader(t *testing.T) {
	const rest = "and what follows"
	ways := map[string]func(context.Context, *proactor.Conn) (string, error){
		"Recv": func(ctx context.Context, c *proactor.Conn) (string, error) {
			var all bytes.Buffer
			for b, err := range c.Bufs(ctx) {
				if err != nil {
					return "", err
				}
				all.Write(b.Bytes())
				b.Release()
			}
			return all.String(), nil
		},
		"Reader": func(ctx context.Context, c *proactor.Conn) (string, error) {
			p, err := c.Reader().Peek(ctx, len(rest))
			return string(p), err
		},
		"Detach": func(_ context.Context, c *proactor.Conn) (string, error) {
			conn, err := c.Detach()
			if err != nil {
				return "", err
			}
			defer conn.Close()
			p := make([]byte, len(rest))
			_, err = io.ReadFull(conn, p)
			return string(p), err
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr, ended := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
					h, err := proxyprotocol.ReadHeader(ctx, c)
					if err != nil {
						return err
					}
					tlvs, err := h.TLVs()
					if err != nil || len(tlvs) != 1 || string(tlvs[0].Value) != "example.org" {
						return errors.Join(err, errors.New("the TLV is missing"))
					}
					got, err := way(ctx, c)
					if err == nil && got != rest {
						err = errors.New("got " + got)
					}
					return err
				})
				c := dial(t, addr)
				_, err := io.WriteString(c, binary4(t, proxyproto.TLV{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("example.org")})+rest)
				require.NoError(t, err)
				require.NoError(t, c.CloseWrite())
				require.NoError(t, <-ended)
			})
		})
	}
}

func TestRefused(t *testing.T) {
	for name, bad := range map[string]struct {
		text string
		open bool // the peer does not end
		want error
	}{
		"something else":          {"GET / HTTP/1.1\r\n\r\n", true, proxyprotocol.ErrNoHeader},
		"one byte":                {"G", true, proxyprotocol.ErrNoHeader},
		"almost version 1":        {"PROXx", true, proxyprotocol.ErrNoHeader},
		"almost version 2":        {"\r\n\r\n\x00\r\nQUIt", true, proxyprotocol.ErrNoHeader},
		"an empty line":           {"\r\nGET", true, proxyprotocol.ErrNoHeader},
		"no end of version 1":     {"PROXY " + strings.Repeat("x", 200), true, proxyprotocol.ErrHeaderTooLong},
		"a protocol of its own":   {"PROXY TCP7 1.2.3.4 5.6.7.8 1 2\r\n", true, nil},
		"no addresses":            {"PROXY TCP4\r\n", true, nil},
		"a port too large":        {"PROXY TCP4 1.2.3.4 5.6.7.8 70000 2\r\n", true, proxyproto.ErrInvalidPortNumber},
		"only a line feed":        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", true, proxyproto.ErrLineMustEndWithCrlf},
		"version 3":               {signature + "\x31\x11\x00\x0c" + strings.Repeat("x", 12), true, nil},
		"a length too long":       {signature + "\x21\x11\xff\xff", true, proxyprotocol.ErrHeaderTooLong},
		"a length too short":      {signature + "\x21\x11\x00\x04abcd", true, proxyproto.ErrInvalidLength},
		"the end at once":         {"", false, io.EOF},
		"the end in a signature":  {"PRO", false, io.ErrUnexpectedEOF},
		"the end in version 1":    {"PROXY TCP4 1.2", false, io.ErrUnexpectedEOF},
		"the end in version 2":    {signature + "\x21\x11\x00\x0cabc", false, io.ErrUnexpectedEOF},
		"nothing":                 {"", true, context.DeadlineExceeded},
		"a part of version 1":     {"PROXY TCP4 1.2.3.4", true, context.DeadlineExceeded},
		"a part of version 2":     {signature[:7], true, context.DeadlineExceeded},
		"version 2 but its end":   {signature + "\x21\x11\x00\x0cabc", true, context.DeadlineExceeded},
		"an end that is half one": {"PROXY UNKNOWN\r", true, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr, ended := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
					timeout := time.Minute
					if bad.want == context.DeadlineExceeded {
						timeout = time.Millisecond
					}
					_, err := proxyprotocol.Accept(ctx, c, proxyprotocol.Timeout(timeout))
					return err
				})
				c := dial(t, addr)
				_, err := io.WriteString(c, bad.text)
				require.NoError(t, err)
				if !bad.open {
					require.NoError(t, c.CloseWrite())
				}
				err = <-ended
				require.Error(t, err)
				if bad.want != nil {
					require.ErrorIs(t, err, bad.want)
				}
				if err != io.EOF {
					require.ErrorContains(t, err, addr.String())
				}
			})
		})
	}
}

// TestOptional serves clients without a header as they are, and loses nothing of them.
func TestOptional(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr, ended := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			return describe(ctx, c, proxyprotocol.Optional())
		})
		for text, want := range map[string]string{
			"PROY hello":    "its own to its own: PROY hello",
			"\r\n\r\n...":   "its own to its own: \r\n\r\n...",
			"hello":         "its own to its own: hello",
			binary4(t) + "": "192.0.2.1:5000 to 198.51.100.2:443: ",
		} {
			c := dial(t, addr)
			_, err := io.WriteString(c, text)
			require.NoError(t, err)
			require.NoError(t, c.CloseWrite())
			all, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, want, string(all))
			require.NoError(t, <-ended)
		}
	})
}

// TestDetached is the library by itself, on goroutines.
func TestDetached(t *testing.T) {
	for name, header := range headers(t) {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				ln, err := rt.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				std := &proxyproto.Listener{Listener: ln.NetListener()}
				defer std.Close()
				c := dial(t, ln.Addr())
				_, err = io.WriteString(c, header[0]+"rest")
				require.NoError(t, err)
				require.NoError(t, c.CloseWrite())
				conn, err := std.Accept()
				require.NoError(t, err)
				defer conn.Close()
				if !strings.HasPrefix(header[1], "its own") {
					from, _, _ := strings.Cut(header[1], " to ")
					require.Equal(t, from, conn.RemoteAddr().String())
				}
				rest, err := io.ReadAll(conn)
				require.NoError(t, err)
				require.Equal(t, "rest", string(rest))
			})
		})
	}
}
