package workload

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

// Requests is a load of equal requests whose answers are all of the same length.
type Requests struct {
	// Request makes one.
	Request func(load.Job) []byte

	// Probe sends the request on a connection of its own, and tells the length of
	// the answer, which it has checked.
	Probe func(conn net.Conn, job load.Job, request []byte) (length int, err error)
}

// probeLimit is how long a server may take for the first request.
const probeLimit = 5 * time.Second

// Drive does a job.
func (r Requests) Drive(job load.Job) (load.Result, error) {
	request := r.Request(job)
	conn, err := net.Dial("tcp", job.Addr)
	if err != nil {
		return load.Result{}, err
	}
	conn.SetDeadline(time.Now().Add(probeLimit))
	answer, err := r.Probe(conn, job, request)
	conn.Close()
	if err != nil {
		return load.Result{}, fmt.Errorf("first request: %w", err)
	}
	e := &exchange{job: job, ask: len(request), answer: answer, stock: bytes.Repeat(request, 2*max(job.Window, 1))}
	return e.run()
}

// ProbeHTTP is the Probe of an HTTP request: check gets the answer's body.
func ProbeHTTP(check func(load.Job, []byte) error) func(net.Conn, load.Job, []byte) (int, error) {
	return func(conn net.Conn, job load.Job, request []byte) (int, error) {
		if _, err := conn.Write(request); err != nil {
			return 0, err
		}
		count := &countingReader{r: conn}
		in := bufio.NewReader(count)
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return 0, err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return 0, errors.New(answer.Status)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return 0, err
		}
		return count.n - in.Buffered(), check(job, body)
	}
}

type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// Expect is the Probe of a request whose answer is known.
func Expect(conn net.Conn, request, answer []byte) (int, error) {
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	p := make([]byte, len(answer))
	if n, err := io.ReadFull(conn, p); err != nil {
		return 0, fmt.Errorf("answer is %.64q: %w", p[:n], err)
	}
	if !bytes.Equal(p, answer) {
		return 0, fmt.Errorf("answer is %.64q: want %.64q", p, answer)
	}
	return len(p), nil
}
