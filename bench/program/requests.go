package program

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

// requests is a closed loop of equal requests over TCP, whose answers are all of the
// same length. The generator itself costs little: see load.Net.
type requests struct {
	job    load.Job
	net    *load.Net
	meter  *load.Meter
	batch  []byte // as many requests as a window holds
	answer int    // bytes of each
	peers  []requestPeer
	ending bool
	err    error
}

// requestPeer is one connection.
type requestPeer struct {
	sending bool
	due     int // requests to send once the send on the way is done
	waiting int // sent or due, and not answered
	part    int // bytes of the answer that is coming in
}

// driveRequests sends a request again and again; probe does it once and tells the
// length of the answer.
func driveRequests(request []byte, probe func(net.Conn) (int, error)) func(load.Job) (load.Result, error) {
	return func(job load.Job) (load.Result, error) {
		runtime.LockOSThread() // the queue belongs to a thread
		r := &requests{job: job, peers: make([]requestPeer, job.Conns)}
		var err error
		if r.answer, err = probeOnce(job.Addr, request, probe); err != nil {
			return load.Result{}, fmt.Errorf("first request: %w", err)
		}
		for range job.Window {
			r.batch = append(r.batch, request...)
		}
		job.Size = len(request)
		if r.net, err = load.OpenNet(load.Config{Conns: job.Conns, Receive: r.answer * job.Window}, r); err != nil {
			return load.Result{}, err
		}
		defer r.net.Close()
		r.meter = load.NewMeter(job, r.net.Clock)
		return r.run()
	}
}

func probeOnce(addr string, request []byte, probe func(net.Conn) (int, error)) (int, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	return probe(conn)
}

// answered reads an HTTP answer, and tells its length.
func answered(conn net.Conn) (int, error) {
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
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, err
	}
	return count.n - in.Buffered(), nil
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

// expect reads an answer that is known.
func expect(answer string) func(net.Conn) (int, error) {
	return func(conn net.Conn) (int, error) {
		p := make([]byte, len(answer))
		if _, err := io.ReadFull(conn, p); err != nil {
			return 0, err
		}
		if string(p) != answer {
			return 0, fmt.Errorf("answer is %q: want %q", p, answer)
		}
		return len(p), nil
	}
}

func (r *requests) run() (load.Result, error) {
	to, err := netip.ParseAddrPort(r.job.Addr)
	if err != nil {
		return load.Result{}, err
	}
	for range r.peers {
		if _, err := r.net.Dial(to, netip.Addr{}, false); err != nil {
			return load.Result{}, err
		}
	}
	r.meter.Running(r.net.Clock())
	for i := range r.peers {
		r.post(i, r.job.Window)
	}
	for r.meter.Running(r.net.Now()) && r.err == nil {
		if err := r.net.Poll(r.meter.Left(r.net.Clock())); err != nil {
			return load.Result{}, err
		}
	}
	if err := r.drain(); err != nil {
		return load.Result{}, err
	}
	return r.meter.Result()
}

// drain waits for what is on the way: every request has to be answered.
func (r *requests) drain() error {
	r.ending = true
	limit := r.net.Clock() + 10*time.Second
	for r.err == nil && r.pending() > 0 {
		if r.net.Clock() > limit {
			return fmt.Errorf("%d requests were not answered", r.pending())
		}
		if err := r.net.Poll(time.Second); err != nil {
			return err
		}
	}
	return r.err
}

func (r *requests) pending() (n int) {
	for i := range r.peers {
		n += r.peers[i].waiting
	}
	return n
}

func (r *requests) post(peer, count int) {
	p := &r.peers[peer]
	p.due += count
	p.waiting += count
	r.send(peer)
}

func (r *requests) send(peer int) {
	p := &r.peers[peer]
	if p.sending || p.due == 0 {
		return
	}
	size := len(r.batch) / r.job.Window
	p.sending = true
	r.net.Send(peer, r.batch[:p.due*size])
	p.due = 0
}

// Sent implements load.Handler.
func (r *requests) Sent(conn int) {
	r.peers[conn].sending = false
	r.send(conn)
}

// Received implements load.Handler.
func (r *requests) Received(conn int, data []byte) {
	p := &r.peers[conn]
	p.part += len(data)
	complete := p.part / r.answer
	p.part %= r.answer
	p.waiting -= complete
	if p.waiting < 0 || p.waiting == 0 && p.part > 0 {
		r.fail(fmt.Errorf("connection %d: more came back than was asked for", conn))
		return
	}
	r.meter.Answered(float64(complete))
	if complete > 0 && !r.ending {
		r.post(conn, complete)
	}
}

// Closed implements load.Handler.
func (r *requests) Closed(conn int, err error) {
	r.fail(fmt.Errorf("connection %d: closed by the server: %w", conn, err))
}

func (r *requests) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
