package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/workload"
)

// heatMap shows what each echo server costs in each cell, relative to the best Go server
// by others there: a row a cell, a column a server, this library's first.
type heatMap struct {
	Servers []heatServer
	Groups  []heatGroup
}

// heatServer is a column.
type heatServer struct {
	Name, About string
	Ours        bool
	Family      string
}

// heatGroup is the cells of one workload.
type heatGroup struct {
	Workload string
	Rows     []heatRow
}

// heatRow is a cell. Peer is the best server by others, which the row refers to.
type heatRow struct {
	Cell, Peer string
	Figures    []heatFigure
}

// heatFigure is one server's. Shade is 0 for about the best peer, up to -4 for less and up
// to 4 for more, empty where there is no figure.
type heatFigure struct {
	Text, Shade, Tip string
	Best             bool // of all Go servers
}

// shades are the ratios up to which each shade goes.
var shades = []struct {
	limit float64
	shade int
}{{0.70, -4}, {0.80, -3}, {0.90, -2}, {0.97, -1}, {1.03, 0}, {1.10, 1}, {1.25, 2}, {1.60, 3}}

func shade(ratio float64) int {
	for _, s := range shades {
		if ratio <= s.limit {
			return s.shade
		}
	}
	return 4
}

// section is the part of the report that shows the cell. Reports of before there were
// sections do not say.
func (c *Cell) section() workload.Section {
	if c.Section == workload.Echo && (c.Workload == "idle" || c.Workload == "memory") {
		return workload.Idle
	}
	return c.Section
}

// sectionCells are those of a section.
func (r *Report) sectionCells(s workload.Section) (cells []*Cell) {
	for _, c := range r.Cells {
		if c.section() == s {
			cells = append(cells, c)
		}
	}
	return cells
}

// heat makes the map, nil if nothing was measured beside a peer.
func (r *Report) heat() *heatMap {
	var cells []*Cell
	for _, c := range r.sectionCells(workload.Echo) {
		if r.BestPeer(c) != "" {
			cells = append(cells, c)
		}
	}
	m := new(heatMap)
	for _, k := range r.byMean() {
		played := 0
		for _, c := range cells {
			played += b2i(c.Entry(k.Name) != nil)
		}
		if 2*played > len(cells) {
			m.Servers = append(m.Servers, heatServer{Name: k.short(), About: k.Name + ": " + k.About, Ours: k.ours(), Family: k.Family})
		} else {
			continue
		}
		for i, c := range cells {
			if i == 0 || c.Workload != cells[i-1].Workload {
				m.group(c.Workload)
			}
			m.row(c, r.BestPeer(c)).add(r, c, k)
		}
	}
	if len(m.Servers) < 2 {
		return nil
	}
	return m
}

// byMean are the contestants by family, in each the best first.
func (r *Report) byMean() []Contestant {
	all := slices.Clone(r.Contestants)
	mean := func(k Contestant) float64 {
		m, n := r.Mean("echo", k.Name, (*Cell).baselineName)
		if n == 0 {
			return math.Inf(1)
		}
		return m
	}
	slices.SortStableFunc(all, func(a, b Contestant) int {
		if a.Family != b.Family {
			return slices.Index(contestant.Families, contestant.Family(a.Family)) - slices.Index(contestant.Families, contestant.Family(b.Family))
		}
		return cmp.Compare(mean(a), mean(b))
	})
	return all
}

func (m *heatMap) group(name string) {
	if !slices.ContainsFunc(m.Groups, func(g heatGroup) bool { return g.Workload == name }) {
		m.Groups = append(m.Groups, heatGroup{Workload: name})
	}
}

// row finds the row of a cell, or makes it.
func (m *heatMap) row(c *Cell, peer string) *heatRow {
	i := slices.IndexFunc(m.Groups, func(g heatGroup) bool { return g.Workload == c.Workload })
	g := &m.Groups[i]
	name := strings.TrimPrefix(c.Name, c.Workload+" ")
	i = slices.IndexFunc(g.Rows, func(row heatRow) bool { return row.Cell == name })
	if i < 0 {
		i = len(g.Rows)
		g.Rows = append(g.Rows, heatRow{Cell: name, Peer: peer})
	}
	return &g.Rows[i]
}

func (row *heatRow) add(r *Report, c *Cell, k Contestant) {
	v := c.Ratio(k.Name, row.Peer).Median
	if v == 0 {
		row.Figures = append(row.Figures, heatFigure{Tip: k.Name + " does not take part"})
		return
	}
	row.Figures = append(row.Figures, heatFigure{
		Text:  fmt.Sprintf("%.2f", v),
		Shade: fmt.Sprint(shade(v)),
		Tip:   fmt.Sprintf("%s, %s: %s µs of processor time, %.2f of %s", k.Name, c.Name, micro(c.Entry(k.Name).CPUSpread().Median), v, row.Peer),
		Best:  k.Name == r.bestInGo(c),
	})
}

// bestInGo is the Go server that needs the least processor time in a cell, this library and
// the textbook's servers included.
func (r *Report) bestInGo(c *Cell) string {
	peer := r.BestPeer(c)
	best, least := peer, 1.0
	for _, k := range r.Contestants {
		if v := c.Ratio(k.Name, peer).Median; k.Family != string(contestant.Ceiling) && v > 0 && v < least {
			best, least = k.Name, v
		}
	}
	return best
}

func (k Contestant) ours() bool { return k.Family == string(contestant.Ours) }

// short is the name without this library's own.
func (k Contestant) short() string { return strings.TrimPrefix(k.Name, "goproactor-") }
