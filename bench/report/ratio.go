package report

import (
	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/stats"
)

// Ratio is a contestant's processor time per request relative to another's (or,
// where that counts, the time that passed):
// round by round, so that the machine's drift cancels, then the spread over
// the rounds. Zero if there is none.
func (c *Cell) Ratio(name, to string) stats.Spread { return stats.Of(c.ratios(name, to)) }

// ratios are those of Ratio, round by round.
func (c *Cell) ratios(name, to string) []float64 {
	a, b := c.Entry(name), c.Entry(to)
	if a == nil || b == nil {
		return nil
	}
	if c.ByRate {
		return stats.Ratios(a.Wall, b.Wall)
	}
	return stats.Ratios(a.CPU, b.CPU)
}

// BestPeer is the Go server by others that needs the least processor time in
// the cell, empty if there is none.
func (r *Report) BestPeer(c *Cell) string {
	best, least := "", 0.0
	for _, k := range r.Contestants {
		if k.Family != string(contestant.Peer) {
			continue
		}
		e := c.Entry(k.Name)
		if e == nil || len(e.positiveCPU()) == 0 {
			continue
		}
		// Relative to the baseline, if it is there: the medians themselves
		// are from different moments of a drifting machine.
		cost := c.Ratio(k.Name, contestant.Baseline).Median
		if cost == 0 {
			cost = e.CPUSpread().Median
		}
		if best == "" || cost < least {
			best, least = k.Name, cost
		}
	}
	return r.beaten(c, best)
}

// beaten is the peer that needs less than the one given when the two are compared with each
// other, if there is such a one: medians of ratios to a third may order them otherwise. None
// is asked twice, so that peers that beat each other in a circle do not matter.
func (r *Report) beaten(c *Cell, best string) string {
	for _, k := range r.Contestants {
		if k.Family != string(contestant.Peer) || k.Name == best {
			continue
		}
		if v := c.Ratio(k.Name, best).Median; v > 0 && v < 1 {
			best = k.Name
		}
	}
	return best
}

// Mean is the geometric mean, over the cells of a workload, of a contestant's
// ratio to what to names in each cell, and the number of cells in it.
func (r *Report) Mean(workload, name string, to func(*Cell) string) (mean float64, cells int) {
	var ratios []float64
	for _, c := range r.Cells {
		if c.Workload != workload {
			continue
		}
		if ratio := c.Ratio(name, to(c)).Median; ratio > 0 {
			ratios = append(ratios, ratio)
		}
	}
	return stats.GeoMean(ratios), len(ratios)
}
