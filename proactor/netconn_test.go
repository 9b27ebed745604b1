package proactor_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

// TestNetConn is the conformance suite of package net, against a client of
// package net and with both ends ours.
func TestNetConn(t *testing.T) {
	t.Run("client of net", func(t *testing.T) {
		onEach(t, func(t *testing.T, rt *proactor.Runtime) {
			nettest.TestConn(t, func() (ours, theirs net.Conn, stop func(), err error) { return pipe(rt) })
		})
	})
	t.Run("both ends", func(t *testing.T) {
		onEach(t, func(t *testing.T, rt *proactor.Runtime) {
			nettest.TestConn(t, func() (one, other net.Conn, stop func(), err error) { return relayed(rt) })
		})
	})
}

// pipe is a connection of ours and the client at its other end.
func pipe(rt *proactor.Runtime) (ours, theirs net.Conn, stop func(), err error) {
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, nil, err
	}
	defer ln.Close()
	if theirs, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, nil, nil, err
	}
	c, err := ln.Accept().Await(context.Background())
	if err != nil {
		theirs.Close()
		return nil, nil, nil, err
	}
	stop = func() {
		theirs.Close()
		c.Abort()
		c.Closed().Await(context.Background())
	}
	return c.NetConn(context.Background()), theirs, stop, nil
}

// relayed is two connections of ours with a splice of package net between
// their clients: bytes, and the end of them, pass through.
func relayed(rt *proactor.Runtime) (one, other net.Conn, stop func(), err error) {
	one, a, stopOne, err := pipe(rt)
	if err != nil {
		return nil, nil, nil, err
	}
	other, b, stopOther, err := pipe(rt)
	if err != nil {
		stopOne()
		return nil, nil, nil, err
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			way[0].(*net.TCPConn).CloseWrite()
			way[1].(*net.TCPConn).CloseRead()
		})
	}
	stop = func() {
		stopOne()
		stopOther()
		both.Wait()
	}
	return one, other, stop, nil
}

// TestNetConnClose ends reads and writes that wait.
func TestNetConnClose(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ours, _, stop, err := pipe(rt)
		require.NoError(t, err)
		defer stop()
		read := make(chan error, 1)
		go func() {
			_, err := ours.Read(make([]byte, 1))
			read <- err
		}()
		require.NoError(t, ours.Close())
		require.ErrorIs(t, <-read, net.ErrClosed)
		_, err = ours.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = ours.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestNetConnErrorsAreOpErrors(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ours, theirs, stop, err := pipe(rt)
		require.NoError(t, err)
		defer stop()
		require.NoError(t, ours.SetReadDeadline(time.Unix(1, 0)))
		_, err = ours.Read(make([]byte, 1))
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, "read", op.Op)
		require.True(t, op.Timeout())

		require.NoError(t, ours.SetReadDeadline(time.Time{}))
		require.NoError(t, theirs.Close())
		_, err = ours.Read(make([]byte, 1))
		require.True(t, err == io.EOF, "io.EOF itself, unwrapped: %v", err)
	})
}

// TestTLSInHandler runs crypto/tls inside a coroutine, a MiB each way.
func TestTLSInHandler(t *testing.T) {
	server, client := selfSigned(t)
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			s := tls.Server(c.NetConn(ctx), server)
			defer s.Close()
			_, err := io.Copy(onlyWriter{s}, onlyReader{s})
			return errors.Join(err, s.CloseWrite())
		})
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				if err := tlsEcho(addr, client, uint64(i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

// onlyReader and onlyWriter keep io.Copy from finding other methods.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

func tlsEcho(addr net.Addr, cfg *tls.Config, seed uint64) error {
	c, err := tls.Dial("tcp", addr.String(), cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	var key [32]byte
	key[0] = byte(seed)
	out := make([]byte, 1<<20)
	rand.NewChaCha8(key).Read(out)
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(out)
		written <- errors.Join(err, c.CloseWrite())
	}()
	in, err := io.ReadAll(c)
	if err = errors.Join(err, <-written); err != nil {
		return err
	}
	if !bytes.Equal(in, out) {
		return fmt.Errorf("%d bytes came back, or other bytes", len(in))
	}
	return nil
}

// selfSigned makes the two sides' configurations for 127.0.0.1.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"}, // curl insists on one
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots}
}

// TestHTTP serves net/http, unchanged, through NetListener.
func TestHTTP(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		inside := make(chan struct{}) // a request is being served
		finish := make(chan struct{})
		mux := http.NewServeMux()
		mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "hello %s", r.URL.Query().Get("name"))
		})
		mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
		mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
			close(inside)
			<-finish
			io.WriteString(w, "finished")
		})
		server := &http.Server{Handler: mux}
		served := make(chan error, 1)
		go func() { served <- server.Serve(ln.NetListener()) }()

		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		url := "http://" + ln.Addr().String()

		for i := range 10 {
			body, reused := get(t, client, fmt.Sprintf("%s/hello?name=%d", url, i))
			require.Equal(t, fmt.Sprintf("hello %d", i), body)
			require.Equal(t, i > 0, reused, "keep-alive")
		}
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		resp, err := client.Post(url+"/echo", "application/octet-stream", bytes.NewReader(big))
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.True(t, bytes.Equal(big, got))

		// Shutdown waits for the request under way, and ends idle connections.
		slow := make(chan string, 1)
		go func() {
			resp, err := client.Get(url + "/slow")
			if err != nil {
				slow <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			slow <- string(b)
		}()
		<-inside
		shut := make(chan error, 1)
		go func() { shut <- server.Shutdown(context.Background()) }()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		close(finish)
		require.Equal(t, "finished", <-slow)
		require.NoError(t, <-shut)
		eventually(t, func() bool { return rt.Stats().Total().Conns == 0 }, func() string { return rt.Describe() })
	})
}

func get(t *testing.T, client *http.Client, url string) (body string, reused bool) {
	t.Helper()
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b), reused
}

// TestHTTPClientGoesAway ends a request whose client has left: the server's
// background read and its cancellation by deadline work on our connections.
func TestHTTPClientGoesAway(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		started, ended := make(chan struct{}), make(chan struct{})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(started)
			<-r.Context().Done()
			close(ended)
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(ln.NetListener()) }()
		ctx, cancel := context.WithCancel(t.Context())
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		got := make(chan error, 1)
		go func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ln.Addr().String(), nil)
			_, err := transport.RoundTrip(req)
			got <- err
		}()
		<-started
		cancel()
		require.ErrorIs(t, <-got, context.Canceled)
		<-ended
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}
