package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/report"
	"github.com/goproactor/goproactor/bench/workload"
)

// whole is a report with a cell of every section.
func whole() *report.Report {
	r := sample(0.8, 0.8)
	for _, s := range []workload.Section{workload.Loops, workload.Programs} {
		w := workload.Cell{Workload: string(s), Size: 64, Conns: 8, Window: 1, Loops: 2}
		c := &report.Cell{Cell: w, Name: w.ID(), Unit: "requests", Section: s}
		for i, k := range r.Contestants {
			e := &report.Entry{Contestant: k.Name}
			e.Fill([]*load.Result{{Requests: 1000, Elapsed: time.Second, CPU: time.Duration(i+1) * time.Millisecond}})
			e.Steady = []*report.OpenLoop{{Rate: 1000, Share: 0.8, Latency: report.PercentilesOf([]*load.Result{{Latency: load.Latency{P50: 1000, P99: 2000, P999: 3000}}})}}
			c.Entries = append(c.Entries, e)
		}
		r.Cells = append(r.Cells, c)
	}
	return r
}

func written(t *testing.T, r *report.Report) (path, text string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, r.WritePage(path))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	return path, string(page)
}

func TestPageStandsAlone(t *testing.T) {
	_, page := written(t, whole())
	// Nothing is fetched from anywhere, and nothing runs.
	for _, outside := range []string{"src=", "href=\"http", "url(", "@import", "<script"} {
		require.NotContains(t, page, outside)
	}
	pictures := regexp.MustCompile("(?s)<svg.*?</svg>").FindAllString(page, -1)
	require.NotEmpty(t, pictures)
	for _, svg := range pictures {
		wellFormed(t, []byte(svg))
		require.Regexp(t, `^<svg [^>]*role="img"><title>Processor time .*</title><desc>.*mine: .* with 1000 idle.*</desc>`, svg)
	}
}

// The page tells its story in this order, and the tables come last.
func TestPageTellsItsStory(t *testing.T) {
	_, page := written(t, whole())
	at := 0
	for _, part := range []string{
		"this library (mine) takes 0.80", "the best other Go server, other, takes 0.90", "In 2 of 2 cells one of its servers takes the least",
		`id="heat"`, `id="mean"`, `id="latency"`, `80 % of each server&#39;s own maximum`, `id="idle"`, "<svg", "Beside 1000 idle connections", ">beside 0<", "Memory of an idle connection",
		`id="loops"`, "loops 64 B × 8, 2 loops", `id="programs"`, "programs 64 B × 8, 2 loops", `id="tables"`, "<details>", "nobody is left out",
	} {
		i := strings.Index(page[at:], part)
		require.GreaterOrEqual(t, i, 0, "%s is missing, or not behind what should come before", part)
		at += i
	}
}

// Ours is the first column, and what costs least of the Go servers is marked: not the
// server in C.
func TestHeatMap(t *testing.T) {
	_, page := written(t, whole())
	head := regexp.MustCompile(`(?s)<table class="heat">.*?</thead>`).FindString(page)
	require.Regexp(t, `(?s)mine.*other.*net.*c-epoll`, head)
	row := regexp.MustCompile(`<tr><th scope="row">64 B × 64</th>.*?</tr>`).FindString(page)
	require.Contains(t, row, `class="s-2 best">0.89<`)
	require.Contains(t, row, `class="s0">1.00<`)
	require.Contains(t, row, `class="s-4">0.67<`)
	require.Equal(t, 1, strings.Count(row, "best\""))
}

// A server of the textbook is a Go server, too: where it takes the least it is marked, and
// the page does not claim the cell.
func TestBestIsTheTextbooks(t *testing.T) {
	r := whole()
	r.Contestants[3].Family = "textbook"
	_, page := written(t, r)
	row := regexp.MustCompile(`<tr><th scope="row">64 B × 64</th>.*?</tr>`).FindString(page)
	require.Contains(t, row, `class="s-4 best">0.67<`)
	require.Equal(t, 1, strings.Count(row, "best\""))
	require.Contains(t, page, "In 0 of 2 cells")
}

// The best peer is the one that no other beats when the two are compared: none of the row's
// peers is then below 1.
func TestBestPeerIsNotBeaten(t *testing.T) {
	r := sample(1, 1, 1)
	r.Contestants = append(r.Contestants, report.Contestant{Name: "third", Family: "peer"})
	c := r.Cells[0]
	c.Entries = append(c.Entries, &report.Entry{Contestant: "third"})
	set := func(name string, cpu ...float64) {
		for _, e := range c.Entries {
			if e.Contestant == name {
				e.CPU = cpu
			}
		}
	}
	// In the median other is 0.80 of net and third 0.81, yet third is below other in two
	// of three rounds.
	set("net", 100, 100, 100)
	set("other", 95, 80, 79)
	set("third", 81, 79.5, 90)
	require.Less(t, c.Ratio("other", "net").Median, c.Ratio("third", "net").Median)
	require.Less(t, c.Ratio("third", "other").Median, 1.0)
	require.Equal(t, "third", r.BestPeer(c))
}

// What is written on a color can be read: a contrast of 4.5 (WCAG 2), light and dark.
func TestContrast(t *testing.T) {
	_, page := written(t, whole())
	schemes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(page, 2)
	require.Len(t, schemes, 2)
	for _, scheme := range schemes {
		colors := make(map[string]string)
		for _, c := range regexp.MustCompile(`--(\w+): #(\w+);`).FindAllStringSubmatch(scheme[1], -1) {
			colors[c[1]] = c[2]
		}
		for on, back := range map[string][]string{
			"on":     {"b3", "b2", "b1", "n", "o1", "o2", "o3"},
			"strong": {"b4", "o4"},
			"ink":    {"paper", "band"},
			"soft":   {"paper"},
			"ours":   {"paper"},
		} {
			for _, b := range back {
				require.GreaterOrEqual(t, contrast(t, colors[on], colors[b]), 4.5, "--%s on --%s, %v", on, b, colors)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// luminance is that of a color of three or six hexadecimal digits.
func luminance(t *testing.T, hex string) (sum float64) {
	t.Helper()
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	require.Len(t, hex, 6)
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		part, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		require.NoError(t, err)
		v := float64(part) / 255
		if v <= 0.04045 {
			sum += weight * v / 12.92
		} else {
			sum += weight * math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return sum
}

// With a single number of idle connections, as in a quick run, there are bars, no lines.
func TestPageOfOneIdleCell(t *testing.T) {
	r := whole()
	r.Cells = slices.DeleteFunc(r.Cells, func(c *report.Cell) bool { return c.Workload == "memory" || c.Workload == "idle" && c.Idle == 0 })
	_, page := written(t, r)
	require.Regexp(t, `(?s)id="idle".*Beside 1000 idle connections.*id="loops"`, page)
	require.NotContains(t, page, "<svg")
	require.NotContains(t, page, "beside 0")
}

// A report without a peer, or of one cell, has a page, too.
func TestPageOfLittle(t *testing.T) {
	r := sample(0.8)
	r.Cells, r.Contestants = r.Cells[:1], r.Contestants[:1]
	_, page := written(t, r)
	require.NotContains(t, page, `id="heat"`)
	require.NotContains(t, page, `id="loops"`)
	require.Contains(t, page, "echo 64 B × 64")
}

// On a telephone nothing has to be moved sideways but what scrolls in a box of its own.
func TestPageFitsATelephone(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium: ", err)
	}
	path, page := written(t, whole())
	measured := strings.Replace(page, "</html>", "<script>document.title = 'width ' + document.documentElement.scrollWidth</script></html>", 1)
	require.NoError(t, os.WriteFile(path, []byte(measured), 0o600))
	frame := filepath.Join(filepath.Dir(path), "frame.html") // a window is never narrower than 500
	require.NoError(t, os.WriteFile(frame, []byte(`<iframe src="report.html" width="360" height="640" style="border: 0"
onload="document.title = this.contentDocument.title"></iframe>`), 0o600))
	out, err := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=5000", "--dump-dom", "file://"+frame).Output()
	require.NoError(t, err)
	width := regexp.MustCompile(`<title>width (\d+)`).FindSubmatch(out)
	require.NotNil(t, width, "%s", out)
	wide, err := strconv.Atoi(string(width[1]))
	require.NoError(t, err)
	require.LessOrEqual(t, wide, 360)
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	require.True(t, bytes.HasPrefix(svg, []byte("<svg")))
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else {
			require.NoError(t, err)
		}
	}
}
