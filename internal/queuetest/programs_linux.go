package queuetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// Random programs of the operations in the table: chains of up to four entries,
// each submitted when the one before has ended, so that what comes of them is
// certain. None waits for something that does not come.

// Outcome is what came of one entry of a program.
type Outcome struct {
	Entry       string // the operation, and the choices that were made for it
	Completions []string
	Memory      string // what it read into, if anything
}

// String is the outcome in one line.
func (o Outcome) String() string {
	return fmt.Sprintf("%s: %s %q", o.Entry, strings.Join(o.Completions, ", "), o.Memory)
}

// Perform runs the program that dice make on a queue of its own, without the
// operations that the kernel lacks. The outcomes of each chain stand in the order
// of submission.
func Perform(t *testing.T, open func() (ring.Queue, error), dice Dice, kernel ring.Report) (chains [][]Outcome) {
	run(t, kernel, open, func(h *harness) {
		for range 3 + dice(8) {
			chains = append(chains, h.randomChain(dice, kernel))
		}
	})
	return chains
}

// randomEntry is one of a chain, and what comes of it.
type randomEntry struct {
	Outcome
	row *operation
	request
}

func (h *harness) randomChain(dice Dice, kernel ring.Report) (outcomes []Outcome) {
	var chain []*randomEntry
	for range 1 + dice(4) {
		if row := &operations[dice(len(operations))]; row.isOn(kernel) {
			chain = append(chain, h.randomEntry(row, dice))
		}
	}
	defer func() {
		if h.Failed() {
			for _, c := range chain {
				h.Log(c.Outcome)
			}
		}
	}()
	link := pick(dice, ring.SQELink, ring.SQELink, ring.SQEHardLink)
	require.NoError(h, h.Reserve(len(chain)))
	for i, c := range chain {
		e := h.entry(uint64(i), c.prepare)
		if i < len(chain)-1 {
			e.SetFlags(link)
		}
	}
	for i, c := range chain {
		h.collect(uint64(i), c)
		outcomes = append(outcomes, c.Outcome)
	}
	return outcomes
}

// randomEntry makes one, most times for the object that the operation is for.
func (h *harness) randomEntry(row *operation, dice Dice) *randomEntry {
	var choices []int
	noting := func(n int) int {
		choice := dice(n)
		choices = append(choices, choice)
		return choice
	}
	request, on := h.request(row, noting)
	return &randomEntry{row: row, request: request, Outcome: Outcome{Entry: fmt.Sprint(row.op, on, choices)}}
}

// request makes an entry of an operation for the object that dice choose. The
// first choice is the one that it is for.
func (h *harness) request(row *operation, dice Dice) (r request, on string) {
	if row.on == nil {
		return row.entry(h, -1, dice), ""
	}
	others := []int{noDescriptor, -1}
	if !row.on.alone {
		others = append(others, h.what(path), h.what(regular), h.what(directory), h.what(idleSocket))
	}
	if n := dice(4 * len(others)); n >= 3*len(others) {
		return row.entry(h, others[n-3*len(others)], dice), fmt.Sprint(" on another object, ", n)
	}
	return row.entry(h, h.what(row.on), dice), ""
}

// collect waits until an entry has ended.
func (h *harness) collect(userData uint64, c *randomEntry) {
	for {
		cqe := h.result(userData)
		result := cqe.Result()
		if result >= 0 {
			result = h.took(c.row, c.request, cqe)
		}
		c.Completions = append(c.Completions, fmt.Sprintf("%d %#x", result, cqe.Flags()&(ring.CQEFMore|ring.CQEFNotif|ring.CQEFBuffer)))
		if cqe.Flags()&ring.CQEFBuffer != 0 {
			c.Memory += string(h.buffers.mem[cqe.BufferID()][:max(0, result)])
		}
		if !cqe.More() {
			c.Memory += string(c.memory)
			return
		}
	}
}

// took takes what a success brought. The result is the entry's, 0 for a
// descriptor.
func (h *harness) took(row *operation, r request, c ring.CQE) int32 {
	switch {
	case r.brought != nil:
		r.brought(h, c.Result())
	case row.op.Brings() == 1:
		h.owned(int(c.Result()))
		return 0
	}
	return c.Result()
}

// performed waits for the end of an entry that must give what its row says.
func (h *harness) performed(row *operation, userData uint64, r request) {
	h.Helper()
	c := h.result(userData)
	result := c.Result()
	if result >= 0 {
		result = h.took(row, r, c)
	}
	require.Equal(h, int32(row.gives), result, "%v: %v", row.op, errnoOf(c))
	for c.More() {
		c = h.result(userData)
		require.NoError(h, errnoOf(c), "%v", row.op)
	}
}

// Covers reports whether an operation has a row.
func Covers(op ring.Op) bool {
	for _, row := range operations {
		if row.op == op {
			return true
		}
	}
	return false
}
