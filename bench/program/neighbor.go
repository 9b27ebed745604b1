package program

import (
	"net"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/workload"
)

// The goroutine takes all the time that it can get, so the processor time of the server
// tells nothing: what counts is how many messages there are, and how long they take.
var _ = workload.Register(workload.Workload{
	Name:    "neighbor",
	About:   "messages sent and received back, in a process where another goroutine computes all the time",
	Unit:    "messages",
	Section: workload.Loops,
	Cells: []workload.Cell{
		neighborCell(1, 1), neighborCell(64, 1), neighborCell(1, 2), neighborCell(64, 2),
	},
	Custom: func(size, conns, window, _ int) workload.Cell {
		return workload.Cell{Workload: "neighbor", Size: or(size, 64), Conns: or(conns, 64), Window: or(window, 1), Procs: 1}
	},
	ByRate:      true,
	Contestants: neighborServer().contestants(),
	Baseline:    "neighbor-net",
	Drive:       workload.DriveEcho,
})

func neighborCell(conns, procs int) workload.Cell {
	return workload.Cell{Workload: "neighbor", Size: 64, Conns: conns, Window: 1, Procs: procs}
}

// neighborServer has its goroutine compute from before the first connection on.
func neighborServer() server {
	listen, handle := both(echoBytes)
	return server{
		name:  "neighbor",
		about: "an echo beside a goroutine that computes,",
		listen: func(ln net.Listener, o contestant.Options) error {
			go compute()
			return listen(ln, o)
		},
		handler: func(o contestant.Options) (handler, error) {
			go compute()
			return handle(o)
		},
	}
}

// compute never calls anything, so that only the scheduler's preemption interrupts it.
func compute() {
	for x := uint64(1); ; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		if x == 0 {
			return // it never is
		}
	}
}
