package proactor_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// program is the path of a program, without which the test is skipped.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s, which is not installed", name)
	}
	return path
}

// pemFiles writes a server's certificate and key for a program to read.
func pemFiles(t *testing.T, config *tls.Config) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(config.Certificates[0].PrivateKey)
	require.NoError(t, err)
	return write("certificate.pem", "CERTIFICATE", config.Certificates[0].Certificate[0]), write("key.pem", "PRIVATE KEY", der)
}

// interactive is a program that is talked to.
type interactive struct {
	io.WriteCloser
	out   *bufio.Reader // and what it complains of
	ended func() error
}

func interact(t *testing.T, path string, args ...string) *interactive {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	return &interactive{in, bufio.NewReader(out), cmd.Wait}
}

// until reads lines until one has the prefix.
func (p *interactive) until(t *testing.T, prefix string) {
	t.Helper()
	var before strings.Builder
	for {
		line, err := p.out.ReadString('\n')
		require.NoError(t, err, "no line %q in:\n%s", prefix, &before)
		if strings.HasPrefix(line, prefix) {
			return
		}
		before.WriteString(line)
	}
}

// TestTLSOpenSSLClient has s_client talk to us, change the keys in the middle, and end.
func TestTLSOpenSSLClient(t *testing.T) {
	openssl := program(t, "openssl")
	server, _ := tlsConfigs(t)
	server.NextProtos = []string{"lines"}
	inTLSPlaces(t, func(t *testing.T, rt *proactor.Runtime, at tlsPlace) {
		ended := make(chan error, 1)
		addr := at.serve(t, rt, server, func(c *tls.Conn) error {
			err := echoLines(c)
			ended <- err
			return err
		})
		p := interact(t, openssl, "s_client", "-connect", addr.String(), "-tls1_3", "-alpn", "lines")
		p.until(t, "---")
		for i, command := range []string{"", "k", "K", "K"} { // its own keys, and those of both sides
			if command != "" {
				wrote(t, p, command+"\n")
				p.until(t, "KEYUPDATE")
			}
			line := fmt.Sprintf("line %d\n", i)
			wrote(t, p, line)
			p.until(t, "echo "+line)
		}
		wrote(t, p, "Q\n") // closes, with close_notify
		require.NoError(t, p.ended())
		require.Equal(t, io.EOF, <-ended)
	})
}

func echoLines(c net.Conn) error {
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if _, err := io.WriteString(c, "echo "+line); err != nil {
			return err
		}
	}
}

// TestTLSOpenSSLServer talks to s_server, which turns every line around.
func TestTLSOpenSSLServer(t *testing.T) {
	openssl := program(t, "openssl")
	server, client := tlsConfigs(t)
	certificate, key := pemFiles(t, server)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version[1:], func(t *testing.T) {
			inTLSPlaces(t, func(t *testing.T, rt *proactor.Runtime, at tlsPlace) {
				p := interact(t, openssl, "s_server", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key, version, "-rev")
				line, err := p.out.ReadString('\n')
				for err == nil && !strings.HasPrefix(line, "ACCEPT") {
					line, err = p.out.ReadString('\n')
				}
				require.NoError(t, err)
				addr, err := net.ResolveTCPAddr("tcp", strings.TrimSpace(strings.TrimPrefix(line, "ACCEPT")))
				require.NoError(t, err)
				at.dial(t, rt, addr, client, func(c *tls.Conn) {
					wrote(t, c, "abcd\n")
					require.Equal(t, "dcba\n", readFull(t, c, 5))
					wrote(t, c, "1234\n")
					require.Equal(t, "4321\n", readFull(t, c, 5))
					require.NoError(t, c.CloseWrite())
				})
			})
		})
	}
}

// TestTLSCurl has curl fetch and upload: over HTTP/1.1 from a coroutine, HTTP/2 from
// net/http.
func TestTLSCurl(t *testing.T) {
	curl := program(t, "curl")
	server, _ := tlsConfigs(t)
	certificate, _ := pemFiles(t, server)
	fetch := func(t *testing.T, url string, args ...string) string {
		t.Helper()
		args = append([]string{"-sS", "--noproxy", "*", "--cacert", certificate, "-w", " http/%{http_version} connects=%{num_connects}\n"}, args...)
		out, err := exec.CommandContext(t.Context(), curl, append(args, url)...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	t.Run("coroutine", func(t *testing.T) {
		onEach(t, func(t *testing.T, rt *proactor.Runtime) {
			addr := tlsPlaces["coroutine"].serve(t, rt, server, func(c *tls.Conn) error { return answerHTTP(c) })
			url := "https://" + addr.String() + "/"
			out := fetch(t, url+"second", url+"first")
			require.Contains(t, out, "GET /first 0 bytes http/1.1 connects=1\n")
			require.Contains(t, out, "GET /second 0 bytes http/1.1 connects=0\n")
			big := filepath.Join(t.TempDir(), "big")
			require.NoError(t, os.WriteFile(big, make([]byte, 3<<20), 0o600))
			require.Contains(t, fetch(t, url, "-H", "Expect:", "--data-binary", "@"+big), fmt.Sprintf("POST / %d bytes", 3<<20))
		})
	})
	t.Run("net/http", func(t *testing.T) {
		onEach(t, func(t *testing.T, rt *proactor.Runtime) {
			ln := listen(t, rt)
			s := &http.Server{TLSConfig: server.Clone(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(io.Discard, r.Body)
				fmt.Fprintf(w, "%s %s %d bytes", r.Method, r.URL.Path, n)
			})}
			served := make(chan error, 1)
			go func() { served <- s.ServeTLS(ln.NetListener(), "", "") }()
			url := "https://" + ln.Addr().String() + "/"
			require.Contains(t, fetch(t, url+"a", "--http1.1"), "GET /a 0 bytes http/1.1")
			if features, _ := exec.CommandContext(t.Context(), curl, "--version").Output(); bytes.Contains(features, []byte("HTTP2")) {
				require.Contains(t, fetch(t, url+"a", "--http2"), "GET /a 0 bytes http/2")
			}
			require.NoError(t, s.Shutdown(context.Background()))
			require.ErrorIs(t, <-served, http.ErrServerClosed)
		})
	})
}

// answerHTTP is as much of HTTP/1.1 as curl needs.
func answerHTTP(c net.Conn) error {
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s %s %d bytes", r.Method, r.URL.Path, n)
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text); err != nil {
			return err
		}
	}
}
