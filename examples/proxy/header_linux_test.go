package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

// telling is a server that answers with the source in the header of each connection,
// and with what comes behind the header.
func telling(t *testing.T) *testUpstream {
	return start(t, "127.0.0.1:0", func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		h, err := proxyproto.Read(r)
		if err != nil {
			return // a health check
		}
		io.WriteString(c, h.SourceAddr.String()+" to "+h.DestinationAddr.String()+": ")
		io.Copy(c, r)
		c.CloseWrite()
	})
}

// TestSendProxy tells the upstream who the client is.
func TestSendProxy(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		u := telling(t)
		for _, version := range []string{"v1", "v2"} {
			s := proxied(t, backend, u.address(), "-send-proxy", version)
			c, err := net.Dial("tcp", s.Addr)
			require.NoError(t, err)
			defer c.Close()
			require.Equal(t, c.LocalAddr().String()+" to "+s.Addr+": hello", said(t, c, "hello"))
			s.Stop(t, syscall.SIGTERM)
		}
	})
}

// said sends pieces and the end, and returns what comes back.
func said(t *testing.T, c net.Conn, pieces ...string) string {
	t.Helper()
	for _, p := range pieces {
		_, err := io.WriteString(c, p)
		require.NoError(t, err)
	}
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(answer)
}

// TestAcceptProxy believes what another proxy says of the client, and passes it on.
func TestAcceptProxy(t *testing.T) {
	block := func(source, destination string) string {
		from, err := net.ResolveTCPAddr("tcp", source)
		require.NoError(t, err)
		to, err := net.ResolveTCPAddr("tcp", destination)
		require.NoError(t, err)
		raw, err := proxyproto.HeaderProxyFromAddrs(2, from, to).Format()
		require.NoError(t, err)
		return string(raw)
	}
	headers := map[string]struct{ header, tells string }{
		"v1":         {"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", "192.0.2.1:1234 to 192.0.2.2:80"},
		"v1 of IPv6": {"PROXY TCP6 2001:db8::1 2001:db8::2 1234 80\r\n", "[2001:db8::1]:1234 to [2001:db8::2]:80"},
		"v2":         {block("192.0.2.1:1234", "192.0.2.2:80"), "192.0.2.1:1234 to 192.0.2.2:80"},
		"v2 of IPv6": {block("[2001:db8::1]:1234", "[2001:db8::2]:80"), "[2001:db8::1]:1234 to [2001:db8::2]:80"},
	}
	onEach(t, func(t *testing.T, backend string) {
		u := telling(t)
		s := proxied(t, backend, u.address(), "-accept-proxy", "-send-proxy", "v1")
		for name, h := range headers {
			for _, pieces := range [][]string{{h.header + "hello"}, {h.header, "hello"}, strings.Split(h.header+"hello", "")} {
				c, err := net.Dial("tcp", s.Addr)
				require.NoError(t, err)
				defer c.Close()
				require.Equal(t, h.tells+": hello", said(t, c, pieces...), "%s in %d pieces", name, len(pieces))
			}
		}
		for _, own := range []string{"PROXY UNKNOWN\r\n", string(proxyproto.SIGV2) + "\x20\x00\x00\x00"} { // of the other proxy itself
			c, err := net.Dial("tcp", s.Addr)
			require.NoError(t, err)
			defer c.Close()
			require.Equal(t, c.LocalAddr().String()+" to "+s.Addr+": hello", said(t, c, own, "hello"))
		}
		s.Stop(t, syscall.SIGTERM)
	})
}

// TestNoHeader resets whoever does not begin with a header.
func TestNoHeader(t *testing.T) {
	onEach(t, func(t *testing.T, backend string) {
		s := proxied(t, backend, start(t, "127.0.0.1:0", echo).address(), "-accept-proxy")
		for _, begins := range []string{
			"GET / HTTP/1.1\r\n\r\n",
			"PROXIMITY\r\n",
			"PROXY TCP4 nobody nowhere 1 2\r\n",
			"PROXY " + strings.Repeat("x", 200),
			string(proxyproto.SIGV2) + "\x21\x11\xff\xff" + strings.Repeat("x", 100),
			string(proxyproto.SIGV2[:5]) + "other things than a signature",
		} {
			c, err := net.Dial("tcp", s.Addr)
			require.NoError(t, err)
			defer c.Close()
			_, err = io.WriteString(c, begins)
			require.NoError(t, err)
			answer, err := io.ReadAll(c)
			require.ErrorIs(t, err, syscall.ECONNRESET, "%q", begins)
			require.Empty(t, answer)
		}
		s.Stop(t, syscall.SIGTERM)
	})
}
