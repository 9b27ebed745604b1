package library

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/goproactor/goproactor/futures"
)

// Outcome is what came of a step.
type Outcome struct {
	N     int
	Sum   uint32 // of what was read
	Error string // its class, see class
	Text  string // what else there is to compare
}

func (o Outcome) String() string {
	s := fmt.Sprint(o.N)
	if o.Sum != 0 {
		s += fmt.Sprintf(" #%08x", o.Sum)
	}
	if o.Error != "" {
		s += " " + o.Error
	}
	if o.Text != "" {
		s += " " + o.Text
	}
	return s
}

func checksum(p []byte) uint32 { return crc32.ChecksumIEEE(p) }

// Trace is what came of a program with one player.
type Trace struct {
	Outcomes map[int]Outcome // by the ID of the step
	Left     string          // in the directory, at the end
	Broken   string          // what the player or the runtime says is wrong
}

// errHang is the cause of the end of a wait that took too long.
var errHang = errors.New("it does not end")

// The classes of errors that are no errno.
const (
	hangs    = "hangs"
	canceled = "canceled"
	expired  = "deadline exceeded"
	closed   = "closed"
	eof      = "EOF"
	other    = "other"
)

// class is what errors.Is finds in an error.
func class(err error) string {
	if err == nil {
		return ""
	}
	for _, c := range []struct {
		target error
		name   string
	}{
		{errHang, hangs}, {futures.ErrCanceled, canceled}, {context.Canceled, canceled}, {os.ErrDeadlineExceeded, expired},
		{net.ErrClosed, closed}, {fs.ErrClosed, closed}, {io.ErrUnexpectedEOF, "unexpected EOF"}, {io.EOF, eof},
	} {
		if errors.Is(err, c.target) {
			return c.name
		}
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno.Error()
	}
	return other
}

func outcome(n int, err error) Outcome {
	o := Outcome{N: n, Error: class(err)}
	if o.Error == other {
		o.Text = err.Error()
	}
	return o
}

// Compare holds a trace of the library to that of packages net and os. It returns ""
// when they agree.
func Compare(p *Program, plan []planned, library, standard *Trace) string {
	if library.Broken != "" {
		return library.Broken
	}
	if standard.Broken != "" {
		return "packages net and os: " + standard.Broken
	}
	for i, s := range p.Steps {
		one, ok := library.Outcomes[s.ID]
		two, ok2 := standard.Outcomes[s.ID]
		switch r := plan[i].rule; {
		case ok != ok2:
			return fmt.Sprintf("step %d: only one has ended", s.ID)
		case !ok:
		case r == nil && one != two:
			return fmt.Sprintf("step %d (%v): %v, packages net and os: %v", s.ID, s.Verb, one, two)
		case r != nil && !slices.Contains(r.errors, one.Error):
			return fmt.Sprintf("step %d (%v): %v, allowed are %q, packages net and os: %v", s.ID, s.Verb, one, r.errors, two)
		case r != nil && !slices.Contains(r.errors, two.Error):
			return fmt.Sprintf("step %d (%v): packages net and os: %v, allowed are %q", s.ID, s.Verb, two, r.errors)
		}
	}
	if library.Left != standard.Left {
		return fmt.Sprintf("left in the directory:\n%s\npackages net and os:\n%s", library.Left, standard.Left)
	}
	return ""
}

// Table shows the traces beside each other.
func Table(p *Program, plan []planned, players []string, traces []*Trace) string {
	var out strings.Builder
	for i, s := range p.Steps {
		if plan[i].skip {
			fmt.Fprintf(&out, "%3d passed over\n", s.ID)
			continue
		}
		last := traces[len(traces)-1].Outcomes[s.ID]
		if !slices.ContainsFunc(traces, func(t *Trace) bool { return t.Outcomes[s.ID] != last }) {
			fmt.Fprintf(&out, "%3d %-10v %v\n", s.ID, s.Verb, last)
			continue
		}
		for j, t := range traces {
			fmt.Fprintf(&out, "%3d %-10v %-10s %v\n", s.ID, s.Verb, players[j], t.Outcomes[s.ID])
		}
	}
	return out.String()
}
