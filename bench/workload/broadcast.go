package workload

import (
	"fmt"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

var _ = Register(Workload{
	Name:      "broadcast",
	About:     "one connection says something, and all connections hear it; the next message follows when all have",
	Unit:      "deliveries",
	Cells:     []Cell{broadcastCell(0, 0, 0, 0)},
	Custom:    broadcastCell,
	Broadcast: true,
	Drive:     driveBroadcast,
})

func broadcastCell(size, conns, _, _ int) Cell {
	return Cell{Workload: "broadcast", Size: def(size, 64), Conns: def(conns, 1000), Window: 1}
}

// broadcast is the state of a run.
type broadcast struct {
	job     load.Job
	net     *load.Net
	meter   *load.Meter
	message []byte
	heard   []int // bytes of the message, by connection
	left    int   // connections that have not heard all of it
	said    time.Duration
	ending  bool
	err     error
}

func driveBroadcast(job load.Job) (load.Result, error) {
	b := &broadcast{job: job, message: pattern(2 * job.Size)[:job.Size], heard: make([]int, job.Conns)}
	var err error
	if b.net, err = load.OpenNet(load.Config{Conns: job.Conns, Receive: job.Size}, b); err != nil {
		return load.Result{}, err
	}
	defer b.net.Close()
	if err := dialAll(b.net, job); err != nil {
		return load.Result{}, err
	}
	b.meter = load.NewMeter(job, b.net.Clock)
	b.say()
	for b.meter.Running(b.net.Clock()) {
		if err := b.poll(b.meter.Left(b.net.Clock())); err != nil {
			return load.Result{}, err
		}
	}
	b.ending = true
	for limit := b.net.Clock() + 5*time.Second; b.left > 0; {
		if err := b.poll(time.Second); err != nil {
			return load.Result{}, err
		}
		if b.net.Clock() > limit {
			return load.Result{}, fmt.Errorf("%d of %d connections did not hear a message", b.left, job.Conns)
		}
	}
	return b.meter.Result()
}

func (b *broadcast) poll(wait time.Duration) error {
	if err := b.net.Poll(wait); err != nil {
		return err
	}
	return b.err
}

// say has the connection speak that the server accepted last: when it hears
// that, it knows all the others.
func (b *broadcast) say() {
	clear(b.heard)
	b.left = b.job.Conns
	b.said = b.net.Clock()
	b.net.Send(b.job.Conns-1, b.message)
}

func (b *broadcast) Sent(int) {}

func (b *broadcast) Received(conn int, p []byte) {
	b.heard[conn] += len(p)
	switch {
	case b.heard[conn] > b.job.Size:
		b.err = fmt.Errorf("connection %d heard more than was said", conn)
	case b.heard[conn] == b.job.Size:
		b.meter.Answered(1)
		b.meter.Took(b.net.Now() - b.said)
		if b.left--; b.left == 0 && !b.ending {
			b.say()
		}
	}
}

func (b *broadcast) Closed(conn int, err error) {
	b.err = fmt.Errorf("connection %d: %w", conn, err)
}
