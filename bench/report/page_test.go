package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	for _, svg := range regexp.MustCompile("(?s)<svg.*?</svg>").FindAllString(page, -1) {
		wellFormed(t, []byte(svg))
	}
}

// The page tells its story in this order, and the tables come last.
func TestPageTellsItsStory(t *testing.T) {
	_, page := written(t, whole())
	at := 0
	for _, part := range []string{
		"this library (mine) takes 0.80", "the best other Go server, other, takes 0.90", "the least in 2 of 2 cells",
		`id="heat"`, `id="mean"`, `id="latency"`, `80 % of each server&#39;s own maximum`, `id="idle"`, "<svg", "Memory of an idle connection",
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
