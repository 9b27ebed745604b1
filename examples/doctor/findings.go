package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
)

// findings is what the examination found.
type findings struct {
	Kernel     string      `json:"kernel"`
	System     string      `json:"system"`
	Backend    choice      `json:"backend"`
	IOUring    string      `json:"io_uring"` // "ok", or why it is no backend here
	Operations []operation `json:"operations"`
	SetupFlags []offer     `json:"setup_flags"`
	Features   []offer     `json:"features"`
	Settings   []setting   `json:"settings"`
}

// choice is the backend that Auto chooses.
type choice struct {
	Name  string   `json:"name"`            // "io_uring" or "epoll", empty if neither
	Why   string   `json:"why"`             //
	Flags []string `json:"flags,omitempty"` // set-up flags in use
}

// offer is a feature that a kernel has or lacks.
type offer struct {
	Name     string `json:"name"`
	Since    string `json:"since"` // first kernel
	OK       bool   `json:"ok"`
	Why      string `json:"why,omitempty"` // it is lacking
	Required bool   `json:"required"`      // io_uring is no backend without it
}

// operation is an opcode, and whether the fallback performs it.
type operation struct {
	offer
	Fallback bool `json:"fallback"`
}

// setting is a setting of the system that matters and that a person could change.
type setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	OK     bool   `json:"ok"`
	Advice string `json:"advice"`
}

func examine() findings {
	report := ring.Probe()
	f := findings{
		Kernel: report.Kernel, System: runtime.GOOS + "/" + runtime.GOARCH,
		Backend: choose(), IOUring: "ok",
		SetupFlags: offers(report.Flags), Features: offers(report.Features),
	}
	if err := report.Require(); err != nil {
		f.IOUring = err.Error()
	}
	emulated := map[string]bool{}
	for _, d := range epollfallback.Descriptions() {
		emulated[d.Op.String()] = true
	}
	for _, o := range offers(report.Ops) {
		f.Operations = append(f.Operations, operation{o, emulated[o.Name]})
	}
	f.Settings = settings(f.IOUring == "ok")
	return f
}

// choose opens a runtime, to learn which backend it chooses.
func choose() choice {
	rt, err := proactor.New(proactor.WithLoops(1))
	if err != nil {
		return choice{Why: err.Error()}
	}
	defer rt.Close()
	b := rt.Backend()
	c := choice{Name: b.Backend.String(), Why: "the kernel lets it, and has everything that is needed", Flags: b.Features}
	if b.Reason != "" {
		c.Why = "no io_uring: " + b.Reason
	}
	return c
}

func offers(list []ring.Support) (all []offer) {
	for _, s := range list {
		all = append(all, offer{Name: s.Name, Since: s.Since, OK: s.OK, Why: s.Reason, Required: s.Required})
	}
	return all
}

// print writes the most important findings first.
func (f findings) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "kernel %s, %s\n", f.Kernel, f.System)
	name := f.Backend.Name
	if name == "" {
		name = "nothing"
	}
	fmt.Fprintf(w, "backend auto takes %s: %s\n", name, f.Backend.Why)
	if len(f.Backend.Flags) > 0 {
		fmt.Fprintf(w, "  with %s\n", strings.Join(f.Backend.Flags, " "))
	}
	fmt.Fprintln(w, "\nWhat a person could change")
	for _, s := range f.Settings {
		fmt.Fprintf(w, "  %s %s\t%s\t%s\n", mark(s.OK), s.Name, s.Value, s.Advice)
	}
	fmt.Fprintln(w, "\nOperations\tsince\tio_uring\tepoll")
	for _, o := range f.Operations {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", o.Name, o.Since, o.verdict(), mark(o.Fallback))
	}
	for _, list := range []struct {
		title string
		has   []offer
	}{{"Set-up flags", f.SetupFlags}, {"Features", f.Features}} {
		fmt.Fprintf(w, "\n%s\tsince\tio_uring\n", list.title)
		for _, o := range list.has {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", o.Name, o.Since, o.verdict())
		}
	}
	return w.Flush()
}

func (o offer) verdict() string {
	switch {
	case o.OK:
		return mark(true)
	case o.Required:
		return mark(false) + " (required) " + o.Why
	}
	return mark(false) + " " + o.Why
}

func mark(ok bool) string {
	if ok {
		return "yes"
	}
	return "no "
}
