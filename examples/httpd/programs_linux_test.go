package main_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

// tool is the path of a program, or skips the test.
func tool(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s (Debian: %s)", name, debian)
	}
	return path
}

// ran is what a program prints.
func ran(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%q: %s%s", args, out, stderr.String())
	return string(out)
}

func TestCurl(t *testing.T) {
	curl := tool(t, "curl", "curl")
	dir := testFiles(t)
	onEach(t, func(t *testing.T, s *site) {
		get := func(args ...string) string {
			return ran(t, curl, append([]string{"-skS", "--max-time", "30"}, args...)...)
		}
		version := "1.1"
		if s.secure && s.engine == "nethttp" {
			version = "2"
		}
		require.Equal(t, greeting+version, get("-w", "%{http_version}", s.url("/")))
		require.Equal(t, greeting+"1.1", get("--http1.1", "-w", "%{http_version}", s.url("/")))
		if !s.secure { // curl asks for a protocol of TLS that is called http/1.0
			require.Equal(t, greeting, get("--http1.0", s.url("/")))
		}
		large := content(t, dir, "large")
		require.True(t, get(s.url("/files/large")) == large)
		require.True(t, get("-r", "100-200000", s.url("/files/large")) == large[100:200001])

		part := filepath.Join(t.TempDir(), "part")
		require.NoError(t, os.WriteFile(part, []byte(large[:1_000_000]), 0o644))
		get("-C", "-", "-o", part, s.url("/files/large")) // resumes
		p, err := os.ReadFile(part)
		require.NoError(t, err)
		require.True(t, string(p) == large)

		require.Equal(t, "304", get("-o", os.DevNull, "-w", "%{http_code}", "-z", filepath.Join(dir, "small"), s.url("/files/small")))
		require.Contains(t, get("-I", s.url("/files/large")), "8388613")
		require.Contains(t, get(s.url("/files/sub/")), `<a href="deep/">deep/</a>`)
		require.Equal(t, "200 1", get("-L", "-o", os.DevNull, "-w", "%{http_code} %{num_redirects}", s.url("/files/sub")))
		// Many on one connection, some at the same time.
		require.Equal(t, strings.Repeat(greeting, 100), get("--parallel", "--parallel-max", "10", s.url("/?[1-100]")))
		require.Equal(t, strings.Repeat(greeting, 100), get(s.url("/?[1-100]")))
	}, "-root", dir, "-loops", "2")
}

// TestCertificate has curl verify a certificate of a file.
func TestCertificate(t *testing.T) {
	curl, openssl := tool(t, "curl", "curl"), tool(t, "openssl", "openssl")
	cert, key := filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	ran(t, openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
		"-days", "1", "-keyout", key, "-out", cert)
	onEachWith(t, true, func(t *testing.T, s *site) {
		require.Equal(t, greeting, ran(t, curl, "-sS", "--max-time", "30", "--cacert", cert, s.url("/")))
	}, "-cert", cert, "-key", key)
}

func TestOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl", "openssl")
	onEachWith(t, true, func(t *testing.T, s *site) {
		for _, args := range [][]string{{"-tls1_2"}, {"-tls1_3"}, {"-alpn", "http/1.1"}} {
			cmd := exec.CommandContext(t.Context(), openssl, append([]string{"s_client", "-quiet", "-connect", s.Addr}, args...)...)
			cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			require.NoError(t, err, "%q: %s", args, stderr.String())
			require.True(t, strings.HasPrefix(string(out), "HTTP/1.1 200 OK\r\n"), "%q", out)
			require.True(t, strings.HasSuffix(string(out), "\r\n\r\n"+greeting), "%q", out)
		}
		old := exec.CommandContext(t.Context(), openssl, "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", s.Addr)
		require.Error(t, old.Run(), "TLS 1.1 is refused")
		s.works(t)
	})
}

var noRequestFailed = regexp.MustCompile(`Non-2xx|Socket errors`)

func TestWrk(t *testing.T) {
	wrk := tool(t, "wrk", "wrk")
	dir := testFiles(t)
	onEach(t, func(t *testing.T, s *site) {
		for _, path := range []string{"/", "/files/beyond"} {
			out := ran(t, wrk, "-t1", "-c16", "-d1s", "--timeout", "30s", s.url(path))
			require.NotRegexp(t, noRequestFailed, out)
			require.NotContains(t, out, "\n  0 requests in")
		}
	}, "-root", dir, "-loops", "2")
}

var h2loadDone = regexp.MustCompile(`(?s)Application protocol: (\S+).*requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed`)

func TestH2load(t *testing.T) {
	h2load := tool(t, "h2load", "nghttp2-client")
	dir := testFiles(t)
	onEach(t, func(t *testing.T, s *site) {
		protocols := map[string]string{"--h1": "http/1.1"}
		if s.secure && s.engine == "nethttp" {
			protocols["--npn-list=h2"] = "h2"
		}
		for how, protocol := range protocols {
			for path, n := range map[string]string{"/": "2000", "/files/medium": "1000", "/files/large": "20"} {
				out := ran(t, h2load, "-n", n, "-c", "10", "-m", "8", how, s.url(path))
				m := h2loadDone.FindStringSubmatch(out)
				require.NotNil(t, m, out)
				require.Equal(t, []string{protocol, n, n, "0"}, m[1:], out)
			}
		}
	}, "-root", dir, "-loops", "2")
}

// TestNoIOUring runs in CI where io_uring is switched off.
func TestNoIOUring(t *testing.T) {
	reason := os.Getenv("GOPROACTOR_EXPECT_NO_IOURING")
	if reason == "" {
		t.Skip("runs where CI knows that there is no io_uring: set GOPROACTOR_EXPECT_NO_IOURING to the reason to be given, such as kernel.io_uring_disabled=2")
	}
	s := &site{exampletest.Start(t, "-addr", "127.0.0.1:0", "-engine", "fasthttp"), "fasthttp", false}
	require.Regexp(t, ` backend=epoll .* reason=".*`+regexp.QuoteMeta(reason)+`.*"$`, s.Banner)
	require.Equal(t, http.StatusOK, do(t, s.client(t), http.MethodGet, s.url("/"), nil).status)
}
