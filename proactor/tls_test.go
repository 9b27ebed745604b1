package proactor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// tlsPlaces are where crypto/tls runs with connections of ours.
var tlsPlaces = map[string]tlsPlace{
	"coroutine": {
		serve: func(t *testing.T, rt *proactor.Runtime, config *tls.Config, handle func(*tls.Conn) error) net.Addr {
			return serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
				return handle(tls.Server(c.NetConn(ctx), config))
			})
		},
		dial: func(t *testing.T, rt *proactor.Runtime, addr net.Addr, config *tls.Config, use func(*tls.Conn)) {
			t.Helper()
			onLoop(t, rt.Loops()[0], func(ctx context.Context) {
				c, err := rt.DialContext(ctx, "tcp", addr.String())
				require.NoError(t, err)
				s := tls.Client(c, config)
				defer s.Close()
				use(s)
			})
		},
	},
	"goroutine": {
		serve: func(t *testing.T, rt *proactor.Runtime, config *tls.Config, handle func(*tls.Conn) error) net.Addr {
			ln := listen(t, rt)
			std := tls.NewListener(ln.NetListener(), config)
			var handlers sync.WaitGroup
			t.Cleanup(handlers.Wait)
			t.Cleanup(func() { std.Close() })
			handlers.Go(func() {
				for {
					c, err := std.Accept()
					if err != nil {
						return
					}
					handlers.Go(func() {
						defer c.Close()
						handle(c.(*tls.Conn))
					})
				}
			})
			return ln.Addr()
		},
		dial: func(t *testing.T, rt *proactor.Runtime, addr net.Addr, config *tls.Config, use func(*tls.Conn)) {
			t.Helper()
			c, err := rt.DialContext(t.Context(), "tcp", addr.String())
			require.NoError(t, err)
			s := tls.Client(c, config)
			defer s.Close()
			use(s)
		},
	},
}

type tlsPlace struct {
	// serve serves until the test ends. The connection is closed when handle returns.
	serve func(t *testing.T, rt *proactor.Runtime, config *tls.Config, handle func(*tls.Conn) error) net.Addr
	// dial connects, and closes when use returns.
	dial func(t *testing.T, rt *proactor.Runtime, addr net.Addr, config *tls.Config, use func(*tls.Conn))
}

// inTLSPlaces runs a test in each place on each backend.
func inTLSPlaces(t *testing.T, show func(t *testing.T, rt *proactor.Runtime, at tlsPlace)) {
	for name, at := range tlsPlaces {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) { show(t, rt, at) })
		})
	}
}

// tlsConfigs is selfSigned for 127.0.0.1, with the server's certificate for the client
// to identify itself with, too.
func tlsConfigs(t *testing.T) (server, client *tls.Config) {
	server, client = selfSigned(t)
	server.ClientCAs = client.RootCAs
	client.ServerName = "127.0.0.1"
	return server, client
}

func echoTLS(c *tls.Conn) error {
	_, err := io.Copy(onlyWriter{c}, onlyReader{c})
	return errors.Join(err, c.CloseWrite())
}

func tlsVersions() map[string]uint16 {
	return map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}
}

// eachVersion runs a test with configurations of each version.
func eachVersion(t *testing.T, server, client *tls.Config, show func(t *testing.T, server, client *tls.Config)) {
	for name, version := range tlsVersions() {
		t.Run(name, func(t *testing.T) {
			server, client := server.Clone(), client.Clone()
			server.MinVersion, server.MaxVersion = version, version
			client.MinVersion = tls.VersionTLS12
			show(t, server, client)
		})
	}
}

func TestTLSProtocols(t *testing.T) {
	server, client := tlsConfigs(t)
	server.NextProtos = []string{"one", "two"}
	inTLSPlaces(t, func(t *testing.T, rt *proactor.Runtime, at tlsPlace) {
		chosen := make(chan string, 1)
		addr := at.serve(t, rt, server, func(c *tls.Conn) error {
			err := c.Handshake()
			chosen <- c.ConnectionState().NegotiatedProtocol
			return errors.Join(err, echoTLS(c))
		})
		config := client.Clone()
		config.NextProtos = []string{"other", "two"}
		c, err := tls.Dial("tcp", addr.String(), config)
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, "two", c.ConnectionState().NegotiatedProtocol)
		require.Equal(t, "two", <-chosen)

		config.NextProtos = []string{"other"}
		_, err = tls.Dial("tcp", addr.String(), config)
		require.ErrorContains(t, err, "no application protocol")
		<-chosen
	})
}

func TestTLSClientCertificates(t *testing.T) {
	server, client := tlsConfigs(t)
	server.ClientAuth = tls.RequireAndVerifyClientCert
	eachVersion(t, server, client, func(t *testing.T, server, client *tls.Config) {
		inTLSPlaces(t, func(t *testing.T, rt *proactor.Runtime, at tlsPlace) {
			shaken := make(chan error, 2)
			addr := at.serve(t, rt, server, func(c *tls.Conn) error {
				err := c.Handshake()
				if err == nil && len(c.ConnectionState().VerifiedChains) == 0 {
					err = errors.New("no certificate was verified")
				}
				shaken <- err
				return errors.Join(err, echoTLS(c))
			})
			known := client.Clone()
			known.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &server.Certificates[0], nil
			}
			known.Certificates = server.Certificates
			at.dial(t, rt, addr, known, func(c *tls.Conn) {
				wrote(t, c, "hello")
				require.Equal(t, "hello", readFull(t, c, 5))
			})
			require.NoError(t, <-shaken)
			unknown, err := tls.Dial("tcp", addr.String(), client)
			if err == nil { // with TLS 1.3 the client learns of it when it reads
				defer unknown.Close()
				_, err = unknown.Read(make([]byte, 1))
			}
			require.Error(t, err) // the alert, or a reset that was faster
			require.ErrorContains(t, <-shaken, "certificate")
		})
	})
}

func TestTLSResumption(t *testing.T) {
	server, client := tlsConfigs(t)
	eachVersion(t, server, client, func(t *testing.T, server, client *tls.Config) {
		inTLSPlaces(t, func(t *testing.T, rt *proactor.Runtime, at tlsPlace) {
			server, client := server.Clone(), client.Clone()
			client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			resumed := make(chan bool, 1)
			addr := at.serve(t, rt, server, func(c *tls.Conn) error {
				err := c.Handshake()
				resumed <- c.ConnectionState().DidResume
				return errors.Join(err, echoTLS(c))
			})
			for i := range 3 {
				at.dial(t, rt, addr, client, func(c *tls.Conn) {
					wrote(t, c, "hello")
					require.Equal(t, "hello", readFull(t, c, 5))
					require.Equal(t, i > 0, c.ConnectionState().DidResume)
				})
				require.Equal(t, i > 0, <-resumed)
			}
		})
	})
}

// TestTLSEnd: an end that was announced by close_notify, one that was not, which
// crypto/tls lets pass between two records, and one in the middle of a record; each seen
// from either side.
func TestTLSEnd(t *testing.T) {
	server, client := tlsConfigs(t)
	cut := func(c *tls.Conn, last ...byte) error {
		_, err := c.NetConn().Write(last)
		return errors.Join(err, c.NetConn().(interface{ CloseWrite() error }).CloseWrite())
	}
	for name, way := range map[string]struct {
		end  func(*tls.Conn) error
		want error
	}{
		"close_notify":        {(*tls.Conn).CloseWrite, io.EOF},
		"between two records": {func(c *tls.Conn) error { return cut(c) }, io.EOF},
		"in a record":         {func(c *tls.Conn) error { return cut(c, 23, 3, 3, 0, 50) }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			end, want := way.end, way.want
			eachVersion(t, server, client, func(t *testing.T, server, client *tls.Config) {
				inTLSPlaces(t, func(t *testing.T, rt *proactor.Runtime, at tlsPlace) {
					seen := make(chan error, 1)
					addr := at.serve(t, rt, server, func(c *tls.Conn) error {
						_, err := c.Read(make([]byte, 16))
						if err == nil {
							_, err = c.Read(make([]byte, 16))
						}
						seen <- err
						_, err = c.Write([]byte("bye"))
						return errors.Join(err, end(c))
					})
					at.dial(t, rt, addr, client, func(c *tls.Conn) {
						wrote(t, c, "hello")
						require.NoError(t, end(c))
						require.Equal(t, "bye", readFull(t, c, 3))
						_, err := c.Read(make([]byte, 16))
						require.ErrorIs(t, err, want)
					})
					require.ErrorIs(t, <-seen, want)
				})
			})
		})
	}
}

// TestTLSHandshakeFails: a client that keeps silent, or says something else, costs its
// own connection only.
func TestTLSHandshakeFails(t *testing.T) {
	server, client := tlsConfigs(t)
	withDeadline := func(c *tls.Conn) error {
		c.SetDeadline(soon())
		return c.Handshake()
	}
	withContext := func(c *tls.Conn) error {
		ctx, cancel := context.WithDeadline(context.Background(), soon())
		defer cancel()
		return c.HandshakeContext(ctx)
	}
	timesOut := func(t *testing.T, err error) {
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout(), err)
	}
	for name, fault := range map[string]struct {
		shake func(*tls.Conn) error
		peer  func(net.Conn) error
		check func(*testing.T, error)
	}{
		"deadline": {withDeadline, func(net.Conn) error { return nil }, func(t *testing.T, err error) {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			timesOut(t, err)
		}},
		"deadline in the middle": {withDeadline, func(c net.Conn) error { _, err := c.Write([]byte{22, 3, 1, 2, 0, 1}); return err }, timesOut},
		"context": {withContext, func(net.Conn) error { return nil }, func(t *testing.T, err error) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}},
		"something else": {(*tls.Conn).Handshake, func(c net.Conn) error { _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); return err }, func(t *testing.T, err error) {
			var header tls.RecordHeaderError
			require.ErrorAs(t, err, &header)
		}},
		"cut": {(*tls.Conn).Handshake, func(c net.Conn) error {
			_, err := c.Write([]byte{22, 3, 1, 2, 0, 1})
			return errors.Join(err, c.(*net.TCPConn).CloseWrite())
		}, func(t *testing.T, err error) { require.ErrorIs(t, err, io.ErrUnexpectedEOF) }},
	} {
		t.Run(name, func(t *testing.T) {
			inTLSPlaces(t, func(t *testing.T, rt *proactor.Runtime, at tlsPlace) {
				var faulty sync.Once
				seen := make(chan error, 1)
				addr := at.serve(t, rt, server, func(c *tls.Conn) error {
					var err error
					first := false
					faulty.Do(func() { first = true })
					if !first {
						return echoTLS(c)
					}
					err = fault.shake(c)
					seen <- err
					return err
				})
				c := dial(t, addr)
				require.NoError(t, fault.peer(c))
				fault.check(t, <-seen)
				require.NoError(t, tlsEcho(addr, client, 1))
			})
		})
	}
}

// TestTLSBulk moves much both ways at once, with ours as the server and as the client.
func TestTLSBulk(t *testing.T) {
	server, client := tlsConfigs(t)
	const size = 8 << 20
	inTLSPlaces(t, func(t *testing.T, rt *proactor.Runtime, at tlsPlace) {
		addr := at.serve(t, rt, server, echoTLS)
		at.dial(t, rt, addr, client, func(c *tls.Conn) {
			out := make([]byte, size)
			rand.NewChaCha8([32]byte{1}).Read(out)
			// Not at once in a task: it does one thing at a time. What the server has
			// no room for waits in its peer.
			for at := 0; at < size; at += 64 << 10 {
				piece := out[at:][:64<<10]
				wrote(t, c, string(piece))
				got := make([]byte, len(piece))
				_, err := io.ReadFull(c, got)
				require.NoError(t, err)
				require.True(t, bytes.Equal(piece, got), "at %d", at)
			}
			require.NoError(t, c.CloseWrite())
			_, err := c.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
		})
		var clients sync.WaitGroup
		failed := make(chan error, 4)
		for i := range cap(failed) {
			clients.Go(func() { failed <- tlsEcho(addr, client, uint64(i)) })
		}
		clients.Wait()
		for range cap(failed) {
			require.NoError(t, <-failed)
		}
	})
}

// TestTLSIdleHoldsNothing: a connection that waits in crypto/tls has no buffer of the
// loop's, whatever went over it before.
func TestTLSIdleHoldsNothing(t *testing.T) {
	server, client := tlsConfigs(t)
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := tlsPlaces["coroutine"].serve(t, rt, server, echoTLS)
		for _, size := range []int{1, 500, 5000, 16 << 10, 100_000, 1 << 20} {
			c, err := tls.Dial("tcp", addr.String(), client)
			require.NoError(t, err)
			defer c.Close()
			go c.Write(make([]byte, size))
			_, err = io.ReadFull(c, make([]byte, size))
			require.NoError(t, err)
		}
		eventually(t, func() bool { return rt.Stats().Total().BuffersOut == 0 && rt.Stats().Total().Held == 0 }, func() string {
			return fmt.Sprintf("%+v", rt.Stats().Total())
		})
	})
}
