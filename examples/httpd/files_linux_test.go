package main_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testFiles makes a directory with files of several kinds, and things that must not be
// served.
func testFiles(t *testing.T) string {
	t.Helper()
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("classified"), 0o644))
	dir := filepath.Join(outside, "root")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub", "deep"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "with index"), 0o755))
	for name, size := range map[string]int{
		"small": 3, "empty": 0, "medium": 20_000, "edge": 32 << 10, "beyond": 32<<10 + 1, "large": 8<<20 + 5, "sub/deep/file.bin": 1_000_000,
	} {
		p := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(size)}).Read(p)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), p, 0o644))
	}
	for name, text := range map[string]string{
		"page.html": "<p>hello", "notes.txt": "notes", "sniffed": "<!doctype html><p>x", "with index/index.html": "<p>index", "a b%c.txt": "odd name",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	require.NoError(t, os.Symlink("small", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("../secret", filepath.Join(dir, "escape")))
	require.NoError(t, os.Symlink("/etc", filepath.Join(dir, "etc")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			err = os.Chtimes(path, when, when)
		}
		return err
	}))
	return dir
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(p)
}

// requests are answered as http.FileServer answers them.
var requests = []struct {
	path   string
	header map[string]string
}{
	{path: "small"}, {path: "empty"}, {path: "medium"}, {path: "edge"}, {path: "beyond"}, {path: "large"}, {path: "sub/deep/file.bin"},
	{path: "page.html"}, {path: "notes.txt"}, {path: "sniffed"}, {path: "a%20b%25c.txt"}, {path: "link"},
	{path: ""}, {path: "sub"}, {path: "sub/"}, {path: "sub/deep/"}, {path: "with%20index/"}, {path: "with%20index/index.html"},
	{path: "nothing"}, {path: "small/"}, {path: "small/x"},
	{path: "large", header: map[string]string{"Range": "bytes=0-0"}},
	{path: "large", header: map[string]string{"Range": "bytes=1000-50000"}},
	{path: "large", header: map[string]string{"Range": "bytes=1000-7000000"}},
	{path: "large", header: map[string]string{"Range": "bytes=-5"}},
	{path: "large", header: map[string]string{"Range": "bytes=8388600-"}},
	{path: "large", header: map[string]string{"Range": "bytes=9000000-"}},
	{path: "large", header: map[string]string{"Range": "bytes=5-1"}},
	{path: "large", header: map[string]string{"Range": "nonsense"}},
	{path: "empty", header: map[string]string{"Range": "bytes=0-"}},
	{path: "large", header: map[string]string{"Range": "bytes=0-9", "If-Range": "Fri, 02 Jan 2026 03:04:05 GMT"}},
	{path: "small", header: map[string]string{"Range": "bytes=0-1", "If-Range": "Fri, 02 Jan 2026 03:04:04 GMT"}},
	{path: "large", header: map[string]string{"If-Modified-Since": "Fri, 02 Jan 2026 03:04:05 GMT"}},
	{path: "small", header: map[string]string{"If-Modified-Since": "Fri, 02 Jan 2026 03:04:04 GMT"}},
	{path: "small", header: map[string]string{"If-Unmodified-Since": "Fri, 02 Jan 2026 03:04:04 GMT"}},
	{path: "small", header: map[string]string{"If-None-Match": "*"}},
}

// response is what counts of one.
type response struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, c *http.Client, method, url string, header map[string]string) response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := c.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NotEmpty(t, answer.Header.Get("Date"))
	if method == http.MethodHead {
		require.Empty(t, body)
	}
	answer.Header.Del("Date")
	return response{answer.StatusCode, answer.Header, string(body)}
}

// TestFiles compares the answers with those of http.FileServer.
func TestFiles(t *testing.T) {
	dir := testFiles(t)
	model := httptest.NewServer(http.StripPrefix("/files", http.FileServer(http.Dir(dir))))
	defer model.Close()
	onEach(t, func(t *testing.T, s *site) {
		c := s.client(t)
		for _, r := range requests {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				want := do(t, c, method, model.URL+"/files/"+r.path, r.header)
				got := do(t, c, method, s.url("/files/"+r.path), r.header)
				require.Equal(t, want.status, got.status, "%s %v", method, r)
				require.Equal(t, want.header, got.header, "%s %v", method, r)
				require.True(t, want.body == got.body, "%s %v", method, r)
			}
		}
	}, "-root", dir, "-loops", "2")
}

// TestNothingElseIsServed: no name leads out of the directory, or to what is no file.
func TestNothingElseIsServed(t *testing.T) {
	dir := testFiles(t)
	onEach(t, func(t *testing.T, s *site) {
		c := s.client(t)
		for _, path := range []string{"/files/escape", "/files/etc/passwd", "/files/etc", "/files/fifo",
			"/files/../secret", "/files/%2e%2e/secret", "/files/sub/%2e%2e/%2e%2e/secret", "/files/..%2fsecret", "/files/..%5csecret",
			"/files//etc/passwd", "/files/%2fetc/passwd", "/filesx", "/nothing", "//secret",
			"/files/nul%00", "/files/" + strings.Repeat("x", 300)} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/"), nil)
			require.NoError(t, err)
			r.URL.Opaque = path // as it is
			if strings.HasPrefix(path, "//") {
				r.URL.Opaque = s.url(path)
			}
			answer, err := c.Do(r)
			require.NoError(t, err, path)
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			require.NoError(t, err)
			require.NotContains(t, string(body), "classified", path)
			require.NotContains(t, string(body), "root:", path)
			require.NotEqual(t, http.StatusOK, answer.StatusCode, path)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			require.Equal(t, http.StatusMethodNotAllowed, do(t, c, method, s.url("/files/small"), nil).status)
		}
		s.works(t)
	}, "-root", dir)
}

// TestFilesChange: what is served is what is there now.
func TestFilesChange(t *testing.T) {
	dir := testFiles(t)
	onEachWith(t, false, func(t *testing.T, s *site) {
		c := s.client(t)
		for _, text := range []string{"one", "two", strings.Repeat("three", 100_000), "", "four"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "small"), []byte(text), 0o644))
			require.True(t, do(t, c, http.MethodGet, s.url("/files/small"), nil).body == text)
		}
		require.NoError(t, os.Remove(filepath.Join(dir, "small")))
		require.Equal(t, http.StatusNotFound, do(t, c, http.MethodGet, s.url("/files/small"), nil).status)
	}, "-root", dir)
}

// TestFileIsCut while it is being sent: the answer ends early, and the server goes on.
func TestFileIsCut(t *testing.T) {
	dir := testFiles(t)
	onEach(t, func(t *testing.T, s *site) {
		name := filepath.Join(dir, "cut")
		require.NoError(t, os.WriteFile(name, make([]byte, 64<<20), 0o644))
		answer, err := s.client(t).Get(s.url("/files/cut"))
		require.NoError(t, err)
		defer answer.Body.Close()
		require.EqualValues(t, 64<<20, answer.ContentLength)
		_, err = io.ReadFull(answer.Body, make([]byte, 1000))
		require.NoError(t, err)
		require.NoError(t, os.Truncate(name, 0))
		_, err = io.Copy(io.Discard, answer.Body)
		require.Error(t, err)
		s.works(t)
	}, "-root", dir)
}

// TestSeveralRanges: a range may be ignored.
func TestSeveralRanges(t *testing.T) {
	dir := testFiles(t)
	onEachWith(t, false, func(t *testing.T, s *site) {
		got := do(t, s.client(t), http.MethodGet, s.url("/files/medium"), map[string]string{"Range": "bytes=0-1,5-6"})
		if s.engine == "nethttp" {
			require.Equal(t, http.StatusPartialContent, got.status)
			require.Contains(t, got.header.Get("Content-Type"), "multipart/byteranges")
			return
		}
		require.Equal(t, http.StatusOK, got.status)
		require.True(t, got.body == content(t, dir, "medium"))
	}, "-root", dir)
}
