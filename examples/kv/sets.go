package main

import "math/rand/v2"

var setCommands = []command{
	{"sadd", -3, sadd, oneKey, writes | fast, "Adds one or more members to a set. Creates the key if it doesn't exist."},
	{"srem", -3, srem, oneKey, writes | fast, "Removes one or more members from a set. Deletes the set if the last member was removed."},
	{"spop", -2, spop, oneKey, writes | fast, "Returns one or more random members from a set after removing them. Deletes the set if the last member was popped."},
	{"smembers", 2, smembers, oneKey, reads, "Returns all members of a set."},
	{"sismember", 3, sismember, oneKey, reads | fast, "Determines whether a member belongs to a set."},
	{"smismember", -3, smismember, oneKey, reads | fast, "Determines whether multiple members belong to a set."},
	{"scard", 2, scard, oneKey, reads | fast, "Returns the number of members in a set."},
	{"srandmember", -2, srandmember, oneKey, reads, "Gets one or multiple random members from a set."},
	{"smove", 4, smove, twoKeys, writes | fast, "Moves a member from one set to another."},
	{"sinter", -2, sinter, allKeys, reads, "Returns the intersect of multiple sets."},
	{"sunion", -2, sunion, allKeys, reads, "Returns the union of multiple sets."},
	{"sdiff", -2, sdiff, allKeys, reads, "Returns the difference of multiple sets."},
	{"sinterstore", -3, sinterstore, allKeys, writes, "Stores the intersect of multiple sets in a key."},
	{"sunionstore", -3, sunionstore, allKeys, writes, "Stores the union of multiple sets in a key."},
	{"sdiffstore", -3, sdiffstore, allKeys, writes, "Stores the difference of multiple sets in a key."},
	{"sscan", -3, sscan, oneKey, reads, "Iterates over members of a set."},
}

type set = dense[struct{}]

// set is the set of a key, nil if it has none. ok is false if it has another type, and
// then it is answered.
func (s *session) set(key []byte) (t *set, ok bool) { return objectOf[*set](s, s.find(key)) }

func (s *session) setToChange(key []byte) (e *entry, t *set, ok bool) {
	e = s.take(key)
	t, ok = objectOf[*set](s, e)
	return e, t, ok
}

func sadd(s *session, args [][]byte) {
	_, t, ok := s.setToChange(args[1])
	if !ok {
		return
	}
	if t == nil {
		t = newDense[struct{}]()
		s.of(args[1]).add(args[1]).object = t
	}
	n := 0
	for _, m := range args[2:] {
		if t.find(m) == nil {
			t.add(m, struct{}{})
			n++
		}
	}
	s.dirty = n > 0
	s.count(n)
}

func srem(s *session, args [][]byte) {
	e, t, ok := s.setToChange(args[1])
	if !ok {
		return
	}
	n := 0
	if t != nil {
		for _, m := range args[2:] {
			if t.remove(m) {
				n++
			}
		}
		if s.dirty = n > 0; s.dirty {
			s.removeEmpty(args[1], e, t.len())
		}
	}
	s.count(n)
}

func spop(s *session, args [][]byte) {
	n, several, ok := s.popCount(args)
	if !ok {
		return
	}
	e, t, ok := s.setToChange(args[1])
	switch {
	case !ok:
		return
	case t == nil && several:
		s.array(0)
		return
	case t == nil:
		s.null()
		return
	}
	n = min(n, t.len())
	gone := make([][]byte, 2, n+2)
	gone[0], gone[1] = []byte("SREM"), args[1]
	if several {
		s.array(n)
	}
	for range n {
		m := t.row[rand.IntN(len(t.row))].name
		gone = append(gone, []byte(m))
		t.remove(gone[len(gone)-1])
		s.bulkString(m)
	}
	if n > 0 {
		s.removeEmpty(args[1], e, t.len())
		s.logAs(gone...)
	}
}

func smembers(s *session, args [][]byte) {
	switch t, ok := s.set(args[1]); {
	case !ok:
	case t == nil:
		s.array(0)
	default:
		s.members(t)
	}
}

func (s *session) members(t *set) {
	s.array(t.len())
	for i := range t.row {
		s.bulkString(t.row[i].name)
	}
}

// isMember reports whether a set that may be nil has m.
func isMember(t *set, m []byte) bool { return t != nil && t.find(m) != nil }

func sismember(s *session, args [][]byte) {
	if t, ok := s.set(args[1]); ok {
		s.flag(isMember(t, args[2]))
	}
}

func smismember(s *session, args [][]byte) {
	t, ok := s.set(args[1])
	if !ok {
		return
	}
	s.array(len(args) - 2)
	for _, m := range args[2:] {
		s.flag(isMember(t, m))
	}
}

func scard(s *session, args [][]byte) {
	switch t, ok := s.set(args[1]); {
	case !ok:
	case t == nil:
		s.count(0)
	default:
		s.count(t.len())
	}
}

func srandmember(s *session, args [][]byte) {
	n, ok := int64(1), true
	switch {
	case len(args) > 3:
		s.syntaxError()
		return
	case len(args) == 3:
		if n, ok = parseInt(args[2]); !ok || n < -1<<20 {
			s.notInteger()
			return
		}
	}
	t, ok := s.set(args[1])
	switch {
	case !ok:
		return
	case t == nil && len(args) == 3:
		s.array(0)
		return
	case t == nil:
		s.null()
		return
	case len(args) == 2:
		s.bulkString(t.row[rand.IntN(t.len())].name)
		return
	}
	s.randomMembers(t, n)
}

// randomMembers replies n different members, or with -n members that may be the same.
func (s *session) randomMembers(t *set, n int64) {
	if n < 0 {
		s.array(int(-n))
		for range -n {
			s.bulkString(t.row[rand.IntN(t.len())].name)
		}
		return
	}
	few := int(min(n, int64(t.len())))
	s.array(few)
	for _, i := range rand.Perm(t.len())[:few] {
		s.bulkString(t.row[i].name)
	}
}

func smove(s *session, args [][]byte) {
	e, from, ok := s.setToChange(args[1])
	if !ok {
		return
	}
	_, to, ok := s.setToChange(args[2])
	if !ok {
		return
	}
	if !isMember(from, args[3]) {
		s.flag(false)
		return
	}
	s.flag(true)
	if from == to {
		return
	}
	from.remove(args[3])
	if to == nil {
		to = newDense[struct{}]()
		s.of(args[2]).add(args[2]).object = to
	}
	if !isMember(to, args[3]) {
		to.add(args[3], struct{}{})
	}
	s.removeEmpty(args[1], e, from.len())
	s.dirty = true
}

// combine is a set made of several.
type combine func(first *set, others []*set) *set

func intersection(first *set, others []*set) *set {
	return filtered(first, func(m []byte) bool {
		for _, o := range others {
			if !isMember(o, m) {
				return false
			}
		}
		return true
	})
}

func difference(first *set, others []*set) *set {
	return filtered(first, func(m []byte) bool {
		for _, o := range others {
			if isMember(o, m) {
				return false
			}
		}
		return true
	})
}

func union(first *set, others []*set) *set {
	all := newDense[struct{}]()
	for _, t := range append([]*set{first}, others...) {
		for i := 0; t != nil && i < t.len(); i++ {
			if m := []byte(t.row[i].name); !isMember(all, m) {
				all.add(m, struct{}{})
			}
		}
	}
	return all
}

// filtered is the members of a set, which may be nil, that are wanted.
func filtered(t *set, wanted func(m []byte) bool) *set {
	some := newDense[struct{}]()
	for i := 0; t != nil && i < t.len(); i++ {
		if m := []byte(t.row[i].name); wanted(m) {
			some.add(m, struct{}{})
		}
	}
	return some
}

func sinter(s *session, args [][]byte) { s.combined(args, intersection) }
func sunion(s *session, args [][]byte) { s.combined(args, union) }
func sdiff(s *session, args [][]byte)  { s.combined(args, difference) }

func (s *session) combined(args [][]byte, c combine) {
	if t, ok := s.combineSets(args[1:], c); ok {
		s.members(t)
	}
}

func (s *session) combineSets(keys [][]byte, c combine) (t *set, ok bool) {
	sets := make([]*set, len(keys))
	for i, key := range keys {
		if sets[i], ok = s.set(key); !ok {
			return nil, false
		}
	}
	return c(sets[0], sets[1:]), true
}

func sinterstore(s *session, args [][]byte) { s.storeCombined(args, intersection) }
func sunionstore(s *session, args [][]byte) { s.storeCombined(args, union) }
func sdiffstore(s *session, args [][]byte)  { s.storeCombined(args, difference) }

func (s *session) storeCombined(args [][]byte, c combine) {
	t, ok := s.combineSets(args[2:], c)
	if !ok {
		return
	}
	s.store(args[1], t, t.len())
}

// store gives a key a new value of n elements, or removes it if there are none.
func (s *session) store(key []byte, object any, n int) {
	if e := s.take(key); e != nil {
		s.remove(key, e)
	}
	if n > 0 {
		s.of(key).add(key).object = object
		s.dirty = true
	}
	s.count(n)
}

func sscan(s *session, args [][]byte) {
	cursor, o, ok := s.scanArguments(args)
	if !ok {
		return
	}
	t, ok := s.set(args[1])
	if !ok {
		return
	}
	var found []string
	next := int64(0)
	if t != nil {
		next = t.scan(cursor, &o, func(f *field[struct{}]) { found = append(found, f.name) })
	}
	s.scanned(next, len(found))
	for _, m := range found {
		s.bulkString(m)
	}
}
