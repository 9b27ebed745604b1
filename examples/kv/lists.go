package main

import "bytes"

var listCommands = []command{
	{"lpush", -3, lpush, oneKey, writes | fast, "Prepends one or more elements to a list. Creates the key if it doesn't exist."},
	{"rpush", -3, rpush, oneKey, writes | fast, "Appends one or more elements to a list. Creates the key if it doesn't exist."},
	{"lpushx", -3, lpushx, oneKey, writes | fast, "Prepends one or more elements to a list only when the list exists."},
	{"rpushx", -3, rpushx, oneKey, writes | fast, "Appends an element to a list only when the list exists."},
	{"lpop", -2, lpop, oneKey, writes | fast, "Returns the first elements in a list after removing it. Deletes the list if the last element was popped."},
	{"rpop", -2, rpop, oneKey, writes | fast, "Returns and removes the last elements of a list. Deletes the list if the last element was popped."},
	{"llen", 2, llen, oneKey, reads | fast, "Returns the length of a list."},
	{"lrange", 4, lrange, oneKey, reads, "Returns a range of elements from a list."},
	{"lindex", 3, lindex, oneKey, reads, "Returns an element from a list by its index."},
	{"lset", 4, lset, oneKey, writes, "Sets the value of an element in a list by its index."},
	{"lrem", 4, lrem, oneKey, writes, "Removes elements from a list. Deletes the list if the last element was removed."},
	{"ltrim", 4, ltrim, oneKey, writes, "Removes elements from both ends a list. Deletes the list if all elements were trimmed."},
	{"linsert", 5, linsert, oneKey, writes, "Inserts an element before or after another element in a list."},
	{"rpoplpush", 3, rpoplpush, twoKeys, writes, "Returns the last element of a list after removing and pushing it to another list."},
	{"lmove", 5, lmove, twoKeys, writes, "Returns an element after popping it from one list and pushing it to another."},
}

// list is a ring of elements, with a power of two places.
type list struct {
	places [][]byte
	first  int
	n      int
}

func (l *list) at(i int) *[]byte { return &l.places[(l.first+i)&(len(l.places)-1)] }

func (l *list) push(v []byte, front bool) {
	if l.n == len(l.places) {
		l.resize(max(4, 2*l.n))
	}
	l.n++
	i := l.n - 1
	if front {
		l.first = (l.first - 1) & (len(l.places) - 1)
		i = 0
	}
	*l.at(i) = bytes.Clone(v)
}

func (l *list) pop(front bool) []byte {
	i := l.n - 1
	if front {
		i = 0
	}
	place := l.at(i)
	v := *place
	*place = nil
	l.n--
	if front {
		l.first = (l.first + 1) & (len(l.places) - 1)
	}
	if len(l.places) > 16 && l.n < len(l.places)/4 {
		l.resize(len(l.places) / 2)
	}
	return v
}

func (l *list) resize(to int) {
	places := make([][]byte, to)
	for i := range l.n {
		places[i] = *l.at(i)
	}
	l.places, l.first = places, 0
}

// all is the elements as a slice, of which keep makes the list again.
func (l *list) all() [][]byte {
	all := make([][]byte, l.n)
	for i := range all {
		all[i] = *l.at(i)
	}
	return all
}

func (l *list) keep(all [][]byte) {
	*l = list{places: make([][]byte, 4), n: len(all)}
	for len(l.places) < len(all) {
		l.places = append(l.places, make([][]byte, len(l.places))...)
	}
	copy(l.places, all)
}

// list is the list of a key, nil if it has none. ok is false if it has another type, and
// then it is answered.
func (s *session) list(key []byte) (l *list, ok bool) { return objectOf[*list](s, s.find(key)) }

// listToChange is list, with the entry.
func (s *session) listToChange(key []byte) (e *entry, l *list, ok bool) {
	e = s.take(key)
	l, ok = objectOf[*list](s, e)
	return e, l, ok
}

// objectOf is the value of an entry.
func objectOf[T any](s *session, e *entry) (v T, ok bool) {
	if e == nil {
		return v, true
	}
	if v, ok = e.object.(T); !ok {
		s.wrongType()
	}
	return v, ok
}

func lpush(s *session, args [][]byte)  { s.pushAll(args, true, true) }
func rpush(s *session, args [][]byte)  { s.pushAll(args, false, true) }
func lpushx(s *session, args [][]byte) { s.pushAll(args, true, false) }
func rpushx(s *session, args [][]byte) { s.pushAll(args, false, false) }

func (s *session) pushAll(args [][]byte, front, makes bool) {
	_, l, ok := s.listToChange(args[1])
	if !ok {
		return
	}
	if l == nil && !makes {
		s.count(0)
		return
	}
	if l == nil {
		l = new(list)
		s.of(args[1]).add(args[1]).object = l
	}
	for _, v := range args[2:] {
		l.push(v, front)
	}
	s.dirty = true
	s.count(l.n)
}

func lpop(s *session, args [][]byte) { s.popSome(args, true) }
func rpop(s *session, args [][]byte) { s.popSome(args, false) }

func (s *session) popSome(args [][]byte, front bool) {
	n, several, ok := s.popCount(args)
	if !ok {
		return
	}
	e, l, ok := s.listToChange(args[1])
	switch {
	case !ok:
		return
	case l == nil && several:
		s.nullArray()
		return
	case l == nil:
		s.null()
		return
	case several:
		n = min(n, l.n)
		s.array(n)
	}
	for range n {
		s.bulk(l.pop(front))
		s.dirty = true
	}
	s.removeEmpty(args[1], e, l.n)
}

// removeEmpty removes a key with a value of no elements.
func (s *session) removeEmpty(key []byte, e *entry, n int) {
	if n == 0 {
		s.remove(key, e)
	}
}

// popCount reads how many elements are to be popped.
func (s *session) popCount(args [][]byte) (n int, several, ok bool) {
	if len(args) == 2 {
		return 1, false, true
	}
	if len(args) > 3 {
		s.wrongArity(s.command.name)
		return 0, true, false
	}
	count, ok := parseInt(args[2])
	if !ok || count < 0 {
		s.fail("ERR value is out of range, must be positive")
		return 0, true, false
	}
	return int(min(count, 1<<31-1)), true, true
}

func llen(s *session, args [][]byte) {
	switch l, ok := s.list(args[1]); {
	case !ok:
	case l == nil:
		s.count(0)
	default:
		s.count(l.n)
	}
}

// span reads two indexes.
func (s *session) span(a, b []byte) (from, to int64, ok bool) {
	from, ok = parseInt(a)
	to, ok2 := parseInt(b)
	if !ok || !ok2 {
		s.notInteger()
	}
	return from, to, ok && ok2
}

func lrange(s *session, args [][]byte) {
	from, to, ok := s.span(args[2], args[3])
	if !ok {
		return
	}
	l, ok := s.list(args[1])
	switch {
	case !ok:
		return
	case l == nil:
		s.array(0)
		return
	}
	begin, end := slice(from, to, l.n)
	s.array(end - begin)
	for i := begin; i < end; i++ {
		s.bulk(*l.at(i))
	}
}

// index is the place of an element that counts from the end if it is negative.
func (l *list) index(i int64) (place int, ok bool) {
	if i < 0 {
		i += int64(l.n)
	}
	return int(i), i >= 0 && i < int64(l.n)
}

func lindex(s *session, args [][]byte) {
	n, ok := parseInt(args[2])
	if !ok {
		s.notInteger()
		return
	}
	l, ok := s.list(args[1])
	if !ok {
		return
	}
	if l != nil {
		if i, ok := l.index(n); ok {
			s.bulk(*l.at(i))
			return
		}
	}
	s.null()
}

func lset(s *session, args [][]byte) {
	n, ok := parseInt(args[2])
	_, l, isList := s.listToChange(args[1])
	switch {
	case !isList:
		return
	case l == nil:
		s.fail("ERR no such key")
		return
	case !ok:
		s.notInteger()
		return
	}
	i, ok := l.index(n)
	if !ok {
		s.fail("ERR index out of range")
		return
	}
	*l.at(i) = bytes.Clone(args[3])
	s.dirty = true
	s.ok()
}

func lrem(s *session, args [][]byte) {
	n, ok := parseInt(args[2])
	if !ok {
		s.notInteger()
		return
	}
	e, l, ok := s.listToChange(args[1])
	switch {
	case !ok:
		return
	case l == nil:
		s.count(0)
		return
	}
	kept, removed := without(l.all(), args[3], n)
	if removed > 0 {
		l.keep(kept)
		s.dirty = true
		s.removeEmpty(args[1], e, l.n)
	}
	s.count(removed)
}

// without removes elements that are v: n from the beginning, -n from the end, or all
// with 0.
func without(all [][]byte, v []byte, n int64) (kept [][]byte, removed int) {
	fromEnd := n < 0
	if n < 0 {
		n = -n
	}
	skip := 0 // of those that are v, how many stay in front
	if fromEnd {
		for _, x := range all {
			if bytes.Equal(x, v) {
				skip++
			}
		}
		skip = max(0, skip-int(min(n, int64(skip))))
	}
	for _, x := range all {
		switch {
		case !bytes.Equal(x, v):
			kept = append(kept, x)
		case skip > 0:
			skip--
			kept = append(kept, x)
		case n == 0 || int64(removed) < n:
			removed++
		default:
			kept = append(kept, x)
		}
	}
	return kept, removed
}

func ltrim(s *session, args [][]byte) {
	from, to, ok := s.span(args[2], args[3])
	if !ok {
		return
	}
	e, l, ok := s.listToChange(args[1])
	if !ok {
		return
	}
	if l != nil {
		begin, end := slice(from, to, l.n)
		for range l.n - end {
			l.pop(false)
		}
		for range begin {
			l.pop(true)
		}
		s.dirty = true
		s.removeEmpty(args[1], e, l.n)
	}
	s.ok()
}

func linsert(s *session, args [][]byte) {
	before := isWord(args[2], "before")
	if !before && !isWord(args[2], "after") {
		s.syntaxError()
		return
	}
	_, l, ok := s.listToChange(args[1])
	switch {
	case !ok:
		return
	case l == nil:
		s.count(0)
		return
	}
	all := l.all()
	for i, v := range all {
		if !bytes.Equal(v, args[3]) {
			continue
		}
		if !before {
			i++
		}
		l.push(nil, false)
		for k := l.n - 1; k > i; k-- {
			*l.at(k) = *l.at(k - 1)
		}
		*l.at(i) = bytes.Clone(args[4])
		s.dirty = true
		s.count(l.n)
		return
	}
	s.integer(-1)
}

func rpoplpush(s *session, args [][]byte) { s.moveElement(args[1], args[2], false, true) }

func lmove(s *session, args [][]byte) {
	fromLeft, toLeft := isWord(args[3], "left"), isWord(args[4], "left")
	if !fromLeft && !isWord(args[3], "right") || !toLeft && !isWord(args[4], "right") {
		s.syntaxError()
		return
	}
	s.moveElement(args[1], args[2], fromLeft, toLeft)
}

func (s *session) moveElement(from, to []byte, fromFront, toFront bool) {
	e, l, ok := s.listToChange(from)
	switch {
	case !ok:
		return
	case l == nil:
		s.null()
		return
	}
	_, target, ok := s.listToChange(to)
	if !ok {
		return
	}
	if target == nil {
		target = new(list)
		s.of(to).add(to).object = target
	}
	v := l.pop(fromFront)
	target.push(v, toFront)
	s.removeEmpty(from, e, l.n)
	s.dirty = true
	s.bulk(v)
}
