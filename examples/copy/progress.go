package main

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows the progress of the copy. It has a goroutine of its own: a terminal
// may be slow, and the loop must not wait for it.
type progress struct {
	copied atomic.Int64 // bytes
	stop   chan bool    // nil if there is no bar
	ended  chan struct{}
}

// show starts the bar, if stderr is a terminal.
func (p *progress) show(size int64) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return
	}
	p.stop, p.ended = make(chan bool), make(chan struct{})
	go p.draw(progressbar.DefaultBytes(size, "copying"))
}

func (p *progress) draw(bar *progressbar.ProgressBar) {
	defer close(p.ended)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			bar.Set64(p.copied.Load())
		case whole := <-p.stop:
			bar.Set64(p.copied.Load())
			if whole {
				bar.Finish()
			} else {
				bar.Exit()
			}
			return
		}
	}
}

// end stops the bar, which stays as it is. It must not be called on a loop: it waits.
func (p *progress) end(whole bool) {
	if p.stop != nil {
		p.stop <- whole
		<-p.ended
	}
}
