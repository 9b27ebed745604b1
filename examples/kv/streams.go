package main

import (
	"bytes"
	"math"
	"sort"
	"strconv"
)

var streamCommands = []command{
	{"xadd", -5, xadd, oneKey, writes | fast, "Appends a new message to a stream. Creates the key if it doesn't exist."},
	{"xlen", 2, xlen, oneKey, reads | fast, "Return the number of messages in a stream."},
	{"xrange", -4, xrange, oneKey, reads, "Returns the messages from a stream within a range of IDs."},
	{"xrevrange", -4, xrevrange, oneKey, reads, "Returns the messages from a stream within a range of IDs in reverse order."},
	{"xdel", -3, xdel, oneKey, writes | fast, "Returns the number of messages after removing them from a stream."},
	{"xtrim", -4, xtrim, oneKey, writes, "Deletes messages from the beginning of a stream."},
}

// stream is messages in the order of their identifiers.
type stream struct {
	messages []message
	last     streamID
}

// message has fields and values by turns.
type message struct {
	id     streamID
	fields [][]byte
}

// streamID is a time in milliseconds and a number within it.
type streamID struct{ time, number uint64 }

func (id streamID) less(other streamID) bool {
	return id.time < other.time || id.time == other.time && id.number < other.number
}

func (id streamID) String() string {
	return strconv.FormatUint(id.time, 10) + "-" + strconv.FormatUint(id.number, 10)
}

// next is the identifier behind id; ok is false if there is none.
func (id streamID) next() (next streamID, ok bool) {
	switch {
	case id.number < math.MaxUint64:
		return streamID{id.time, id.number + 1}, true
	case id.time < math.MaxUint64:
		return streamID{id.time + 1, 0}, true
	}
	return id, false
}

// parseID reads an identifier. Without a number it gets that one.
func parseID(p []byte, number uint64) (id streamID, ok bool) {
	before, after, has := bytes.Cut(p, []byte("-"))
	id.number = number
	if id.time, ok = parseUint(before); ok && has {
		id.number, ok = parseUint(after)
	}
	return id, ok
}

func parseUint(p []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(p), 10, 64)
	return n, err == nil && p[0] != '+'
}

// stream is the stream of a key, nil if it has none. ok is false if it has another type,
// and then it is answered.
func (s *session) stream(key []byte) (x *stream, ok bool) {
	return objectOf[*stream](s, s.find(key))
}

const invalidID = "ERR Invalid stream ID specified as stream command argument"

// trim is the option MAXLEN: how many messages are kept. There is none if it is negative.
type trim struct{ most int }

func (t trim) apply(x *stream) (removed int) {
	if t.most >= 0 && len(x.messages) > t.most {
		removed = len(x.messages) - t.most
		clear(x.messages[:removed])
		x.messages = x.messages[removed:]
	}
	return removed
}

// trim reads MAXLEN [=|~] n, and returns how many arguments that are.
func (s *session) trim(args [][]byte) (t trim, n int, ok bool) {
	n = 1
	if len(args) > 1 && (string(args[1]) == "=" || string(args[1]) == "~") {
		n++
	}
	if !isWord(args[0], "maxlen") || n >= len(args) {
		s.syntaxError()
		return t, 0, false
	}
	most, ok := parseInt(args[n])
	switch {
	case !ok:
		s.notInteger()
		return t, 0, false
	case most < 0:
		s.fail("ERR The MAXLEN argument must be >= 0.")
		return t, 0, false
	}
	return trim{int(min(most, math.MaxInt32))}, n + 1, true
}

func xadd(s *session, args [][]byte) {
	t, makes, rest := trim{-1}, true, args[2:]
	for len(rest) > 0 {
		if isWord(rest[0], "nomkstream") {
			makes, rest = false, rest[1:]
			continue
		}
		if !isWord(rest[0], "maxlen") {
			break
		}
		limit, n, ok := s.trim(rest)
		if !ok {
			return
		}
		t, rest = limit, rest[n:]
	}
	if len(rest) < 3 || len(rest)%2 == 0 {
		s.wrongArity("xadd")
		return
	}
	e := s.take(args[1])
	x, ok := objectOf[*stream](s, e)
	switch {
	case !ok:
		return
	case x == nil && !makes:
		s.null()
		return
	case x == nil:
		x = new(stream)
	}
	id, ok := s.newID(x, rest[0])
	if !ok {
		return
	}
	if e == nil {
		s.of(args[1]).add(args[1]).object = x
	}
	s.addMessage(args[1], x, id, rest[1:])
	if t.apply(x) > 0 && s.holds {
		s.journal([]byte("XTRIM"), args[1], []byte("MAXLEN"), strconv.AppendInt(nil, int64(t.most), 10))
	}
}

func (s *session) addMessage(key []byte, x *stream, id streamID, fields [][]byte) {
	m := message{id: id, fields: make([][]byte, len(fields))}
	for i, f := range fields {
		m.fields[i] = bytes.Clone(f)
	}
	x.messages, x.last = append(x.messages, m), id
	s.bulkString(id.String())
	if s.holds {
		s.logAs(append([][]byte{[]byte("XADD"), key, []byte(id.String())}, fields...)...)
	}
}

// newID is the identifier of a message that is added: it is given, or * for one of now,
// or time-* for the next one of that time.
func (s *session) newID(x *stream, p []byte) (id streamID, ok bool) {
	time, isPart := bytes.CutSuffix(p, []byte("-*"))
	switch {
	case string(p) == "*":
		id = streamID{uint64(s.now()), 0}
		if !x.last.less(id) {
			id, ok = x.last.next()
		} else {
			ok = true
		}
	case isPart:
		if id.time, ok = parseUint(time); ok && id.time == x.last.time {
			id, ok = x.last.next()
		}
	default:
		if id, ok = parseID(p, 0); ok && id == (streamID{}) {
			s.fail("ERR The ID specified in XADD must be greater than 0-0")
			return id, false
		}
	}
	switch {
	case !ok:
		s.fail(invalidID)
	case !x.last.less(id):
		s.fail("ERR The ID specified in XADD is equal or smaller than the target stream top item")
		return id, false
	}
	return id, ok
}

func xlen(s *session, args [][]byte) {
	switch x, ok := s.stream(args[1]); {
	case !ok:
	case x == nil:
		s.count(0)
	default:
		s.count(len(x.messages))
	}
}

func xrange(s *session, args [][]byte)    { s.messages(args, args[2], args[3], false) }
func xrevrange(s *session, args [][]byte) { s.messages(args, args[3], args[2], true) }

func (s *session) messages(args [][]byte, low, high []byte, reverse bool) {
	from, to, ok := idRange(low, high)
	if !ok {
		s.fail(invalidID)
		return
	}
	most := int64(math.MaxInt64)
	switch {
	case len(args) == 4:
	case len(args) != 6 || !isWord(args[4], "count"):
		s.syntaxError()
		return
	default:
		if most, ok = parseInt(args[5]); !ok {
			s.notInteger()
			return
		}
	}
	x, ok := s.stream(args[1])
	switch {
	case !ok:
		return
	case x == nil:
		s.array(0)
		return
	}
	begin, end := x.within(from, to)
	n := int(min(max(most, 0), int64(end-begin)))
	s.array(n)
	for i := range n {
		if reverse {
			s.message(x.messages[end-1-i])
		} else {
			s.message(x.messages[begin+i])
		}
	}
}

// idRange reads the ends of a range of identifiers: - and + are the first and the last,
// and one behind a parenthesis is not within.
func idRange(low, high []byte) (from, to streamID, ok bool) {
	to = streamID{math.MaxUint64, math.MaxUint64}
	if string(low) != "-" {
		id, open := bytes.CutPrefix(low, []byte("("))
		if from, ok = parseID(id, 0); ok && open {
			from, ok = from.next()
		}
		if !ok {
			return from, to, false
		}
	}
	if string(high) != "+" {
		id, open := bytes.CutPrefix(high, []byte("("))
		if to, ok = parseID(id, math.MaxUint64); !ok {
			return from, to, false
		}
		switch {
		case !open:
		case to.number > 0:
			to.number--
		case to.time > 0:
			to = streamID{to.time - 1, math.MaxUint64}
		default:
			return from, to, false
		}
	}
	return from, to, true
}

func (x *stream) within(from, to streamID) (begin, end int) {
	begin = sort.Search(len(x.messages), func(i int) bool { return !x.messages[i].id.less(from) })
	end = sort.Search(len(x.messages), func(i int) bool { return to.less(x.messages[i].id) })
	return begin, max(begin, end)
}

func (s *session) message(m message) {
	s.array(2)
	s.bulkString(m.id.String())
	s.array(len(m.fields))
	for _, f := range m.fields {
		s.bulk(f)
	}
}

func xdel(s *session, args [][]byte) {
	ids := make([]streamID, len(args)-2)
	for i, a := range args[2:] {
		var ok bool
		if ids[i], ok = parseID(a, 0); !ok {
			s.fail(invalidID)
			return
		}
	}
	x, ok := objectOf[*stream](s, s.take(args[1]))
	if !ok {
		return
	}
	n := 0
	for _, id := range ids {
		if x == nil {
			break
		}
		if begin, end := x.within(id, id); end > begin {
			x.messages = append(x.messages[:begin], x.messages[end:]...)
			n++
		}
	}
	s.dirty = n > 0
	s.count(n)
}

func xtrim(s *session, args [][]byte) {
	t, n, ok := s.trim(args[2:])
	if !ok {
		return
	}
	if 2+n != len(args) {
		s.syntaxError()
		return
	}
	x, ok := objectOf[*stream](s, s.take(args[1]))
	if !ok {
		return
	}
	removed := 0
	if x != nil {
		removed = t.apply(x)
	}
	s.dirty = removed > 0
	s.count(removed)
}
