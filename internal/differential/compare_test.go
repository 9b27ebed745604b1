package differential

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// Difference is the first disagreement of two traces.
type Difference struct {
	Step int
	What string
}

// String says it in one line.
func (d *Difference) String() string { return fmt.Sprintf("step %d: %s", d.Step, d.What) }

// Compare holds b to a by the rules of the package; nil when they agree.
func Compare(a, b *Trace) *Difference {
	c := comparison{reported: map[int]int32{}}
	for i := range min(len(a.Steps), len(b.Steps)) {
		if what := c.step(&a.Steps[i], &b.Steps[i]); what != "" {
			return &Difference{i, what}
		}
	}
	if len(a.Steps) != len(b.Steps) {
		return &Difference{min(len(a.Steps), len(b.Steps)), "one trace is shorter"}
	}
	return nil
}

// comparison remembers what earlier steps said of multishot polls.
type comparison struct {
	reported map[int]int32 // events, by entry
}

func (c *comparison) step(a, b *StepTrace) string {
	for _, id := range entriesOf(a, b) {
		if what := c.entry(a, id, completionsOf(a, id), completionsOf(b, id)); what != "" {
			return fmt.Sprintf("#%d: %s", id, what)
		}
	}
	switch {
	case !slices.Equal(a.InFlight, b.InFlight):
		return fmt.Sprintf("in flight %v, %v", a.InFlight, b.InFlight)
	case !slices.Equal(a.Acts, b.Acts):
		return fmt.Sprintf("the peers saw %q, %q", a.Acts, b.Acts)
	case !slices.Equal(a.Skipped, b.Skipped):
		return fmt.Sprintf("passed over %v, %v", a.Skipped, b.Skipped)
	case !slices.Equal(chainOrder(a), chainOrder(b)):
		return fmt.Sprintf("the entries of a chain ended in the order %v, %v", chainOrder(a), chainOrder(b))
	}
	return ""
}

// entriesOf are the entries that completed, in either.
func entriesOf(a, b *StepTrace) (ids []int) {
	for _, s := range []*StepTrace{a, b} {
		for _, e := range s.Completions {
			if !slices.Contains(ids, e.Entry.ID) {
				ids = append(ids, e.Entry.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func completionsOf(s *StepTrace, id int) (list []Completion) {
	for _, e := range s.Completions {
		if e.Entry.ID == id {
			list = append(list, e)
		}
	}
	return list
}

func (c *comparison) entry(s *StepTrace, id int, a, b []Completion) string {
	if len(a) > 0 && a[0].Entry.Kind == PollMultishot || len(b) > 0 && b[0].Entry.Kind == PollMultishot {
		return c.poll(s, id, a, b)
	}
	for i := range min(len(a), len(b)) {
		if !sameCompletion(&a[i], &b[i]) && !(s.firesLate(&a[i]) && firedLate(&b[i])) {
			return fmt.Sprintf("%v, %v", a[i], b[i])
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("%d completions, %d", len(a), len(b))
	}
	return ""
}

func sameCompletion(a, b *Completion) bool {
	if a.Entry.Kind == Poll {
		more := a.Result > 0 && b.Result > 0 && pollResult(a)&^pollResult(b) == 0
		return (more || pollResult(a) == pollResult(b)) && a.Flags == b.Flags
	}
	flags := a.Flags
	if a.Short && a.Entry.Object.tcp() {
		// What is left after a short receive is the end of the stream only.
		flags &^= ring.CQEFSockNonEmpty &^ b.Flags
	}
	return a.Result == b.Result && flags == b.Flags && a.Peer == b.Peer && bytes.Equal(a.Data, b.Data)
}

// firesLate says that a short link timeout may have fired when what it limits had
// ended or was ending, as that did by itself: on a busy machine a worker of the
// kernel's takes its time. What the timeout ends with is chance then.
func (s *StepTrace) firesLate(c *Completion) bool {
	if c.Entry.Kind != LinkTimeout || !c.Entry.Short || !firedLate(c) {
		return false
	}
	var limited *Completion
	for i := range s.Completions {
		t := &s.Completions[i]
		if t.Chain == c.Chain && t.Entry.ID < c.Entry.ID && (limited == nil || limited.Entry.ID <= t.Entry.ID) {
			limited = t
		}
	}
	return limited != nil && limited.Entry.Kind != LinkTimeout && limited.Result != -int32(syscall.ECANCELED)
}

func firedLate(c *Completion) bool {
	switch syscall.Errno(-c.Result) {
	case syscall.ECANCELED, syscall.ENOENT, syscall.EALREADY:
		return true
	}
	return false
}

// poll compares multishot polls: the kernel may report one event for several
// changes, and reports either what changed or the state, epoll always the
// state. What held before may be reported again.
func (c *comparison) poll(s *StepTrace, id int, a, b []Completion) string {
	eventsA, lastA := polled(a)
	eventsB, lastB := polled(b)
	known := c.reported[id] | eventsA
	c.reported[id] = known
	if contended(s, append(a, b...)[0].Entry.Object) {
		eventsA, eventsB = 0, 0
	}
	switch {
	case eventsA&^eventsB != 0, eventsA == 0 && eventsB&^known != 0:
		return fmt.Sprintf("polled %q, %q", flagString(uint32(eventsA), pollFlags), flagString(uint32(eventsB), pollFlags))
	case len(lastA) != len(lastB), len(lastA) > 0 && lastA[0].Result != lastB[0].Result:
		return fmt.Sprintf("the multishot poll ended %v, %v", lastA, lastB)
	}
	return ""
}

// contended says that others took in the same step what a poll waits for:
// whether it saw it first is chance.
func contended(s *StepTrace, o Object) bool {
	partner, paired := o.partner()
	return slices.ContainsFunc(s.Completions, func(c Completion) bool {
		return c.Entry.sides() != 0 && (c.Entry.Object == o || paired && c.Entry.Object == partner)
	})
}

// polled sums up what a multishot poll reported. A listener that is shut down
// signals an error and then a hang-up; which of them is seen is chance.
func polled(list []Completion) (events int32, last []Completion) {
	for _, e := range list {
		if e.final() {
			last = append(last, e)
		} else {
			events |= pollResult(&e) &^ int32(ring.PollErr) // it passes, and comes with others
		}
	}
	return events, last
}

func pollResult(c *Completion) int32 {
	const hup, err = int32(ring.PollHup), int32(ring.PollErr)
	switch {
	case c.Result <= 0:
		return c.Result
	case c.Result&hup != 0: // a pending error lasts until somebody takes it
		return c.Result &^ err
	case c.Entry.Object == Listener && c.Result&err != 0:
		return c.Result&^err | hup
	}
	return c.Result
}

// chainOrder is the order in which the entries of each chain ended, chain after
// chain.
func chainOrder(s *StepTrace) (order []int) {
	byChain := map[int][]int{}
	var heads []int
	for _, e := range s.Completions {
		if e.Chain < 0 || !e.final() || e.Entry.Kind == LinkTimeout {
			continue
		}
		if byChain[e.Chain] == nil {
			heads = append(heads, e.Chain)
		}
		byChain[e.Chain] = append(byChain[e.Chain], e.Entry.ID)
	}
	slices.Sort(heads)
	for _, h := range heads {
		order = append(order, byChain[h]...)
	}
	return order
}
