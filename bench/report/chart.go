package report

import (
	"fmt"
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

// lineColors are as many as there are contestants, or nearly.
var lineColors = func() []charts.Color {
	var colors []charts.Color
	for _, hex := range []string{
		"#1f4e9c", "#3a86ff", "#00a6a6", "#66c2a5", "#e6ab02", "#d95f02", "#f4845f", "#b22222", "#a6761d", "#7570b3",
		"#c77dff", "#ff70a6", "#8d99ae", "#4d9221", "#a1d76a", "#5e3c99", "#2b2d42", "#111111", "#777777", "#bb9900",
	} {
		colors = append(colors, charts.ColorFromHex(hex))
	}
	return colors
}()

// Charts draws the report: the means, each cell, and for the idle workload the
// lines over the number of idle connections.
func (r *Report) Charts() ([]Chart, error) {
	var all []Chart
	add := func(name string, draw func() ([]byte, error)) error {
		svg, err := draw()
		if err != nil {
			return fmt.Errorf("chart %s: %w", name, err)
		}
		if svg != nil {
			all = append(all, Chart{name, svg})
		}
		return nil
	}
	for _, name := range r.workloads() {
		if err := add(name+"-mean", func() ([]byte, error) { return r.meanChart(name) }); err != nil {
			return nil, err
		}
	}
	if err := add("idle-scaling", r.idleChart); err != nil {
		return nil, err
	}
	for _, c := range r.Cells {
		id := fileName(c.Name)
		if err := add(id, func() ([]byte, error) { return r.cellChart(c) }); err != nil {
			return nil, err
		}
		if err := add(id+"-latency", func() ([]byte, error) { return r.latencyChart(c) }); err != nil {
			return nil, err
		}
		if err := add(id+"-bytes", func() ([]byte, error) { return r.memoryChart(c) }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// fileName turns a cell's name into that of a file: echo-64-b-x-1000-16-deep.
func fileName(cell string) string {
	cell = strings.ReplaceAll(strings.ToLower(cell), "×", "x")
	return strings.Join(strings.FieldsFunc(cell, func(r rune) bool { return r == ' ' || r == ',' }), "-")
}

// bars draws horizontal bars, one group a label, the first label on top.
func bars(title, unit string, labels []string, names []string, values [][]float64, stacked bool, format func(float64) string) ([]byte, error) {
	if len(labels) == 0 {
		return nil, nil
	}
	labels = slices.Clone(labels)
	slices.Reverse(labels)
	for i := range values {
		values[i] = slices.Clone(values[i])
		slices.Reverse(values[i])
	}
	opt := charts.NewBarChartOptionWithData(values)
	opt.Horizontal = true
	opt.StackSeries = charts.Ptr(stacked)
	opt.Title.Text = title + ": " + unit
	opt.Title.FontStyle.FontSize = 11
	opt.Padding = charts.NewBoxEqual(16)
	opt.Padding.Right = 48
	opt.CategoryAxis.Labels = labels
	opt.CategoryAxis.LabelCount = len(labels)
	opt.ValueFormatter = format
	if len(names) > 1 {
		opt.Legend.SeriesNames = names
		opt.Legend.Offset = charts.OffsetRight
	}
	if !stacked {
		for i := range opt.SeriesList {
			opt.SeriesList[i].Label.Show = charts.Ptr(true)
			opt.SeriesList[i].Label.ValueFormatter = format
		}
	}
	perLabel := 22
	if !stacked {
		perLabel = 6 + 16*len(values)
	}
	p := charts.NewPainter(charts.PainterOptions{
		OutputFormat: charts.ChartOutputSVG,
		Width:        chartWidth,
		Height:       120 + perLabel*len(labels),
	})
	if err := p.BarChart(opt); err != nil {
		return nil, err
	}
	return p.Bytes()
}

func (r *Report) meanChart(workload string) ([]byte, error) {
	var labels []string
	var values []float64
	cells := 0
	for _, c := range r.Cells {
		cells += b2i(c.Workload == workload)
	}
	for _, k := range r.Contestants {
		if mean, n := r.Mean(workload, k.Name, func(*Cell) string { return contestant.Baseline }); n >= 2 {
			label := k.Name
			if n < cells {
				label += fmt.Sprintf(" (%d of %d cells)", n, cells)
			}
			labels, values = append(labels, label), append(values, mean)
		}
	}
	return bars(workload, "CPU per request relative to standard net, geometric mean over the cells; less is better",
		labels, []string{"×net"}, [][]float64{values}, false, func(v float64) string { return fmt.Sprintf("%.2f", v) })
}

func (r *Report) cellChart(c *Cell) ([]byte, error) {
	var labels []string
	var user, system []float64
	for _, e := range c.Entries {
		cpu := e.CPUSpread().Median
		if cpu == 0 {
			continue
		}
		// The split is sampled, the sum exact: split the sum.
		share := e.User.Median / max(e.User.Median+e.System.Median, 1)
		labels = append(labels, fmt.Sprintf("%s  %s", e.Contestant, micro(cpu)))
		user, system = append(user, share*cpu/1000), append(system, (1-share)*cpu/1000)
	}
	return bars(c.Name, "server CPU per request, µs; less is better", labels,
		[]string{"user", "kernel"}, [][]float64{user, system}, true, plain)
}

func (r *Report) latencyChart(c *Cell) ([]byte, error) {
	var labels []string
	values := make([][]float64, 3)
	rate := 0.0
	for _, e := range c.Entries {
		if e.Open == nil || e.Open.Latency.P50.Median == 0 {
			continue
		}
		labels = append(labels, e.Contestant)
		rate = e.Open.Rate
		l := e.Open.Latency
		for i, p := range []float64{l.P50.Median, l.P99.Median, l.P999.Median} {
			values[i] = append(values[i], logMicro(p))
		}
	}
	return bars(c.Name, "latency in µs (logarithmic) at "+count(rate)+" "+c.Unit+" a second; less is better", labels,
		[]string{"p50", "p99", "p99.9"}, values, false, unlog)
}

func (r *Report) memoryChart(c *Cell) ([]byte, error) {
	var labels []string
	var values []float64
	for _, e := range c.Entries {
		if e.PerConn.Median > 0 {
			labels, values = append(labels, e.Contestant), append(values, math.Log10(e.PerConn.Median))
		}
	}
	return bars("Memory of an idle connection", "bytes of the server process (logarithmic); less is better", labels,
		[]string{"bytes"}, [][]float64{values}, false, unlog)
}

// idleChart draws processor time over the number of idle connections.
func (r *Report) idleChart() ([]byte, error) {
	var cells []*Cell
	for _, c := range r.Cells {
		if c.Workload == "idle" {
			cells = append(cells, c)
		}
	}
	if len(cells) < 2 {
		return nil, nil
	}
	slices.SortStableFunc(cells, func(a, b *Cell) int { return a.Idle - b.Idle })
	var labels, names []string
	for _, c := range cells {
		labels = append(labels, fmt.Sprint(c.Idle))
	}
	var values [][]float64
	for _, k := range r.Contestants {
		var line []float64
		measured := 0
		for _, c := range cells {
			if e := c.Entry(k.Name); e != nil {
				line = append(line, logMicro(e.CPUSpread().Median))
				measured++
			} else {
				line = append(line, charts.GetNullValue())
			}
		}
		if measured > 0 {
			names, values = append(names, k.Name), append(values, line)
		}
	}
	opt := charts.NewLineChartOptionWithData(values)
	opt.Title.Text = "64 active connections: CPU per request, µs (logarithmic), over the number of idle ones; less is better"
	opt.Title.FontStyle.FontSize = 11
	opt.Padding = charts.NewBoxEqual(16)
	opt.Padding.Right = 280
	opt.Theme = charts.GetDefaultTheme().WithSeriesColors(lineColors)
	opt.XAxis.Labels = labels
	opt.ValueFormatter = unlog
	opt.Legend.SeriesNames = names
	opt.Legend.Vertical = charts.Ptr(true)
	opt.Legend.Offset = charts.OffsetStr{Left: fmt.Sprint(chartWidth - 275), Top: "40"}
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: max(420, 80+21*len(names))})
	if err := p.LineChart(opt); err != nil {
		return nil, err
	}
	return p.Bytes()
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
