package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes the report for a terminal.
func (r *Report) Table(w io.Writer) error {
	var b bytes.Buffer
	for _, line := range r.legend() {
		fmt.Fprintln(&b, line)
	}
	for _, g := range r.grids() {
		g.text(&b)
	}
	for i, note := range r.Notes {
		if i == 0 {
			fmt.Fprintln(&b)
		}
		fmt.Fprintln(&b, "note:", note)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (g grid) text(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", g.Title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(g.Rows) > 0 {
		for _, row := range append([][]string{g.Heads}, g.Rows...) {
			fmt.Fprintln(t, strings.Join(row, "\t")+"\t")
		}
	}
	t.Flush()
	for _, line := range g.Below {
		fmt.Fprintln(w, " ", line)
	}
}
