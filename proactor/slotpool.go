package proactor

import "github.com/goproactor/goproactor/ring"

// slotPool is the free slots of a loop's table of direct descriptors. The table is
// made when the first is taken.
type slotPool struct {
	made bool
	free []int
}

// slotsOfLoop is how many slots a table has: more than chains are usually under way at
// once, and fewer than any usual RLIMIT_NOFILE.
const slotsOfLoop = 256

// take returns a slot, -1 if there is none left, or no table.
func (p *slotPool) take(q ring.Queue) int {
	if !p.made {
		p.made = true
		if q.RegisterFiles(slotsOfLoop) == nil {
			p.free = make([]int, 0, slotsOfLoop)
			for slot := slotsOfLoop - 1; slot >= 0; slot-- {
				p.free = append(p.free, slot)
			}
		}
	}
	last := len(p.free) - 1
	if last < 0 {
		return -1
	}
	slot := p.free[last]
	p.free = p.free[:last]
	return slot
}

func (p *slotPool) give(slot int) { p.free = append(p.free, slot) }
