package workload

import (
	"slices"

	"github.com/goproactor/goproactor/bench/contestant"
)

var _ = Register(Workload{
	Name:    "loops",
	About:   "messages sent and received back, by servers with one event loop and with several",
	Unit:    "messages",
	Section: Loops,
	Cells:   loopsCells(1, 2),
	Custom: func(size, conns, window, idle int) Cell {
		c := echoCell(size, conns, window, idle)
		c.Workload, c.Loops = "loops", 1
		return c
	},
	Rated:       true,
	Contestants: multiLoop(),
	Drive:       DriveEcho,
})

// multiLoop are the echo servers that can have several loops.
func multiLoop() []contestant.Contestant {
	return slices.DeleteFunc(contestant.All(), func(c contestant.Contestant) bool { return !c.MultiLoop })
}

func loopsCells(loops ...int) (cells []Cell) {
	for _, c := range []Cell{echoCell(64, 64, 1, 0), echoCell(64, 1000, 1, 0), echoCell(16<<10, 64, 1, 0)} {
		for _, n := range loops {
			c.Workload, c.Loops = "loops", n
			c.Quick = c.Conns == 64 && c.Size == 64 && n == 2
			cells = append(cells, c)
		}
	}
	return cells
}
