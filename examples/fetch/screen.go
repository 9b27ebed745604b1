package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// screen is what the user sees: a bar for each download, if stderr is a terminal.
type screen struct {
	bars *mpb.Progress // nil if there are none
}

func (s *screen) open() {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		s.bars = mpb.New(mpb.WithOutput(os.Stderr))
	}
}

// close waits until the bars show the end.
func (s *screen) close() {
	if s.bars != nil {
		s.bars.Wait()
	}
}

// say prints a line, above the bars.
func (s *screen) say(line string) {
	if s.bars != nil {
		fmt.Fprintln(s.bars, "fetch:", line)
	} else {
		fmt.Fprintln(os.Stderr, "fetch:", line)
	}
}

// bar is the bar of a download. The zero bar shows nothing.
type bar struct{ *mpb.Bar }

func (s *screen) bar(name string) bar {
	if s.bars == nil {
		return bar{}
	}
	return bar{s.bars.AddBar(0,
		mpb.PrependDecorators(decor.Name(filepath.Base(name)+" "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.NewPercentage("%d "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f ")))}
}

// expect sets the size of the whole. A server need not tell it.
func (b bar) expect(total int64) {
	if b.Bar != nil && total > 0 {
		b.SetTotal(total, false)
	}
}

func (b bar) show(have int64) {
	if b.Bar != nil {
		b.SetCurrent(have)
	}
}

func (b bar) end(whole bool) {
	switch {
	case b.Bar == nil:
	case whole:
		b.SetTotal(-1, true)
	default:
		b.Abort(false)
	}
}
