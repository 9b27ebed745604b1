package workload

var _ = Register(Workload{
	Name:    "idle",
	About:   "an echo on some connections while others are open and silent",
	Unit:    "messages",
	Section: Idle,
	Cells:   idleCells(),
	Custom:  idleCell,
	Rated:   true,
	Drive:   DriveEcho,
})

func idleCells() []Cell {
	var cells []Cell
	for _, idle := range []int{0, 100, 1000, 10000} {
		c := idleCell(0, 0, 0, idle)
		c.Quick = idle == 1000
		cells = append(cells, c)
	}
	return cells
}

func idleCell(size, conns, window, idle int) Cell {
	c := echoCell(size, conns, window, idle)
	c.Workload = "idle"
	return c
}
