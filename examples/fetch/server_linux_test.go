package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// remote is a TLS server and the directory that its files are fetched to.
type remote struct {
	*httptest.Server
	t           *testing.T
	backend     string
	dir         string
	certificate string // name of the file that has it

	mu       sync.Mutex
	requests []http.Request
}

// onEach runs a test on each backend, with a server that answers by handler. The handler
// gets the number of the request, from 0 on.
func onEach(t *testing.T, handler func(r *remote, n int, w http.ResponseWriter, request *http.Request), test func(t *testing.T, r *remote)) {
	for _, backend := range exampletest.Backends(t) {
		t.Run(backend, func(t *testing.T) {
			r := &remote{t: t, backend: backend, dir: t.TempDir(), certificate: filepath.Join(t.TempDir(), "certificate.pem")}
			r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				handler(r, r.note(request), w, request)
			}))
			r.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
			r.StartTLS()
			t.Cleanup(r.Close)
			p := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
			require.NoError(t, os.WriteFile(r.certificate, p, 0o600))
			test(t, r)
		})
	}
}

// note counts a request.
func (r *remote) note(request *http.Request) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, *request)
	return len(r.requests) - 1
}

// ranges are the Range headers of the requests so far, which it forgets.
func (r *remote) ranges() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, request := range r.requests {
		all = append(all, request.Header.Get("Range"))
	}
	r.requests = nil
	return all
}

func (r *remote) command(args ...string) *exec.Cmd {
	return exampletest.Command(r.t, append([]string{"-backend", r.backend, "-dir", r.dir, "-cacert", r.certificate, "-backoff", "1ms"}, args...)...)
}

// fetch runs the program, and returns what it has said and its status.
func (r *remote) fetch(args ...string) (stdout, stderr string, status int) {
	r.t.Helper()
	var out, errs bytes.Buffer
	cmd := r.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.IsType(r.t, new(exec.ExitError), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// fetches is fetch that must succeed.
func (r *remote) fetches(args ...string) (stdout, stderr string) {
	r.t.Helper()
	stdout, stderr, status := r.fetch(args...)
	require.Zero(r.t, status, stderr)
	return stdout, stderr
}

// has checks that there are these files and no others.
func (r *remote) has(files map[string][]byte) {
	r.t.Helper()
	entries, err := os.ReadDir(r.dir)
	require.NoError(r.t, err)
	var names, want []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for name := range files {
		want = append(want, name)
	}
	slices.Sort(want)
	require.Equal(r.t, want, names)
	for name, data := range files {
		is, err := os.ReadFile(filepath.Join(r.dir, name))
		require.NoError(r.t, err)
		require.True(r.t, bytes.Equal(data, is), "%s: %d bytes, want %d, or others", name, len(is), len(data))
	}
}

// random is data that is the same each time.
func random(size int) []byte {
	p := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)}).Read(p)
	return p
}

// serve answers with data, as a server of files does.
func serve(w http.ResponseWriter, request *http.Request, version string, data []byte) {
	w.Header().Set("ETag", `"`+version+`"`)
	http.ServeContent(w, request, "", time.Time{}, bytes.NewReader(data))
}

// cut answers with the first n bytes of the rest of data, and breaks the connection.
func cut(w http.ResponseWriter, request *http.Request, version string, data []byte, n int) {
	serve(&cutWriter{w, n}, request, version, data)
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n, _ := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	if w.left -= n; w.left == 0 {
		http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

func at(r *remote, name string) string { return r.URL + "/files/" + name }
