package report

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/go-analyze/charts"

	"github.com/goproactor/goproactor/bench/contestant"
)

// Chart is a picture in SVG.
type Chart struct {
	Name string // of a file, without the ending
	SVG  []byte
}

const chartWidth = 900

// surroundings are what a chart is drawn for.
type surroundings struct {
	suffix            string // of the file's name
	theme             charts.ColorPalette
	ours, other, text charts.Color
}

var (
	light = surroundings{
		theme: charts.GetTheme(charts.ThemeLight).WithBackgroundColor(charts.ColorTransparent),
		ours:  charts.ColorFromHex("#0b5cad"), other: charts.ColorFromHex("#a9b4c0"), text: charts.ColorFromHex("#1d232b"),
	}
	dark = surroundings{
		suffix: "-dark",
		theme:  charts.GetTheme(charts.ThemeDark).WithBackgroundColor(charts.ColorTransparent),
		ours:   charts.ColorFromHex("#5aa9f2"), other: charts.ColorFromHex("#66727f"), text: charts.ColorFromHex("#e6eaef"),
	}
)

// Charts draws what the README shows, each for light and for dark surroundings: the means
// of the echo, and the lines over the number of idle connections.
func (r *Report) Charts() ([]Chart, error) {
	var all []Chart
	for _, s := range []surroundings{light, dark} {
		for name, draw := range map[string]func(surroundings) ([]byte, error){"echo-mean": r.meanChart, "idle-scaling": r.idleChart} {
			svg, err := draw(s)
			if err != nil {
				return nil, fmt.Errorf("chart %s: %w", name, err)
			}
			if svg != nil {
				all = append(all, Chart{name + s.suffix, svg})
			}
		}
	}
	slices.SortFunc(all, func(a, b Chart) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// meanChart draws the means of the echo, the best on top, this library's in their own color.
func (r *Report) meanChart(s surroundings) ([]byte, error) {
	list := r.meanBars()
	if len(list.Bars) < 2 {
		return nil, nil
	}
	var labels []string
	ours, others := []float64{}, []float64{}
	for _, b := range slices.Backward(list.Bars) { // the first label is at the bottom
		labels = append(labels, b.Name)
		mine, other := b.value, 0.0
		if !b.Ours {
			mine, other = other, mine
		}
		ours, others = append(ours, mine), append(others, other)
	}
	opt := charts.NewBarChartOptionWithData([][]float64{ours, others})
	opt.Horizontal = true
	opt.StackSeries = charts.Ptr(true)
	opt.Theme = s.theme.WithSeriesColors([]charts.Color{s.ours, s.other}).WithTextColor(s.text)
	opt.Title.Text = "Processor time of an echo relative to package net, mean of the cells"
	opt.Title.FontStyle.FontSize = 11
	opt.Padding = charts.NewBoxEqual(16)
	opt.Padding.Right = 48
	opt.CategoryAxis.Labels = labels
	opt.CategoryAxis.LabelCount = len(labels)
	opt.ValueFormatter = func(v float64) string { return fmt.Sprintf("%.1f", v) }
	opt.ValueAxis = []charts.ValueAxisOption{{Min: charts.Ptr(0.0), RangeValuePaddingScale: charts.Ptr(0.0)}}
	opt.Legend.SeriesNames = []string{"this library", "others"}
	opt.Legend.Offset = charts.OffsetRight
	for i := range opt.SeriesList {
		opt.SeriesList[i].Label.Show = charts.Ptr(true)
		opt.SeriesList[i].Label.ValueFormatter = func(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.2f", v), "0.00") }
	}
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: 110 + 24*len(labels)})
	if err := p.BarChart(opt); err != nil {
		return nil, err
	}
	return described(p, opt.Title.Text, list.inWords())
}

// idlePictures are the chart of the idle connections for the page.
func (r *Report) idlePictures() ([]picture, error) {
	var p picture
	for _, s := range []surroundings{light, dark} {
		svg, err := r.idleChart(s)
		if err != nil || svg == nil {
			return nil, err
		}
		if s.suffix == "" {
			p.Light = template.HTML(svg)
		} else {
			p.Dark = template.HTML(svg)
		}
	}
	return []picture{p}, nil
}

// idleChart draws processor time over the number of idle connections: this library's and
// the servers of history by name, the others as a crowd.
func (r *Report) idleChart(s surroundings) ([]byte, error) {
	cells := r.idleCells()
	if len(cells) < 2 {
		return nil, nil
	}
	var labels, names []string
	for _, c := range cells {
		labels = append(labels, fmt.Sprint(c.Idle))
	}
	var values [][]float64
	var colors []charts.Color
	var words []string
	most := 0.0
	ours, others := 0, 0
	for _, k := range r.idleLines(cells) {
		var line []float64
		in := k.short() + ":"
		for _, c := range cells {
			if e := c.Entry(k.Name); e != nil {
				cost := e.CPUSpread().Median
				line = append(line, logMicro(cost))
				most = max(most, logMicro(cost))
				in += fmt.Sprintf(" %s µs with %d idle", micro(cost), c.Idle)
			} else {
				line = append(line, charts.GetNullValue())
			}
		}
		names, values, words = append(names, k.short()), append(values, line), append(words, in)
		if k.ours() {
			colors = append(colors, lineColor(ourLines, &ours))
		} else {
			colors = append(colors, lineColor(otherLines, &others))
		}
	}
	opt := charts.NewLineChartOptionWithData(values)
	opt.Title.Text = "Processor time per message, µs (logarithmic), over the number of idle connections; less is better"
	opt.Title.FontStyle.FontSize = 11
	opt.Padding = charts.NewBoxEqual(16)
	opt.Padding.Right = 210
	opt.Theme = s.theme.WithSeriesColors(colors).WithTextColor(s.text)
	opt.XAxis.Labels = labels
	opt.YAxis = []charts.YAxisOption{{Min: charts.Ptr(0.0), Max: charts.Ptr(max(math.Ceil(most), 1)), Unit: 1, RangeValuePaddingScale: charts.Ptr(0.0)}}
	opt.ValueFormatter = unlog
	opt.Legend.SeriesNames = names
	opt.Legend.Vertical = charts.Ptr(true)
	opt.Legend.Offset = charts.OffsetStr{Left: fmt.Sprint(chartWidth - 205), Top: "40"}
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: max(400, 80+21*len(names))})
	if err := p.LineChart(opt); err != nil {
		return nil, err
	}
	return described(p, opt.Title.Text, strings.Join(words, "; "))
}

// idleLines are the servers that the chart shows: this library's, package net, the best of
// the other peers and of C, and the textbook's, which are what the chart is about. Whoever
// pays most for the most idle connections is first, as in the chart from top to bottom.
func (r *Report) idleLines(cells []*Cell) (all []Contestant) {
	last := cells[len(cells)-1]
	best := r.BestPeer(last)
	for _, k := range r.Contestants {
		if !slices.ContainsFunc(cells, func(c *Cell) bool { return c.Entry(k.Name) != nil }) {
			continue
		}
		switch contestant.Family(k.Family) {
		case contestant.Ours, contestant.Textbook:
			all = append(all, k)
		case contestant.Peer:
			if k.Name == best || k.Name == contestant.Baseline {
				all = append(all, k)
			}
		case contestant.Ceiling:
			all = append(all, k)
		}
	}
	slices.SortStableFunc(all, func(a, b Contestant) int { return cmp.Compare(cost(last, b), cost(last, a)) })
	return all
}

// cost is a contestant's in a cell, zero if it has none.
func cost(c *Cell, k Contestant) float64 {
	if e := c.Entry(k.Name); e != nil {
		return e.CPUSpread().Median
	}
	return 0
}

// This library's lines are in blues, the others in the rest, each in its own.
var (
	ourLines   = []string{"#0b5cad", "#3f8fd9", "#12a0a0", "#63c4c4", "#5a6fd8", "#86c5f4"}
	otherLines = []string{"#d95f02", "#e6ab02", "#a6761d", "#ff70a6", "#7d6ba8", "#c77dff", "#4d9221", "#b22222", "#8d99ae", "#a1d76a", "#f4845f"}
)

// lineColor is the next color of the list.
func lineColor(list []string, n *int) charts.Color {
	*n++
	return charts.ColorFromHex(list[(*n-1)%len(list)])
}

// described is the chart with a title and a description for those who do not see it.
func described(p *charts.Painter, title, text string) ([]byte, error) {
	svg, err := p.Bytes()
	if err != nil {
		return nil, err
	}
	head, rest, ok := bytes.Cut(svg, []byte(">"))
	if !ok || !bytes.HasPrefix(head, []byte("<svg")) {
		return nil, errors.New("not SVG")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `%s role="img"><title>%s</title><desc>%s</desc>%s`, head, html.EscapeString(title), html.EscapeString(text), rest)
	return b.Bytes(), nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// logMicro is the logarithm of nanoseconds in microseconds, for an axis whose
// labels unlog undoes; zero stands for a microsecond or less.
func logMicro(ns float64) float64 { return max(math.Log10(max(ns, 1)/1000), 0) }

func unlog(v float64) string { return plain(math.Pow(10, v)) }

func plain(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}
