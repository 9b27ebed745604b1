package main

import (
	"math/rand/v2"
	"strconv"
)

var keyCommands = []command{
	{"del", -2, del, allKeys, writes, "Deletes one or more keys."},
	{"unlink", -2, del, allKeys, writes | fast, "Deletes one or more keys."},
	{"exists", -2, exists, allKeys, reads | fast, "Determines whether one or more keys exist."},
	{"touch", -2, exists, allKeys, reads | fast, "Returns the number of existing keys out of those specified."},
	{"expire", -3, expire, oneKey, writes | fast, "Sets the expiration time of a key in seconds."},
	{"pexpire", -3, pexpire, oneKey, writes | fast, "Sets the expiration time of a key in milliseconds."},
	{"expireat", -3, expireat, oneKey, writes | fast, "Sets the expiration time of a key to a Unix timestamp."},
	{"pexpireat", -3, pexpireat, oneKey, writes | fast, "Sets the expiration time of a key to a Unix milliseconds timestamp."},
	{"ttl", 2, ttl, oneKey, reads | fast, "Returns the expiration time in seconds of a key."},
	{"pttl", 2, pttl, oneKey, reads | fast, "Returns the expiration time in milliseconds of a key."},
	{"expiretime", 2, expiretime, oneKey, reads | fast, "Returns the expiration time of a key as a Unix timestamp."},
	{"pexpiretime", 2, pexpiretime, oneKey, reads | fast, "Returns the expiration time of a key as a Unix milliseconds timestamp."},
	{"persist", 2, persist, oneKey, writes | fast, "Removes the expiration time of a key."},
	{"type", 2, typeOf, oneKey, reads | fast, "Determines the type of value stored at a key."},
	{"keys", 2, keysLike, noKeys, reads | whole, "Returns all key names that match a pattern."},
	{"scan", -2, scan, noKeys, reads | whole, "Iterates over the key names in the database."},
	{"randomkey", 1, randomkey, noKeys, reads | whole, "Returns a random key name from the database."},
	{"rename", 3, rename, twoKeys, writes, "Renames a key and overwrites the destination."},
	{"renamenx", 3, renamenx, twoKeys, writes | fast, "Renames a key only when the target key name doesn't exist."},
	{"dbsize", 1, dbsize, noKeys, reads | fast | whole, "Returns the number of keys in the database."},
	{"flushdb", -1, flush, noKeys, writes | whole, "Removes all keys from the current database."},
	{"flushall", -1, flush, noKeys, writes | whole, "Removes all keys from all databases."},
}

func del(s *session, args [][]byte) {
	n := 0
	for _, key := range args[1:] {
		if e := s.take(key); e != nil {
			s.remove(key, e)
			n++
		}
	}
	s.count(n)
}

func exists(s *session, args [][]byte) {
	n := 0
	for _, key := range args[1:] {
		if s.find(key) != nil {
			n++
		}
	}
	s.count(n)
}

func expire(s *session, args [][]byte)    { s.expireKey(args, 1000, false) }
func pexpire(s *session, args [][]byte)   { s.expireKey(args, 1, false) }
func expireat(s *session, args [][]byte)  { s.expireKey(args, 1000, true) }
func pexpireat(s *session, args [][]byte) { s.expireKey(args, 1, true) }

func (s *session) expireKey(args [][]byte, unit int64, absolute bool) {
	allowed, ok := s.expireOptions(args[3:])
	if !ok {
		return
	}
	at, ok := s.expiry(args[2], unit, absolute, false)
	if !ok {
		return
	}
	e := s.take(args[1])
	switch {
	case e == nil || !allowed(e, at):
		s.flag(false)
		return
	case at <= s.now() && !s.replays:
		s.remove(args[1], e)
		s.logAs(wordDel, args[1])
	default:
		s.of(args[1]).expireAt(e, max(at, 1))
		if s.holds {
			s.logAs([]byte("PEXPIREAT"), args[1], strconv.AppendInt(nil, at, 10))
		}
	}
	s.flag(true)
}

// expireOptions reads NX, XX, GT and LT: when an expiration may be set.
func (s *session) expireOptions(args [][]byte) (allowed func(e *entry, at int64) bool, ok bool) {
	var onlyNew, onlyOld, later, earlier bool
	for _, a := range args {
		switch {
		case isWord(a, "nx"):
			onlyNew = true
		case isWord(a, "xx"):
			onlyOld = true
		case isWord(a, "gt"):
			later = true
		case isWord(a, "lt"):
			earlier = true
		default:
			s.fail("ERR Unsupported option " + string(a))
			return nil, false
		}
	}
	switch {
	case onlyNew && (onlyOld || later || earlier):
		s.fail("ERR NX and XX, GT or LT options at the same time are not compatible")
		return nil, false
	case later && earlier:
		s.fail("ERR GT and LT options at the same time are not compatible")
		return nil, false
	}
	return func(e *entry, at int64) bool {
		switch {
		case onlyNew && e.expires != 0, onlyOld && e.expires == 0:
			return false
		case later:
			return e.expires != 0 && at > e.expires
		case earlier:
			return e.expires == 0 || at < e.expires
		}
		return true
	}, true
}

// Replies about an expiration that there is none, and no key.
const (
	neverExpires = -1
	noSuchKey    = -2
)

func ttl(s *session, args [][]byte) {
	s.expirationOf(args[1], func(at int64) int64 { return (at - s.now() + 500) / 1000 })
}

func pttl(s *session, args [][]byte) {
	s.expirationOf(args[1], func(at int64) int64 { return at - s.now() })
}

func expiretime(s *session, args [][]byte) {
	s.expirationOf(args[1], func(at int64) int64 { return at / 1000 })
}

func pexpiretime(s *session, args [][]byte) {
	s.expirationOf(args[1], func(at int64) int64 { return at })
}

func (s *session) expirationOf(key []byte, as func(at int64) int64) {
	switch e := s.find(key); {
	case e == nil:
		s.integer(noSuchKey)
	case e.expires == 0:
		s.integer(neverExpires)
	default:
		s.integer(as(e.expires))
	}
}

func persist(s *session, args [][]byte) {
	e := s.take(args[1])
	done := e != nil && s.of(args[1]).persist(e)
	s.dirty = done
	s.flag(done)
}

func typeOf(s *session, args [][]byte) {
	if e := s.find(args[1]); e != nil {
		s.simple(e.kind())
	} else {
		s.simple("none")
	}
}

func keysLike(s *session, args [][]byte) {
	pattern := string(args[1])
	var found []string
	for i := range s.srv.keys.shards {
		for _, e := range s.srv.keys.shards[i].all {
			if !s.isOver(e) && matches(pattern, e.key) {
				found = append(found, e.key)
			}
		}
	}
	s.array(len(found))
	for _, key := range found {
		s.bulkString(key)
	}
}

// shardBits is where the shard begins in a cursor of SCAN. In front of it is the place
// from which on everything was seen.
const shardBits = 40

func scan(s *session, args [][]byte) {
	cursor, ok := parseInt(args[1])
	if !ok {
		s.fail("ERR invalid cursor")
		return
	}
	o, ok := s.scanOptions(args[2:])
	if !ok {
		return
	}
	shards := s.srv.keys.shards
	at, place := int(cursor>>shardBits), int(cursor&(1<<shardBits-1))
	var found []string
	for looked := 0; at >= 0 && at < len(shards) && looked < o.count; {
		all := shards[at].all
		if cursor == 0 || place > len(all) {
			place = len(all)
		}
		for ; place > 0 && looked < o.count; looked++ {
			place--
			if e := all[place]; !s.isOver(e) && o.wants(e.key) && (o.kind == "" || o.kind == e.kind()) {
				found = append(found, e.key)
			}
		}
		if place == 0 {
			at, place, cursor = at+1, 1<<shardBits-1, 1
		}
	}
	next := int64(0)
	if at >= 0 && at < len(shards) {
		next = int64(at)<<shardBits | int64(place)
	}
	s.array(2)
	s.bulkString(strconv.FormatInt(next, 10))
	s.array(len(found))
	for _, key := range found {
		s.bulkString(key)
	}
}

// scanOptions is what follows the cursor of SCAN, HSCAN, SSCAN and ZSCAN.
type scanOptions struct {
	pattern string
	count   int
	kind    string
}

func (o *scanOptions) wants(name string) bool { return o.pattern == "" || matches(o.pattern, name) }

func (s *session) scanOptions(args [][]byte) (o scanOptions, ok bool) {
	o.count = 10
	for i := 0; i < len(args); i += 2 {
		switch a := args[i]; {
		case i+1 == len(args):
			s.syntaxError()
			return o, false
		case isWord(a, "match"):
			o.pattern = string(args[i+1])
		case isWord(a, "type") && s.command.has(whole):
			o.kind = string(args[i+1])
		case isWord(a, "count"):
			n, ok := parseInt(args[i+1])
			switch {
			case !ok:
				s.notInteger()
				return o, false
			case n < 1:
				s.syntaxError()
				return o, false
			}
			o.count = int(min(n, 1<<20))
		default:
			s.syntaxError()
			return o, false
		}
	}
	return o, true
}

func randomkey(s *session, _ [][]byte) {
	shards := s.srv.keys.shards
	first := rand.IntN(len(shards))
	for i := range shards {
		all := shards[(first+i)%len(shards)].all
		for range min(len(all), samples) {
			if e := all[rand.IntN(len(all))]; !s.isOver(e) {
				s.bulkString(e.key)
				return
			}
		}
	}
	s.null()
}

func rename(s *session, args [][]byte) {
	if s.renamed(args, true) {
		s.ok()
	}
}

func renamenx(s *session, args [][]byte) {
	if s.renamed(args, false) {
		s.flag(true)
	}
}

// renamed gives a value another key. It answers what is wrong, or a key that is there
// and may not be replaced.
func (s *session) renamed(args [][]byte, replaces bool) bool {
	e := s.take(args[1])
	if e == nil {
		s.fail("ERR no such key")
		return false
	}
	old := s.take(args[2])
	switch {
	case old != nil && !replaces:
		s.flag(false)
		return false
	case old == e:
		return true
	case old != nil:
		s.of(args[2]).remove(old)
	}
	expires := e.expires
	s.of(args[1]).remove(e)
	to := s.of(args[2])
	renamed := to.add(args[2])
	renamed.text, renamed.object = e.text, e.object
	if expires != 0 {
		to.expireAt(renamed, expires)
	}
	s.dirty = true
	return true
}

func dbsize(s *session, _ [][]byte) {
	n := 0
	for i := range s.srv.keys.shards {
		n += len(s.srv.keys.shards[i].all)
	}
	s.count(n)
}

func flush(s *session, args [][]byte) {
	if len(args) > 2 || len(args) == 2 && !isWord(args[1], "sync") && !isWord(args[1], "async") {
		s.syntaxError()
		return
	}
	for i := range s.srv.keys.shards {
		s.srv.keys.shards[i].clear()
	}
	s.dirty = true
	s.ok()
}
