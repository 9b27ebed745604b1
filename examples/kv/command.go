package main

import (
	"fmt"
	"math/bits"
	"strings"
)

// command is a row of the table.
type command struct {
	name  string // in lower case
	arity int    // arguments, the name included; negative: that many at least
	run   func(s *session, args [][]byte)
	keys  keys
	flags flags
	about string
}

// keys says which arguments are keys, as COMMAND tells it.
type keys struct{ first, last, step int }

var (
	noKeys  = keys{}
	oneKey  = keys{1, 1, 1}
	twoKeys = keys{1, 2, 1}
	allKeys = keys{1, -1, 1}
	pairs   = keys{1, -1, 2} // key, value, key, value …
	tailKey = keys{2, 2, 1}  // behind a subcommand
)

type flags uint8

const (
	reads flags = 1 << iota
	writes
	fast
	whole      // works on all keys
	alone      // is not answered together with others
	subscribed // may be sent by a subscriber
)

func (c *command) has(f flags) bool { return c.flags&f != 0 }

// tables is all commands, by type.
var tables = [][]command{
	stringCommands, keyCommands, listCommands, hashCommands, setCommands,
	sortedSetCommands, streamCommands, connectionCommands, serverCommands, publishCommands,
}

// commandTable finds a command by its name, in whatever case.
type commandTable struct {
	named map[string]*command
	slots [256][]*command // by hash
}

func newCommandTable() *commandTable {
	t := &commandTable{named: make(map[string]*command)}
	for _, table := range tables {
		for i := range table {
			c := &table[i]
			t.named[c.name] = c
			h := hashName([]byte(c.name))
			t.slots[h] = append(t.slots[h], c)
		}
	}
	return t
}

// hashName is the same for both cases of a letter.
func hashName(name []byte) uint8 {
	n := len(name)
	return uint8(n)*37 ^ (name[0]|0x20)*7 ^ (name[n-1]|0x20)*11 ^ (name[n/2]|0x20)*5
}

// find is the command of that name, nil if there is none.
func (t *commandTable) find(name []byte) *command {
	if len(name) == 0 {
		return nil
	}
	for _, c := range t.slots[hashName(name)] {
		if isWord(name, c.name) {
			return c
		}
	}
	return nil
}

// isWord reports whether p is a word, which is in lower case, in whatever case.
func isWord(p []byte, word string) bool {
	if len(p) != len(word) {
		return false
	}
	for i, b := range p {
		if b != word[i] && (b|0x20 != word[i] || b < 'A' || b > 'Z') {
			return false
		}
	}
	return true
}

// run runs a command, with the shards of its keys locked, and tells the journal what it
// has changed.
func (s *session) run(c *command, args [][]byte) {
	switch {
	case c == nil:
		s.fail(unknown(args))
	case c.arity > 0 && len(args) != c.arity || len(args) < -c.arity:
		s.wrongArity(c.name)
	case s.subscriptions != nil && !c.has(subscribed):
		s.fail("ERR Can't execute '" + c.name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	case c.has(writes) && s.holds && s.srv.journal.isBroken():
		s.fail(s.srv.journal.misconfigured())
	case c.keys == noKeys && !c.has(whole):
		s.command = c
		c.run(s, args)
	case c.keys == oneKey || len(s.srv.keys.shards) == 1:
		s.command = c
		s.runOnShard(c, args)
	default:
		s.command = c
		s.runOnShards(c, args)
	}
}

// runOnShard runs a command whose keys are all in one shard.
func (s *session) runOnShard(c *command, args [][]byte) {
	keys := s.srv.keys
	h := &keys.shards[0]
	if len(keys.shards) > 1 {
		h = &keys.shards[keys.index(args[1])]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.one = h
	if !s.holds {
		c.run(s, args)
		return
	}
	s.record(c, args)
	if s.recorded > 0 {
		h.journaled = s.recorded
	}
	s.until = max(s.until, h.journaled)
}

// runOnShards runs a command with several keys, or on all.
func (s *session) runOnShards(c *command, args [][]byte) {
	keys := s.srv.keys
	set := keys.every()
	if !c.has(whole) {
		set = 0
		for i := c.keys.first; i <= c.keys.end(len(args)); i += c.keys.step {
			set |= 1 << keys.index(args[i])
		}
	}
	keys.lock(set)
	defer keys.unlock(set)
	s.one = nil
	if !s.holds {
		c.run(s, args)
		return
	}
	s.record(c, args)
	for ; set != 0; set &= set - 1 {
		h := &keys.shards[bits.TrailingZeros64(set)]
		if s.recorded > 0 {
			h.journaled = s.recorded
		}
		s.until = max(s.until, h.journaled)
	}
}

// record runs a command and tells the journal what it has changed.
func (s *session) record(c *command, args [][]byte) {
	s.dirty, s.silent, s.recorded = false, false, 0
	begin := len(s.out)
	c.run(s, args)
	if s.dirty && !s.silent {
		s.journal(args...)
	}
	if s.dirty {
		s.writes = append(s.writes, heldReply{begin, len(s.out), s.recorded})
	}
}

// journal puts a command into the journal, if there is one.
func (s *session) journal(args ...[]byte) {
	if s.holds {
		s.recorded = s.srv.journal.append(args...)
	}
}

// logAs puts another command into the journal than the one that runs.
func (s *session) logAs(args ...[]byte) {
	s.dirty, s.silent = true, true
	s.journal(args...)
}

// end is the index of the last key among n arguments.
func (k keys) end(n int) int {
	if k.last < 0 {
		return n + k.last
	}
	return k.last
}

// quoted is how much of the arguments an error shows.
const quoted = 128

// unknown is the error of a command that is not in the table.
func unknown(args [][]byte) string {
	var b strings.Builder
	for _, a := range args[1:] {
		if b.Len() >= quoted {
			break
		}
		fmt.Fprintf(&b, "'%s' ", a[:min(len(a), quoted-b.Len())])
	}
	name := args[0][:min(len(args[0]), quoted)]
	return fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", name, b.String())
}
