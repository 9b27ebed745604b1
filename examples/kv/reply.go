package main

import (
	"math"
	"strconv"

	"github.com/tidwall/redcon"
)

// Replies that a session gives. They are appended to s.out, which is memory of the
// connection's Writer, or of the session's own while they are held back.

func (s *session) ok()                 { s.out = append(s.out, "+OK\r\n"...) }
func (s *session) null()               { s.out = append(s.out, "$-1\r\n"...) }
func (s *session) nullArray()          { s.out = append(s.out, "*-1\r\n"...) }
func (s *session) simple(text string)  { s.out = redcon.AppendString(s.out, text) }
func (s *session) integer(n int64)     { s.out = redcon.AppendInt(s.out, n) }
func (s *session) count(n int)         { s.out = redcon.AppendInt(s.out, int64(n)) }
func (s *session) array(n int)         { s.out = redcon.AppendArray(s.out, n); s.spill() }
func (s *session) float(f float64)     { s.bulkString(string(appendFloat(nil, f))) }
func (s *session) bulkString(v string) { s.out = redcon.AppendBulkString(s.out, v); s.spill() }
func (s *session) fail(message string) { s.out = redcon.AppendError(s.out, message) }
func (s *session) syntaxError()        { s.fail("ERR syntax error") }
func (s *session) notInteger()         { s.fail("ERR value is not an integer or out of range") }
func (s *session) notFloat()           { s.fail("ERR value is not a valid float") }
func (s *session) wrongType() {
	s.fail("WRONGTYPE Operation against a key holding the wrong kind of value")
}
func (s *session) wrongArity(of string) {
	s.fail("ERR wrong number of arguments for '" + of + "' command")
}

// flag is the reply 1 or 0.
func (s *session) flag(yes bool) {
	if yes {
		s.out = append(s.out, ":1\r\n"...)
	} else {
		s.out = append(s.out, ":0\r\n"...)
	}
}

// lowRoom is how little room in the Writer's memory makes a session take more.
const lowRoom = 64

// bulk is the reply v, or null if that is nil.
func (s *session) bulk(v []byte) {
	if cap(s.out)-len(s.out) >= len(v)+lowRoom || s.holds {
		s.out = redcon.AppendBulk(s.out, v)
		return
	}
	s.out = append(s.out, redcon.Bulk)
	s.out = strconv.AppendInt(s.out, int64(len(v)), 10)
	s.out = append(s.out, '\r', '\n')
	s.pass()
	s.produced += len(v)
	s.w.Write(v)
	s.out = append(s.w.AvailableBuffer(), '\r', '\n')
}

// spill makes room before s.out outgrows the Writer's memory.
func (s *session) spill() {
	if cap(s.out)-len(s.out) < lowRoom && !s.holds {
		s.pass()
		s.out = s.w.AvailableBuffer()
	}
}

// pass gives the Writer what is in s.out. Where that lies in its memory, nothing is
// copied.
func (s *session) pass() {
	s.produced += len(s.out)
	s.w.Write(s.out)
	s.out = nil
}

// parseInt reads an integer as Redis writes one: no sign but a minus, no leading zeros.
func parseInt(p []byte) (n int64, ok bool) {
	digits := p
	negative := len(p) > 0 && p[0] == '-'
	if negative {
		digits = p[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(p) > 1 {
		return 0, false
	}
	u := uint64(0)
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		u = u*10 + uint64(d-'0')
	}
	switch {
	case negative && u <= 1<<63:
		return -int64(u), true
	case !negative && u <= math.MaxInt64:
		return int64(u), true
	}
	return 0, false
}

// parseFloat reads a number that is not NaN.
func parseFloat(p []byte) (float64, bool) {
	f, err := strconv.ParseFloat(string(p), 64)
	if err != nil || math.IsNaN(f) || len(p) == 0 || p[0] == ' ' {
		return 0, false
	}
	return f, true
}

// appendFloat writes a number as Redis does: as an integer if it is one.
func appendFloat(to []byte, f float64) []byte {
	switch abs := math.Abs(f); {
	case math.IsInf(f, 1):
		return append(to, "inf"...)
	case math.IsInf(f, -1):
		return append(to, "-inf"...)
	case f == math.Trunc(f) && abs < 1e17:
		return strconv.AppendInt(to, int64(f), 10)
	case abs >= 1e-4 && abs < 1e17:
		return strconv.AppendFloat(to, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(to, f, 'e', -1, 64)
}
