package main

import (
	"math"
	"strconv"
)

var hashCommands = []command{
	{"hset", -4, hset, oneKey, writes | fast, "Creates or modifies the value of a field in a hash."},
	{"hmset", -4, hmset, oneKey, writes | fast, "Sets the values of multiple fields."},
	{"hsetnx", 4, hsetnx, oneKey, writes | fast, "Sets the value of a field in a hash only when the field doesn't exist."},
	{"hget", 3, hget, oneKey, reads | fast, "Returns the value of a field in a hash."},
	{"hmget", -3, hmget, oneKey, reads | fast, "Returns the values of all fields in a hash."},
	{"hgetall", 2, hgetall, oneKey, reads, "Returns all fields and values in a hash."},
	{"hkeys", 2, hkeys, oneKey, reads, "Returns all fields in a hash."},
	{"hvals", 2, hvals, oneKey, reads, "Returns all values in a hash."},
	{"hdel", -3, hdel, oneKey, writes | fast, "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain."},
	{"hlen", 2, hlen, oneKey, reads | fast, "Returns the number of fields in a hash."},
	{"hexists", 3, hexists, oneKey, reads | fast, "Determines whether a field exists in a hash."},
	{"hstrlen", 3, hstrlen, oneKey, reads | fast, "Returns the length of the value of a field."},
	{"hincrby", 4, hincrby, oneKey, writes | fast, "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist."},
	{"hincrbyfloat", 4, hincrbyfloat, oneKey, writes | fast, "Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist."},
	{"hscan", -3, hscan, oneKey, reads, "Iterates over fields and values of a hash."},
}

type hash = dense[[]byte]

// hash is the hash of a key, nil if it has none. ok is false if it has another type, and
// then it is answered.
func (s *session) hash(key []byte) (h *hash, ok bool) { return objectOf[*hash](s, s.find(key)) }

// makeHash is the hash of a key, a new one if it has none.
func (s *session) makeHash(key []byte) (h *hash, ok bool) {
	e := s.take(key)
	if h, ok = objectOf[*hash](s, e); ok && h == nil {
		h = newDense[[]byte]()
		s.of(key).add(key).object = h
	}
	return h, ok
}

// setField sets a field to a copy of v, in the memory that it has if that fits.
func setField(h *hash, name, v []byte) (isNew bool) {
	old := h.find(name)
	if old == nil {
		h.add(name, append([]byte{}, v...))
		return true
	}
	*old = append((*old)[:0], v...)
	return false
}

func hset(s *session, args [][]byte) {
	if n, ok := s.setFields(args); ok {
		s.count(n)
	}
}

func hmset(s *session, args [][]byte) {
	if _, ok := s.setFields(args); ok {
		s.ok()
	}
}

func (s *session) setFields(args [][]byte) (isNew int, ok bool) {
	if len(args)%2 != 0 {
		s.wrongArity(s.command.name)
		return 0, false
	}
	h, ok := s.makeHash(args[1])
	if !ok {
		return 0, false
	}
	for i := 2; i < len(args); i += 2 {
		if setField(h, args[i], args[i+1]) {
			isNew++
		}
	}
	s.dirty = true
	return isNew, true
}

func hsetnx(s *session, args [][]byte) {
	h, ok := s.makeHash(args[1])
	if !ok {
		return
	}
	isNew := h.find(args[2]) == nil
	if isNew {
		setField(h, args[2], args[3])
		s.dirty = true
	}
	s.flag(isNew)
}

// fieldOf is the value of a field, nil if there is none.
func fieldOf(h *hash, name []byte) []byte {
	if h == nil {
		return nil
	}
	if v := h.find(name); v != nil {
		return *v
	}
	return nil
}

func hget(s *session, args [][]byte) {
	if h, ok := s.hash(args[1]); ok {
		s.bulkOrNull(fieldOf(h, args[2]))
	}
}

func hmget(s *session, args [][]byte) {
	h, ok := s.hash(args[1])
	if !ok {
		return
	}
	s.array(len(args) - 2)
	for _, name := range args[2:] {
		s.bulkOrNull(fieldOf(h, name))
	}
}

func hgetall(s *session, args [][]byte) { s.fields(args[1], true, true) }
func hkeys(s *session, args [][]byte)   { s.fields(args[1], true, false) }
func hvals(s *session, args [][]byte)   { s.fields(args[1], false, true) }

func (s *session) fields(key []byte, names, values bool) {
	h, ok := s.hash(key)
	switch {
	case !ok:
		return
	case h == nil:
		s.array(0)
		return
	case names && values:
		s.array(2 * h.len())
	default:
		s.array(h.len())
	}
	for i := range h.row {
		if names {
			s.bulkString(h.row[i].name)
		}
		if values {
			s.bulk(h.row[i].value)
		}
	}
}

func hdel(s *session, args [][]byte) {
	e := s.take(args[1])
	h, ok := objectOf[*hash](s, e)
	if !ok {
		return
	}
	n := 0
	if h != nil {
		for _, name := range args[2:] {
			if h.remove(name) {
				n++
			}
		}
		if s.dirty = n > 0; s.dirty {
			s.removeEmpty(args[1], e, h.len())
		}
	}
	s.count(n)
}

func hlen(s *session, args [][]byte) {
	switch h, ok := s.hash(args[1]); {
	case !ok:
	case h == nil:
		s.count(0)
	default:
		s.count(h.len())
	}
}

func hexists(s *session, args [][]byte) {
	if h, ok := s.hash(args[1]); ok {
		s.flag(fieldOf(h, args[2]) != nil)
	}
}

func hstrlen(s *session, args [][]byte) {
	if h, ok := s.hash(args[1]); ok {
		s.count(len(fieldOf(h, args[2])))
	}
}

func hincrby(s *session, args [][]byte) {
	n, ok := parseInt(args[3])
	if !ok {
		s.notInteger()
		return
	}
	h, ok := s.hash(args[1])
	if !ok {
		return
	}
	old := int64(0)
	if v := fieldOf(h, args[2]); v != nil {
		if old, ok = parseInt(v); !ok {
			s.fail("ERR hash value is not an integer")
			return
		}
	}
	sum := old + n
	if n > 0 && sum < old || n < 0 && sum > old {
		s.fail("ERR increment or decrement would overflow")
		return
	}
	h, _ = s.makeHash(args[1])
	setField(h, args[2], strconv.AppendInt(nil, sum, 10))
	s.dirty = true
	s.integer(sum)
}

func hincrbyfloat(s *session, args [][]byte) {
	n, ok := parseFloat(args[3])
	if !ok {
		s.notFloat()
		return
	}
	h, ok := s.hash(args[1])
	if !ok {
		return
	}
	old := 0.0
	if v := fieldOf(h, args[2]); v != nil {
		if old, ok = parseFloat(v); !ok {
			s.fail("ERR hash value is not a float")
			return
		}
	}
	sum := old + n
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		s.fail("ERR increment would produce NaN or Infinity")
		return
	}
	v := strconv.AppendFloat(nil, sum, 'f', -1, 64)
	h, _ = s.makeHash(args[1])
	setField(h, args[2], v)
	s.bulk(v)
	s.logAs([]byte("HSET"), args[1], args[2], v)
}

func hscan(s *session, args [][]byte) {
	cursor, o, ok := s.scanArguments(args)
	if !ok {
		return
	}
	h, ok := s.hash(args[1])
	if !ok {
		return
	}
	var found []*field[[]byte]
	next := int64(0)
	if h != nil {
		next = h.scan(cursor, &o, func(f *field[[]byte]) { found = append(found, f) })
	}
	s.scanned(next, 2*len(found))
	for _, f := range found {
		s.bulkString(f.name)
		s.bulk(f.value)
	}
}

// scanArguments reads the cursor and the options of HSCAN, SSCAN and ZSCAN.
func (s *session) scanArguments(args [][]byte) (cursor int64, o scanOptions, ok bool) {
	cursor, ok = parseInt(args[2])
	if !ok || cursor < 0 {
		s.fail("ERR invalid cursor")
		return 0, o, false
	}
	o, ok = s.scanOptions(args[3:])
	return cursor, o, ok
}

// scanned begins the reply to a scan.
func (s *session) scanned(next int64, n int) {
	s.array(2)
	s.bulkString(strconv.FormatInt(next, 10))
	s.array(n)
}
