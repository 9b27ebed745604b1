package proactor_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// TestHTTPVersions serves net/http on a NetListener, and has http.Transport dial through
// the runtime: HTTP/1.1 and HTTP/2, each with TLS and without.
func TestHTTPVersions(t *testing.T) {
	server, client := tlsConfigs(t)
	for name, v := range map[string]struct {
		secure bool
		set    func(*http.Protocols)
		want   string
	}{
		"h1":          {false, func(p *http.Protocols) { p.SetHTTP1(true) }, "HTTP/1.1"},
		"h1 over TLS": {true, func(p *http.Protocols) { p.SetHTTP1(true) }, "HTTP/1.1"},
		"h2 over TLS": {true, func(p *http.Protocols) { p.SetHTTP2(true) }, "HTTP/2.0"},
		"h2c":         {false, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, "HTTP/2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				protocols := new(http.Protocols)
				v.set(protocols)
				ln := listen(t, rt)
				s := &http.Server{Protocols: protocols, TLSConfig: server.Clone(), Handler: http.HandlerFunc(echoHTTP)}
				served := make(chan error, 1)
				go func() {
					if v.secure {
						served <- s.ServeTLS(ln.NetListener(), "", "")
					} else {
						served <- s.Serve(ln.NetListener())
					}
				}()
				transport := &http.Transport{
					DialContext:       rt.DialContext,
					Protocols:         protocols,
					TLSClientConfig:   client.Clone(),
					ForceAttemptHTTP2: true,
				}
				scheme := "http://"
				if v.secure {
					scheme = "https://"
				}
				var requests sync.WaitGroup
				for i := range 8 {
					requests.Go(func() {
						body := strings.Repeat(fmt.Sprint(i), 100_000)
						got, err := post(t.Context(), transport, scheme+ln.Addr().String(), body)
						if err != nil || got != v.want+" "+body {
							t.Errorf("%.20s: %v", got, err)
						}
					})
				}
				requests.Wait()
				transport.CloseIdleConnections()
				require.NoError(t, s.Shutdown(context.Background()))
				require.ErrorIs(t, <-served, http.ErrServerClosed)
			})
		})
	}
}

// echoHTTP answers with the protocol and the body.
func echoHTTP(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex()
	io.WriteString(w, r.Proto+" ")
	io.Copy(w, r.Body)
}

func post(ctx context.Context, transport *http.Transport, url, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// TestHTTPDialTLS has http.Transport take a connection of crypto/tls that its caller has
// made through the runtime.
func TestHTTPDialTLS(t *testing.T) {
	server, client := tlsConfigs(t)
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		s := &http.Server{TLSConfig: server.Clone(), Handler: http.HandlerFunc(echoHTTP)}
		go s.ServeTLS(ln.NetListener(), "", "")
		defer s.Close()
		transport := &http.Transport{DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := rt.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			secured := tls.Client(c, client)
			return secured, secured.HandshakeContext(ctx)
		}}
		defer transport.CloseIdleConnections()
		got, err := post(t.Context(), transport, "https://"+ln.Addr().String(), "hello")
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 hello", got)
	})
}
