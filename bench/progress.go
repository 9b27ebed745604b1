package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows what is running: a bar on a terminal, else a line now and
// then.
type progress struct {
	bar   *progressbar.ProgressBar // nil if there is no terminal
	total int
	done  int
	said  time.Time
}

// every is how often a line is written where there is no terminal.
const every = 10 * time.Second

func newProgress(runs int) *progress {
	p := &progress{total: runs, said: time.Now()}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		p.bar = progressbar.NewOptions(runs,
			progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionShowCount(),
			progressbar.OptionFullWidth(),
			progressbar.OptionClearOnFinish(),
			// It is redrawn between runs only: nothing here moves while a
			// server is measured.
			progressbar.OptionSetRenderBlankState(true))
	}
	return p
}

// step says that a run begins.
func (p *progress) step(round int, cell, contestant string) {
	text := fmt.Sprintf("round %d, %s: %s", round, cell, contestant)
	switch {
	case p.bar != nil:
		p.bar.Describe(text)
		if p.done > 0 {
			p.bar.Set(p.done)
		}
	case time.Since(p.said) >= every:
		p.said = time.Now()
		fmt.Fprintf(os.Stderr, "%3d %%  %s\n", 100*p.done/p.total, text)
	}
	p.done++
}

// skip says that runs will not happen.
func (p *progress) skip(runs int) { p.done += runs }

func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}

// elapsed shows how much of a given time is over.
type elapsed struct {
	bar  *progressbar.ProgressBar // nil if there is no terminal
	of   time.Duration
	said time.Time
}

func newElapsed(of time.Duration) *elapsed {
	e := &elapsed{of: of, said: time.Now()}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		e.bar = progressbar.NewOptions(int(of/time.Second),
			progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionFullWidth(),
			progressbar.OptionClearOnFinish())
	}
	return e
}

// tick says what is so after some of the time.
func (e *elapsed) tick(after time.Duration, text string) {
	switch {
	case e.bar != nil:
		e.bar.Describe(text)
		e.bar.Set(int(min(after, e.of) / time.Second))
	case time.Since(e.said) >= every:
		e.said = time.Now()
		fmt.Fprintf(os.Stderr, "%v: %s\n", after.Round(time.Second), text)
	}
}

func (e *elapsed) finish() {
	if e.bar != nil {
		e.bar.Finish()
	}
}
