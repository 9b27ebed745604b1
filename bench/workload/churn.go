package workload

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

var _ = Register(Workload{
	Name:   "churn",
	About:  "connect, one message and its echo, close; so many connections at a time",
	Unit:   "connections",
	Cells:  []Cell{churnCell(0, 0, 0, 0)},
	Custom: churnCell,
	Drive:  driveChurn,
})

func churnCell(size, conns, _, _ int) Cell {
	return Cell{Workload: "churn", Size: def(size, 64), Conns: def(conns, 64), Window: 1}
}

// churn is the state of a run.
type churn struct {
	job     load.Job
	net     *load.Net
	meter   *load.Meter
	to      netip.AddrPort
	message []byte
	dialed  int
	began   []time.Duration // by connection
	left    []int           // bytes still to come back
	ending  bool
	err     error
}

func driveChurn(job load.Job) (load.Result, error) {
	c := &churn{job: job, message: pattern(2 * job.Size)[:job.Size], began: make([]time.Duration, job.Conns), left: make([]int, job.Conns)}
	var err error
	if c.to, err = netip.ParseAddrPort(job.Addr); err != nil {
		return load.Result{}, err
	}
	if c.net, err = load.OpenNet(load.Config{Conns: job.Conns, Receive: job.Size}, c); err != nil {
		return load.Result{}, err
	}
	defer c.net.Close()
	c.meter = load.NewMeter(job, c.net.Clock)
	for range job.Conns {
		c.connect()
	}
	for c.meter.Running(c.net.Clock()) {
		if err := c.poll(c.meter.Left(c.net.Clock())); err != nil {
			return load.Result{}, err
		}
	}
	c.ending = true
	for limit := c.net.Clock() + 5*time.Second; c.net.Live() > 0; {
		if err := c.poll(time.Second); err != nil {
			return load.Result{}, err
		}
		if c.net.Clock() > limit {
			return load.Result{}, fmt.Errorf("%d connections were not closed by the server", c.net.Live())
		}
	}
	return c.meter.Result()
}

func (c *churn) poll(wait time.Duration) error {
	if err := c.net.Poll(wait); err != nil {
		return err
	}
	return c.err
}

func (c *churn) connect() {
	began := c.net.Clock()
	conn, err := c.net.Dial(c.to, load.Source(c.dialed), false)
	if err != nil {
		c.fail(err)
		return
	}
	c.dialed++
	c.began[conn], c.left[conn] = began, c.job.Size
	c.net.Send(conn, c.message)
}

func (c *churn) Sent(int) {}

func (c *churn) Received(conn int, p []byte) {
	c.left[conn] -= len(p)
	switch {
	case c.left[conn] < 0:
		c.fail(errors.New("more came back than was sent"))
	case c.left[conn] == 0:
		c.meter.Answered(1)
		c.meter.Took(c.net.Now() - c.began[conn])
		if err := c.net.FinishSending(conn); err != nil {
			c.fail(fmt.Errorf("shutdown: %w", err))
		}
	}
}

func (c *churn) Closed(conn int, err error) {
	switch {
	case c.left[conn] > 0 || !errors.Is(err, io.EOF):
		c.fail(fmt.Errorf("connection closed with %d bytes to come: %w", c.left[conn], err))
	case !c.ending:
		c.connect()
	}
}

func (c *churn) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}
