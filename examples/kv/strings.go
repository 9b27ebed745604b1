package main

import (
	"math"
	"strconv"
)

var stringCommands = []command{
	{"get", 2, get, oneKey, reads | fast, "Returns the string value of a key."},
	{"set", -3, set3, oneKey, writes, "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist."},
	{"setex", 4, setex, oneKey, writes, "Sets the string value and expiration time of a key, in seconds."},
	{"psetex", 4, psetex, oneKey, writes, "Sets the string value and expiration time of a key, in milliseconds."},
	{"setnx", 3, setnx, oneKey, writes | fast, "Sets the string value of a key only when the key doesn't exist."},
	{"getset", 3, getset, oneKey, writes | fast, "Returns the previous string value of a key after setting it to a new value."},
	{"getdel", 2, getdel, oneKey, writes | fast, "Returns the string value of a key after deleting the key."},
	{"mget", -2, mget, allKeys, reads | fast, "Returns the string values of one or more keys."},
	{"mset", -3, mset, pairs, writes, "Sets the string values of one or more keys."},
	{"msetnx", -3, msetnx, pairs, writes, "Sets the string values of one or more keys only when all keys don't exist."},
	{"append", 3, appendText, oneKey, writes | fast, "Appends a string to the value of a key."},
	{"strlen", 2, strlen, oneKey, reads | fast, "Returns the length of a string value."},
	{"getrange", 4, getrange, oneKey, reads, "Returns a substring of the string stored at a key."},
	{"setrange", 4, setrange, oneKey, writes, "Overwrites a part of a string value."},
	{"incr", 2, incr, oneKey, writes | fast, "Increments the integer value of a key by one."},
	{"decr", 2, decr, oneKey, writes | fast, "Decrements the integer value of a key by one."},
	{"incrby", 3, incrby, oneKey, writes | fast, "Increments the integer value of a key by a number."},
	{"decrby", 3, decrby, oneKey, writes | fast, "Decrements a number from the integer value of a key."},
	{"incrbyfloat", 3, incrbyfloat, oneKey, writes | fast, "Increments the floating point value of a key by a number."},
}

// text is the string of a key. ok is false if the key has another type, and then it is
// answered.
func (s *session) text(key []byte) (v []byte, ok bool) {
	e := s.find(key)
	switch {
	case e == nil:
		return nil, true
	case e.object != nil:
		s.wrongType()
		return nil, false
	case e.text == nil:
		return []byte{}, true
	}
	return e.text, true
}

// bulkOrNull is the reply v, or null if that is nil.
func (s *session) bulkOrNull(v []byte) {
	if v == nil {
		s.null()
	} else {
		s.bulk(v)
	}
}

func get(s *session, args [][]byte) {
	if v, ok := s.text(args[1]); ok {
		s.bulkOrNull(v)
	}
}

// setOptions is what follows the value of SET.
type setOptions struct {
	onlyNew, onlyOld bool
	keepExpiry       bool
	old              bool // wants the old value
	at               int64
}

func set3(s *session, args [][]byte) {
	if len(args) == 3 {
		s.replace(args[1], args[2], 0)
		s.dirty = true
		s.ok()
		return
	}
	o, ok := s.setOptions(args[3:])
	if !ok {
		return
	}
	e := s.take(args[1])
	switch {
	case o.old && e != nil && e.object != nil:
		s.wrongType()
		return
	case o.old && e == nil:
		s.null()
	case o.old:
		s.bulk(e.text)
	}
	if o.onlyNew && e != nil || o.onlyOld && e == nil {
		if !o.old {
			s.null()
		}
		return
	}
	if o.keepExpiry && e != nil {
		o.at = e.expires
	}
	s.replace(args[1], args[2], o.at)
	s.logSet(args[1], args[2], o.at)
	if !o.old {
		s.ok()
	}
}

// setOptions reads the options of SET, or answers what is wrong with them.
func (s *session) setOptions(args [][]byte) (o setOptions, ok bool) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case isWord(a, "nx") && !o.onlyOld:
			o.onlyNew = true
		case isWord(a, "xx") && !o.onlyNew:
			o.onlyOld = true
		case isWord(a, "get"):
			o.old = true
		case isWord(a, "keepttl") && o.at == 0:
			o.keepExpiry = true
		default:
			unit, absolute := expiryOption(a)
			if unit == 0 || i+1 == len(args) || o.at != 0 || o.keepExpiry {
				s.syntaxError()
				return o, false
			}
			i++
			if o.at, ok = s.expiry(args[i], unit, absolute, true); !ok {
				return o, false
			}
		}
	}
	return o, true
}

// expiryOption is the unit of a time, in milliseconds, and whether it is counted from
// 1970; 0 if the word is no such option.
func expiryOption(word []byte) (unit int64, absolute bool) {
	switch {
	case isWord(word, "ex"):
		return 1000, false
	case isWord(word, "px"):
		return 1, false
	case isWord(word, "exat"):
		return 1000, true
	case isWord(word, "pxat"):
		return 1, true
	}
	return 0, false
}

// expiry reads a time, or answers what is wrong with it.
func (s *session) expiry(p []byte, unit int64, absolute, positive bool) (at int64, ok bool) {
	n, ok := parseInt(p)
	if !ok {
		s.notInteger()
		return 0, false
	}
	base := int64(0)
	if !absolute {
		base = s.now()
	}
	if positive && n <= 0 || n > (math.MaxInt64-base)/unit || n < math.MinInt64/unit {
		s.fail("ERR invalid expire time in '" + s.command.name + "' command")
		return 0, false
	}
	return base + n*unit, true
}

// replace sets a key to a string that expires at that time, or never with 0.
func (s *session) replace(key, v []byte, at int64) {
	h := s.of(key)
	e := h.entries[string(key)]
	if e == nil {
		e = h.add(key)
	}
	e.setText(v)
	switch {
	case at != 0:
		h.expireAt(e, at)
	case e.expires != 0:
		h.persist(e)
	}
}

// logSet puts a SET with an absolute time into the journal.
func (s *session) logSet(key, v []byte, at int64) {
	switch {
	case !s.holds:
		s.dirty = true
	case at == 0:
		s.logAs([]byte("SET"), key, v)
	default:
		s.logAs([]byte("SET"), key, v, []byte("PXAT"), strconv.AppendInt(nil, at, 10))
	}
}

func setex(s *session, args [][]byte)  { s.setFor(args, 1000) }
func psetex(s *session, args [][]byte) { s.setFor(args, 1) }

func (s *session) setFor(args [][]byte, unit int64) {
	at, ok := s.expiry(args[2], unit, false, true)
	if !ok {
		return
	}
	s.replace(args[1], args[3], at)
	s.logSet(args[1], args[3], at)
	s.ok()
}

func setnx(s *session, args [][]byte) {
	if s.take(args[1]) != nil {
		s.flag(false)
		return
	}
	s.replace(args[1], args[2], 0)
	s.dirty = true
	s.flag(true)
}

func getset(s *session, args [][]byte) {
	v, ok := s.text(args[1])
	if !ok {
		return
	}
	s.bulkOrNull(v)
	s.replace(args[1], args[2], 0)
	s.logSet(args[1], args[2], 0)
}

func getdel(s *session, args [][]byte) {
	v, ok := s.text(args[1])
	if !ok {
		return
	}
	s.bulkOrNull(v)
	if e := s.take(args[1]); e != nil {
		s.remove(args[1], e)
	}
}

func mget(s *session, args [][]byte) {
	s.array(len(args) - 1)
	for _, key := range args[1:] {
		if e := s.find(key); e == nil || e.object != nil {
			s.null()
		} else {
			s.bulk(e.text)
		}
	}
}

func mset(s *session, args [][]byte) {
	if len(args)%2 == 0 {
		s.wrongArity("mset")
		return
	}
	for i := 1; i < len(args); i += 2 {
		s.replace(args[i], args[i+1], 0)
	}
	s.dirty = true
	s.ok()
}

func msetnx(s *session, args [][]byte) {
	if len(args)%2 == 0 {
		s.wrongArity("msetnx")
		return
	}
	for i := 1; i < len(args); i += 2 {
		if s.take(args[i]) != nil {
			s.flag(false)
			return
		}
	}
	for i := 1; i < len(args); i += 2 {
		s.replace(args[i], args[i+1], 0)
	}
	s.dirty = true
	s.flag(true)
}

// textToChange is the entry of a string, which is made if the key has none. ok is false
// if the key has another type, and then it is answered.
func (s *session) textToChange(key []byte) (e *entry, ok bool) {
	e = s.take(key)
	switch {
	case e == nil:
		return s.of(key).add(key), true
	case e.object != nil:
		s.wrongType()
		return nil, false
	}
	return e, true
}

// maxText is how long a string may be.
const maxText = 512 << 20

func appendText(s *session, args [][]byte) {
	e := s.take(args[1])
	switch {
	case e != nil && e.object != nil:
		s.wrongType()
		return
	case e != nil && len(e.text)+len(args[2]) > maxText:
		s.fail("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
		return
	case e == nil:
		e = s.of(args[1]).add(args[1])
	}
	e.text = append(e.text, args[2]...)
	s.dirty = true
	s.count(len(e.text))
}

func strlen(s *session, args [][]byte) {
	if v, ok := s.text(args[1]); ok {
		s.count(len(v))
	}
}

func getrange(s *session, args [][]byte) {
	from, ok := parseInt(args[2])
	to, ok2 := parseInt(args[3])
	if !ok || !ok2 {
		s.notInteger()
		return
	}
	v, ok := s.text(args[1])
	if !ok {
		return
	}
	// An end in front of the first byte means the first, unlike in lists.
	if n := int64(len(v)); to < -n && (from >= 0 || from <= to) {
		to = -n
	}
	begin, end := slice(from, to, len(v))
	s.bulk(v[begin:end])
}

// slice is the part of n elements from one index to another, both included, which count
// from the end if they are negative.
func slice(from, to int64, n int) (begin, end int) {
	if from < 0 {
		from = max(from+int64(n), 0)
	}
	if to < 0 {
		to += int64(n)
	}
	to = min(to, int64(n)-1)
	if from > to {
		return 0, 0
	}
	return int(from), int(to) + 1
}

func setrange(s *session, args [][]byte) {
	offset, ok := parseInt(args[2])
	switch {
	case !ok:
		s.notInteger()
		return
	case offset < 0:
		s.fail("ERR offset is out of range")
		return
	}
	v, ok := s.text(args[1])
	if !ok {
		return
	}
	switch {
	case len(args[3]) == 0:
		s.count(len(v))
		return
	case offset+int64(len(args[3])) > maxText:
		s.fail("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
		return
	}
	e, _ := s.textToChange(args[1])
	if end := int(offset) + len(args[3]); end > len(e.text) {
		e.text = append(e.text, make([]byte, end-len(e.text))...)
	}
	copy(e.text[offset:], args[3])
	s.dirty = true
	s.count(len(e.text))
}

func incr(s *session, args [][]byte) { s.add(args[1], 1) }
func decr(s *session, args [][]byte) { s.add(args[1], -1) }

func incrby(s *session, args [][]byte) {
	if n, ok := parseInt(args[2]); ok {
		s.add(args[1], n)
	} else {
		s.notInteger()
	}
}

func decrby(s *session, args [][]byte) {
	switch n, ok := parseInt(args[2]); {
	case !ok:
		s.notInteger()
	case n == math.MinInt64:
		s.fail("ERR decrement would overflow")
	default:
		s.add(args[1], -n)
	}
}

// add adds n to a counter.
func (s *session) add(key []byte, n int64) {
	e := s.take(key)
	old, ok := int64(0), true
	switch {
	case e != nil && e.object != nil:
		s.wrongType()
		return
	case e != nil:
		old, ok = parseInt(e.text)
	}
	switch sum := old + n; {
	case !ok:
		s.notInteger()
	case n > 0 && sum < old || n < 0 && sum > old:
		s.fail("ERR increment or decrement would overflow")
	default:
		if e == nil {
			e = s.of(key).add(key)
		}
		e.text = strconv.AppendInt(e.text[:0], sum, 10)
		s.dirty = true
		s.integer(sum)
	}
}

func incrbyfloat(s *session, args [][]byte) {
	e := s.take(args[1])
	old, ok := 0.0, true
	switch {
	case e != nil && e.object != nil:
		s.wrongType()
		return
	case e != nil:
		old, ok = parseFloat(e.text)
	}
	n, ok2 := parseFloat(args[2])
	if !ok || !ok2 {
		s.notFloat()
		return
	}
	sum := old + n
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		s.fail("ERR increment would produce NaN or Infinity")
		return
	}
	if e == nil {
		e = s.of(args[1]).add(args[1])
	}
	e.text = strconv.AppendFloat(e.text[:0], sum, 'f', -1, 64)
	s.bulk(e.text)
	if s.holds {
		s.logAs([]byte("SET"), args[1], e.text, []byte("KEEPTTL"))
	}
}
