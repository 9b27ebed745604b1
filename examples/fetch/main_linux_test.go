package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestLimit downloads more files than may be under way at once.
func TestLimit(t *testing.T) {
	const limit = 3
	sizes := []int{0, 1, block - 1, block, block + 1, 5<<20 + 12345, 100, 1000, 3 * block}
	var underWay, most, arrived atomic.Int64
	full := make(chan struct{})
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		now := underWay.Add(1)
		defer underWay.Add(-1)
		for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
		}
		// The first wait for each other: so many are under way at once.
		if arrived.Add(1) == limit {
			close(full)
		}
		<-full
		size, _ := strconv.Atoi(path.Base(request.URL.Path))
		serve(w, request, "1", random(size))
	}, func(t *testing.T, r *remote) {
		most.Store(0)
		arrived.Store(0)
		full = make(chan struct{})
		files := make(map[string][]byte)
		args := []string{"-n", strconv.Itoa(limit)}
		for _, size := range sizes {
			name := strconv.Itoa(size)
			files[name] = random(size)
			args = append(args, at(r, name))
		}
		stdout, stderr := r.fetches(args...)
		require.Empty(t, stderr)
		require.Equal(t, len(sizes), strings.Count(stdout, "\n"), stdout)
		require.Contains(t, stdout, filepath.Join(r.dir, "5255225")+": 5255225 bytes in ")
		r.has(files)
		require.EqualValues(t, limit, most.Load())
	})
}

// TestCut has the server break each connection after a part of the file.
func TestCut(t *testing.T) {
	data := random(2<<20 + 1)
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		if n < 4 {
			cut(w, request, "1", data, 500_000)
			return
		}
		serve(w, request, "1", data)
	}, func(t *testing.T, r *remote) {
		_, stderr := r.fetches("-retries", "1", at(r, "file"))
		r.has(map[string][]byte{"file": data})
		require.Equal(t, []string{"", "bytes=500000-", "bytes=1000000-", "bytes=1500000-", "bytes=2000000-"}, r.ranges())
		require.Equal(t, 4, strings.Count(stderr, "unexpected EOF; trying again in "), stderr)
	})
}

// TestNoValidator: if nobody can say that it is still the same file, nothing of it is
// used again.
func TestNoValidator(t *testing.T) {
	data := random(2 << 20)
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		if n == 0 {
			w.Header().Set("ETag", `W/"weak"`)
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.Write(data[:len(data)/2])
			panic(http.ErrAbortHandler)
		}
		w.Write(data)
	}, func(t *testing.T, r *remote) {
		r.fetches(at(r, "file"))
		r.has(map[string][]byte{"file": data})
	})
}

func TestUnavailable(t *testing.T) {
	data := random(1000)
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		switch {
		case path.Base(request.URL.Path) == "never":
			w.WriteHeader(http.StatusServiceUnavailable)
		case n == 0:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		case n == 1:
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			serve(w, request, "1", data)
		}
	}, func(t *testing.T, r *remote) {
		_, stderr := r.fetches(at(r, "file"))
		require.Contains(t, stderr, "file: 503 Service Unavailable; trying again in 1s\n")
		require.Contains(t, stderr, "file: 429 Too Many Requests; trying again in ")
		require.Len(t, r.ranges(), 3)

		stdout, stderr, status := r.fetch("-retries", "2", at(r, "never"), at(r, "other"))
		require.Equal(t, 1, status)
		require.Contains(t, stderr, "never: 503 Service Unavailable (tried 3 times)\n")
		require.Contains(t, stdout, "other: 1000 bytes", "the others go on")
		r.has(map[string][]byte{"file": data, "other": data})
	})
}

func TestRefused(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		switch path.Base(request.URL.Path) {
		case "missing":
			http.NotFound(w, request)
		case "away":
			http.Redirect(w, request, "/files/here", http.StatusFound)
		case "plain":
			http.Redirect(w, request, plain.URL+"/file", http.StatusFound)
		case "circle":
			http.Redirect(w, request, "/circle", http.StatusFound)
		case "range":
			w.Header().Set("Content-Range", "sheep 1-2/3")
			w.WriteHeader(http.StatusPartialContent)
		default:
			serve(w, request, "1", []byte("here"))
		}
	}, func(t *testing.T, r *remote) {
		for name, says := range map[string]string{
			"missing": "404 Not Found",
			"plain":   "redirect from https to http://",
			"circle":  "more than 10 redirects",
			"range":   `bad range: "sheep 1-2/3"`,
		} {
			_, stderr, status := r.fetch(at(r, name))
			require.Equal(t, 1, status)
			require.Contains(t, stderr, says)
			require.NotContains(t, stderr, "trying again")
		}
		require.Len(t, r.ranges(), 1+1+10+1)
		r.has(nil)
		r.fetches(at(r, "away"))
		r.has(map[string][]byte{"away": []byte("here")})
		require.NoError(t, os.Mkdir(filepath.Join(r.dir, "directory"), 0o700))
		_, stderr, status := r.fetch(at(r, "directory"))
		require.Equal(t, 1, status)
		require.Contains(t, stderr, "directory: not a regular file")
		_, stderr, status = r.fetch("-dir", filepath.Join(r.dir, "no"), at(r, "file"))
		require.Equal(t, 1, status)
		require.Contains(t, stderr, "no such file or directory")
	})
}

// TestWrongCertificate trusts only the system's authorities.
func TestWrongCertificate(t *testing.T) {
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		serve(w, request, "1", []byte("data"))
	}, func(t *testing.T, r *remote) {
		stdout, stderr, status := r.fetch("-cacert", "", at(r, "file"))
		require.Equal(t, 1, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "certificate")
		require.Equal(t, 1, strings.Count(stderr, "\n"), "it does not try again: %s", stderr)
		require.Empty(t, r.ranges(), "nothing was asked for")
		r.has(nil)
		// It is for 127.0.0.1 and example.com.
		_, stderr, status = r.fetch(strings.Replace(at(r, "file"), "127.0.0.1", "localhost", 1))
		require.Equal(t, 1, status)
		require.Contains(t, stderr, "localhost")
		r.has(nil)
	})
}

// TestInterrupted leaves a part that the next fetch goes on with.
func TestInterrupted(t *testing.T) {
	data := random(3 << 20)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
				version := "1"
				if path.Base(request.URL.Path) == "changed" {
					version = "2"
				}
				if request.Header.Get("Range") == "" {
					w.Header().Set("ETag", `"1"`)
					w.Header().Set("Content-Length", strconv.Itoa(len(data)))
					w.Write(data[:1<<20])
					http.NewResponseController(w).Flush()
					<-request.Context().Done()
					return
				}
				serve(w, request, version, data)
			}, func(t *testing.T, r *remote) {
				for _, name := range []string{"file", "changed"} {
					r.interrupt(sig, name)
					have, err := os.ReadFile(filepath.Join(r.dir, name+".part"))
					require.NoError(t, err)
					require.NotEmpty(t, have)
					require.Equal(t, data[:len(have)], have)
					require.Equal(t, []string{""}, r.ranges())
					stdout, _ := r.fetches(at(r, name))
					require.Equal(t, []string{fmt.Sprintf("bytes=%d-", len(have))}, r.ranges())
					require.Equal(t, name == "file", strings.Contains(stdout, fmt.Sprintf(", %d were here", len(have))), stdout)
					got, err := os.ReadFile(filepath.Join(r.dir, name))
					require.NoError(t, err)
					require.True(t, bytes.Equal(data, got))
				}
				r.has(map[string][]byte{"file": data, "changed": data})
			})
		})
	}
}

// interrupt fetches until a part has come, and sends the signal.
func (r *remote) interrupt(sig os.Signal, name string) {
	var errs bytes.Buffer
	cmd := r.command(at(r, name))
	cmd.Stderr = &errs
	require.NoError(r.t, cmd.Start())
	for {
		if info, err := os.Stat(filepath.Join(r.dir, name+".part")); err == nil && info.Size() >= block {
			break
		}
		require.NoError(r.t, r.t.Context().Err())
		runtime.Gosched()
	}
	// Another would spoil it.
	_, stderr, status := r.fetch(at(r, name))
	require.Equal(r.t, 1, status)
	require.Contains(r.t, stderr, "another fetch to the same name is under way")
	require.NoError(r.t, cmd.Process.Signal(sig))
	require.Error(r.t, cmd.Wait())
	if sig != syscall.SIGKILL {
		require.Equal(r.t, 1, cmd.ProcessState.ExitCode())
		require.Equal(r.t, "fetch: interrupted; the same command goes on from here\n", errs.String())
	}
}

// TestInterruptedWhileItWaits ends between two attempts, with other downloads that have not
// begun.
func TestInterruptedWhileItWaits(t *testing.T) {
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}, func(t *testing.T, r *remote) {
		cmd := r.command("-backoff", "1h", "-n", "1", at(r, "one"), at(r, "two"))
		pipe, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		said := bufio.NewReader(pipe)
		line, err := said.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "one: 503 Service Unavailable; trying again in ")
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		rest, err := io.ReadAll(said)
		require.NoError(t, err)
		require.Error(t, cmd.Wait())
		require.Equal(t, "fetch: interrupted; the same command goes on from here\n", string(rest))
		require.Len(t, r.ranges(), 1)
		r.has(nil)
	})
}

// TestPartIsWhole: it was interrupted after the last byte.
func TestPartIsWhole(t *testing.T) {
	data := random(1000)
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		serve(w, request, "1", data)
	}, func(t *testing.T, r *remote) {
		part := filepath.Join(r.dir, "file.part")
		from := at(r, "file") + "\n\"1\""
		for name, c := range map[string]struct{ have, ranges int }{"whole": {1000, 1}, "too much": {1001, 2}} {
			require.NoError(t, os.WriteFile(part, append(data[:len(data):len(data)], 'x')[:c.have], 0o600))
			require.NoError(t, os.WriteFile(part+".from", []byte(from), 0o600))
			r.fetches(at(r, "file"))
			require.Len(t, r.ranges(), c.ranges, name)
			r.has(map[string][]byte{"file": data})
		}
		// The part of something else.
		require.NoError(t, os.WriteFile(part, []byte("something else"), 0o600))
		require.NoError(t, os.WriteFile(part+".from", []byte("https://elsewhere.example/file\n\"1\""), 0o600))
		r.fetches(at(r, "file"))
		require.Equal(t, []string{""}, r.ranges())
		r.has(map[string][]byte{"file": data})
	})
}

// TestWrongRange has a server answer with another range than asked for.
func TestWrongRange(t *testing.T) {
	data := random(1 << 20)
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		switch n {
		case 0:
			cut(w, request, "1", data, 1000)
		case 1:
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-9/%d", len(data)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(data[:10])
		default:
			serve(w, request, "1", data)
		}
	}, func(t *testing.T, r *remote) {
		r.fetches(at(r, "file"))
		require.Equal(t, []string{"", "bytes=1000-", ""}, r.ranges())
		r.has(map[string][]byte{"file": data})
	})
}

// TestStalled has a server send nothing any more: neither a response nor the rest.
func TestStalled(t *testing.T) {
	data := random(1 << 20)
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		switch n {
		case 0:
			<-request.Context().Done()
		case 1:
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.Write(data[:1000])
			http.NewResponseController(w).Flush()
			<-request.Context().Done()
		default:
			serve(w, request, "1", data)
		}
	}, func(t *testing.T, r *remote) {
		_, stderr := r.fetches("-stall", "500ms", "-retries", "100", at(r, "file"))
		require.Contains(t, stderr, "the server has sent nothing for a while")
		r.has(map[string][]byte{"file": data})
	})
}

func TestChecksum(t *testing.T) {
	data := random(3*block + 1)
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		serve(w, request, "1", data)
	}, func(t *testing.T, r *remote) {
		r.fetches("-sha256", strings.ToUpper(sum), "-o", filepath.Join(r.dir, "a"), at(r, "something"))
		sums := filepath.Join(t.TempDir(), "sums")
		require.NoError(t, os.WriteFile(sums, []byte(sum+"  b\n"+sum+" *c\n"+strings.Repeat("0", 64)+"  d\n"), 0o600))
		r.fetches("-sums", sums, at(r, "b"), at(r, "c"))
		_, stderr, status := r.fetch("-sums", sums, at(r, "d"))
		require.Equal(t, 1, status)
		require.Contains(t, stderr, "/d: the SHA-256 is wrong: want 0000")
		require.Contains(t, stderr, ", got "+sum)
		r.has(map[string][]byte{"a": data, "b": data, "c": data})
		require.Contains(t, exampletest.Fails(t, 2, "-sums", sums, at(r, "e")), "has no line for e")
	})
}

// On a terminal there are bars, and the last lines are below them.
func TestBars(t *testing.T) {
	data := random(1 << 20)
	onEach(t, func(r *remote, n int, w http.ResponseWriter, request *http.Request) {
		if n == 0 {
			cut(w, request, "1", data, 1000)
			return
		}
		serve(w, request, "1", data)
	}, func(t *testing.T, r *remote) {
		terminal, side := openTerminal(t)
		cmd := r.command(at(r, "one"), at(r, "two"))
		cmd.Stdout, cmd.Stderr = side, side
		require.NoError(t, cmd.Start())
		side.Close()
		shown, _ := io.ReadAll(terminal) // to EIO: nobody has the other side any more
		require.NoError(t, cmd.Wait())
		require.Contains(t, string(shown), "100")
		require.Contains(t, string(shown), "1.0 MiB / 1.0 MiB")
		require.Contains(t, string(shown), "trying again in")
		require.Contains(t, string(shown), "one: 1048576 bytes in ")
		require.Contains(t, string(shown), "two: 1048576 bytes in ")
		r.has(map[string][]byte{"one": data, "two": data})
	})
}

// openTerminal makes a pseudo terminal, and opens the side that programs see.
func openTerminal(t *testing.T) (terminal, side *os.File) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	fd := int(terminal.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}))
	side, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return terminal, side
}

func TestBadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		"no URL":                         {},
		`backend "y"`:                    {"-backend", "y", "https://h/f"},
		"0 downloads at once":            {"-n", "0", "https://h/f"},
		"want none that is negative":     {"-retries", "-1", "https://h/f"},
		"stall of 0s":                    {"-stall", "0s", "https://h/f"},
		`"ftp://h/f": want https://`:     {"ftp://h/f"},
		`"f": want https://`:             {"f"},
		"has no name for the file":       {"https://h/"},
		"two URLs are for the file f":    {"https://h/f", "https://i/f"},
		"-o is for one URL":              {"-o", "x", "https://h/f", "https://h/g"},
		"-sha256 is for one URL":         {"-sha256", strings.Repeat("0", 64), "https://h/f", "https://h/g"},
		`"12" is no SHA-256`:             {"-sha256", "12", "https://h/f"},
		"no such file":                   {"-sums", "/nowhere/sums", "https://h/f"},
		"-unknown":                       {"-unknown"},
		`"https://h/a/../.." has no nam`: {"https://h/a/../.."},
	} {
		require.Contains(t, exampletest.Fails(t, 2, args...), says)
	}
	require.Contains(t, exampletest.Fails(t, 1, "-cacert", "/nowhere", "https://127.0.0.1/f"), "no such file")
	require.Contains(t, exampletest.Fails(t, 1, "-cacert", "/dev/null", "https://127.0.0.1/f"), "no certificate")
}

func TestHelp(t *testing.T) {
	out, err := exampletest.Command(t, "-help").Output()
	require.NoError(t, err)
	for _, flag := range []string{"-backend", "-dir", "-o", "-n", "-retries", "-backoff", "-stall", "-cacert", "-sha256", "-sums"} {
		require.Contains(t, string(out), flag)
	}
}
