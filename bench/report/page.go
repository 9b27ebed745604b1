package report

import (
	_ "embed"
	"html/template"
	"os"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// WritePage writes report.html: one file that needs no other.
func (r *Report) WritePage(path string) error {
	drawn, err := r.Charts()
	if err != nil {
		return err
	}
	pictures := make(map[string]template.HTML, len(drawn))
	for _, c := range drawn {
		pictures[c.Name] = template.HTML(c.SVG)
	}
	type section struct {
		Table  grid
		Charts []template.HTML
	}
	type part struct {
		Name     string
		Charts   []template.HTML
		Sections []section
		Means    grid
	}
	var parts []part
	for _, name := range r.workloads() {
		p := part{Name: name, Means: r.means(name)}
		take := func(into *[]template.HTML, picture string) {
			if svg, ok := pictures[picture]; ok {
				*into = append(*into, svg)
			}
		}
		take(&p.Charts, name+"-mean")
		if name == "idle" {
			take(&p.Charts, "idle-scaling")
		}
		for _, c := range r.Cells {
			if c.Workload != name {
				continue
			}
			s := section{Table: r.grid(c)}
			for _, kind := range []string{"", "-latency", "-bytes"} {
				take(&s.Charts, fileName(c.Name)+kind)
			}
			p.Sections = append(p.Sections, s)
		}
		parts = append(parts, p)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = page.Execute(f, map[string]any{"Report": r, "Legend": r.legend(), "Parts": parts})
	if err != nil {
		return err
	}
	return f.Close()
}
