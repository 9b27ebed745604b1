package workload

import (
	"math/rand/v2"

	"github.com/goproactor/goproactor/bench/load"
)

var _ = Register(Workload{
	Name:   "echo",
	About:  "messages sent and received back; 16 deep, 16 of them are on the way on each connection",
	Unit:   "messages",
	Cells:  echoCells(),
	Custom: func(size, conns, window, idle int) Cell { return echoCell(size, conns, window, idle) },
	Rated:  true,
	Drive:  DriveEcho,
})

// mostInFlight limits the bytes that a cell has on the way at once: beyond, the
// kernel's memory for TCP runs out (tcp_mem(7)) and it is no longer the server
// that is measured.
const mostInFlight = 256 << 20

func echoCells() []Cell {
	var cells []Cell
	for _, window := range []int{1, 16} {
		for _, size := range []int{64, 1 << 10, 16 << 10, 256 << 10} {
			for _, conns := range []int{1, 64, 1000, 10000} {
				if size*conns*window > mostInFlight {
					continue
				}
				c := echoCell(size, conns, window, 0)
				c.OpenLoop = window == 1 && size <= 1<<10
				c.Steady = size == 64 && conns == 64 && window == 1
				c.Quick = size != 1<<10 && size <= 16<<10 && conns == 64 && window == 1
				cells = append(cells, c)
			}
		}
	}
	return cells
}

func echoCell(size, conns, window, idle int) Cell {
	return Cell{Workload: "echo", Size: def(size, 64), Conns: def(conns, 64), Window: def(window, 1), Idle: idle}
}

func def(n, zero int) int {
	if n == 0 {
		return zero
	}
	return n
}

// DriveEcho sends messages and receives them back.
func DriveEcho(job load.Job) (load.Result, error) {
	e := &exchange{job: job, ask: job.Size, answer: job.Size, echoes: true, stock: pattern(2 * job.Size * max(job.Window, 1))}
	return e.run()
}

// pattern is the bytes that messages are made of, twice in a row.
func pattern(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(p[:n/2])
	copy(p[n/2:], p)
	return p
}
