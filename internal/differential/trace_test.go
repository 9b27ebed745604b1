package differential

import (
	"fmt"
	"hash/fnv"
	"strings"
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// Trace is what came of a program on one queue.
type Trace struct {
	Steps []StepTrace
}

// StepTrace is what came of one step.
type StepTrace struct {
	Completions []Completion
	Acts        []string // what the acts came to
	Skipped     []int    // entries passed over, because the outcome is not defined
	InFlight    []int    // what waits at the end of the step
}

// Completion is one completion.
type Completion struct {
	Entry  Entry
	Chain  int // ID of the first entry of its chain, -1 if it has none
	Result int32
	Peer   string // of an accept: who is at the other end
	Flags  uint32
	Data   []byte
	Short  bool // there was room for more bytes
}

// final says that it is the last of its entry.
func (e *Completion) final() bool { return e.Flags&ring.CQEFMore == 0 }

var completionFlags = []flagName{
	{ring.CQEFMore, "MORE"}, {ring.CQEFSockNonEmpty, "NONEMPTY"}, {ring.CQEFNotif, "NOTIF"}, {ring.CQEFBufMore, "BUFMORE"},
}

// String is the completion in one line.
func (e Completion) String() string {
	words := []string{fmt.Sprintf("#%d %v", e.Entry.ID, e.Entry.Kind)}
	switch {
	case e.Peer != "":
		words = append(words, "= connection of "+e.Peer)
	case e.Result < 0:
		words = append(words, fmt.Sprintf("= %d (%v)", e.Result, syscall.Errno(-e.Result)))
	case e.Entry.Kind == Poll || e.Entry.Kind == PollMultishot:
		words = append(words, "= "+flagString(uint32(e.Result), pollFlags))
	default:
		words = append(words, fmt.Sprintf("= %d", e.Result))
	}
	flags := e.Flags & 0xffff
	if flags&ring.CQEFBuffer != 0 {
		flags &^= ring.CQEFBuffer
		words = append(words, fmt.Sprintf("buffer=%d", e.Flags>>16))
	}
	if s := flagString(flags, completionFlags); s != "" {
		words = append(words, s)
	}
	if len(e.Data) > 0 {
		words = append(words, digest(e.Data))
	}
	return strings.Join(words, " ")
}

// digest shortens bytes to what tells them apart.
func digest(p []byte) string {
	h := fnv.New32a()
	h.Write(p)
	return fmt.Sprintf("[%x… %08x]", p[:min(len(p), 3)], h.Sum32())
}

// lines are what is printed of a step.
func (s *StepTrace) lines() (l []string) {
	for _, e := range s.Completions {
		l = append(l, e.String())
	}
	l = append(l, s.Acts...)
	for _, id := range s.Skipped {
		l = append(l, fmt.Sprintf("#%d passed over", id))
	}
	if len(s.InFlight) > 0 {
		l = append(l, fmt.Sprint("in flight: ", s.InFlight))
	}
	return l
}

// SideBySide prints two traces next to each other, lines that differ marked.
func SideBySide(a, b *Trace) string {
	var out strings.Builder
	for i := range max(len(a.Steps), len(b.Steps)) {
		var left, right []string
		if i < len(a.Steps) {
			left = a.Steps[i].lines()
		}
		if i < len(b.Steps) {
			right = b.Steps[i].lines()
		}
		fmt.Fprintf(&out, "step %d\n", i)
		for j := range max(len(left), len(right)) {
			l, r, mark := "", "", ' '
			if j < len(left) {
				l = left[j]
			}
			if j < len(right) {
				r = right[j]
			}
			if l != r {
				mark = '≠'
			}
			fmt.Fprintf(&out, "    %-70s %c %s\n", l, mark, r)
		}
	}
	return out.String()
}
