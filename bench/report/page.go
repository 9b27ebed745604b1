package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"os"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/workload"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"css": func(s string) template.CSS { return template.CSS(s) },
}).Parse(pageSource))

// chapter is a part of the page's story, left out if it has nothing.
type chapter struct {
	ID, Title, Text string
	Lists, More     []barList // More are folded away
	Pictures        []picture
}

// picture is a chart for light and for dark surroundings.
type picture struct{ Light, Dark template.HTML }

// tables are those of a workload, at the end of the page.
type tables struct {
	Name  string
	Grids []grid
}

// WritePage writes report.html: one file that needs no other.
func (r *Report) WritePage(path string) error {
	chapters, err := r.chapters()
	if err != nil {
		return err
	}
	var all []tables
	for _, name := range r.workloads() {
		t := tables{Name: name}
		for _, c := range r.Cells {
			if c.Workload == name {
				t.Grids = append(t.Grids, r.grid(c))
			}
		}
		if g := r.means(name); len(g.Rows) > 0 {
			t.Grids = append(t.Grids, g)
		}
		all = append(all, t)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = page.Execute(f, map[string]any{
		"Report": r, "Legend": r.legend(), "Claims": r.claims(), "Heat": r.heat(), "Chapters": chapters, "Tables": all,
	})
	if err != nil {
		return err
	}
	return f.Close()
}

// chapters tell the story after the heat map.
func (r *Report) chapters() (all []chapter, err error) {
	idle := chapter{ID: "idle", Title: "What idle connections cost", Lists: append(r.idleBars(), r.memoryBars()...),
		Text: "64 connections talk while others are open and silent. Servers that ask for every descriptor again and again (select, poll, busy-poll) pay for the silent ones; the others do not."}
	if idle.Pictures, err = r.idlePictures(); err != nil {
		return nil, err
	}
	for _, c := range []chapter{
		{ID: "mean", Title: "All in all", Lists: nonEmpty(r.meanBars())},
		{ID: "latency", Title: "Latency at a constant rate", Lists: r.latencyBars(),
			Text: "Messages are sent when they are due, whether or not the server keeps up, and latency counts from then. Bars are the 99th percentile, on a logarithmic scale. Less is better."},
		idle,
		{ID: "loops", Title: "Several loops", Lists: r.throughputBars()},
		{ID: "programs", Title: "What people run", Lists: r.programBars()},
	} {
		if c.ID == "latency" && len(c.Lists) > fewLists {
			c.Lists, c.More = c.Lists[:fewLists], c.Lists[fewLists:]
		}
		if len(c.Lists)+len(c.Pictures) > 0 {
			all = append(all, c)
		}
	}
	return all, nil
}

// fewLists is how many latencies are shown at once.
const fewLists = 4

func nonEmpty(l barList) []barList {
	if len(l.Bars) == 0 {
		return nil
	}
	return []barList{l}
}

// claims are what the page says first.
func (r *Report) claims() (lines []string) {
	var ours, peer struct {
		name string
		mean float64
	}
	for _, b := range r.meanBars().Bars {
		best := &peer
		if b.Ours {
			best = &ours
		} else if b.Family != string(contestant.Peer) || b.Name == "net" {
			continue
		}
		if best.name == "" {
			best.name, best.mean = b.Name, b.value
		}
	}
	if ours.name != "" {
		line := fmt.Sprintf("In the mean of the echo cells this library (%s) takes %.2f of the processor time of package net", ours.name, ours.mean)
		if peer.name != "" {
			line += fmt.Sprintf("; the best other Go server, %s, takes %.2f", peer.name, peer.mean)
		}
		lines = append(lines, line+".")
	}
	first, cells := 0, 0
	for _, c := range r.sectionCells(workload.Echo) {
		best := r.bestInGo(c)
		if k, ok := r.Find(best); ok {
			cells++
			first += b2i(k.ours())
		}
	}
	if ours.name != "" && cells > 1 {
		lines = append(lines, fmt.Sprintf("In %d of %d cells one of its servers takes the least of all Go servers.", first, cells))
	}
	return lines
}
