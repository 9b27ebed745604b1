package main

import (
	"bytes"
	"math"

	"github.com/tidwall/btree"
)

var sortedSetCommands = []command{
	{"zadd", -4, zadd, oneKey, writes | fast, "Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist."},
	{"zincrby", 4, zincrby, oneKey, writes | fast, "Increments the score of a member in a sorted set."},
	{"zrem", -3, zrem, oneKey, writes | fast, "Removes one or more members from a sorted set. Deletes the sorted set if all members were removed."},
	{"zscore", 3, zscore, oneKey, reads | fast, "Returns the score of a member in a sorted set."},
	{"zmscore", -3, zmscore, oneKey, reads | fast, "Returns the score of one or more members in a sorted set."},
	{"zcard", 2, zcard, oneKey, reads | fast, "Returns the number of members in a sorted set."},
	{"zcount", 4, zcount, oneKey, reads | fast, "Returns the count of members in a sorted set that have scores within a range."},
	{"zrank", 3, zrank, oneKey, reads | fast, "Returns the index of a member in a sorted set ordered by ascending scores."},
	{"zrevrank", 3, zrevrank, oneKey, reads | fast, "Returns the index of a member in a sorted set ordered by descending scores."},
	{"zrange", -4, zrange, oneKey, reads, "Returns members in a sorted set within a range of indexes."},
	{"zrevrange", -4, zrevrange, oneKey, reads, "Returns members in a sorted set within a range of indexes in reverse order."},
	{"zrangebyscore", -4, zrangebyscore, oneKey, reads, "Returns members in a sorted set within a range of scores."},
	{"zrevrangebyscore", -4, zrevrangebyscore, oneKey, reads, "Returns members in a sorted set within a range of scores in reverse order."},
	{"zpopmin", -2, zpopmin, oneKey, writes | fast, "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped."},
	{"zpopmax", -2, zpopmax, oneKey, writes | fast, "Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped."},
	{"zremrangebyscore", 4, zremrangebyscore, oneKey, writes, "Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed."},
	{"zremrangebyrank", 4, zremrangebyrank, oneKey, writes, "Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed."},
	{"zscan", -3, zscan, oneKey, reads, "Iterates over members and scores of a sorted set."},
}

// sortedSet has its members twice: to find their scores, and in the order of these.
type sortedSet struct {
	scores *dense[float64]
	order  *btree.BTreeG[scored]
}

// scored is a member and its score.
type scored struct {
	score  float64
	member string
}

func lessScored(a, b scored) bool {
	if a.score != b.score {
		return a.score < b.score
	}
	return a.member < b.member
}

func newSortedSet() *sortedSet {
	return &sortedSet{newDense[float64](), btree.NewBTreeGOptions(lessScored, btree.Options{NoLocks: true})}
}

func (z *sortedSet) len() int { return z.scores.len() }

// set gives a member a score.
func (z *sortedSet) set(member []byte, score float64) {
	if old := z.scores.find(member); old != nil {
		name := z.scores.row[z.scores.places[string(member)]].name
		z.order.Delete(scored{*old, name})
		*old = score
		z.order.Set(scored{score, name})
		return
	}
	z.scores.add(member, score)
	z.order.Set(scored{score, z.scores.row[z.scores.len()-1].name})
}

func (z *sortedSet) remove(member []byte) bool {
	score := z.scores.find(member)
	if score == nil {
		return false
	}
	z.order.Delete(scored{*score, string(member)})
	return z.scores.remove(member)
}

// rank is how many members come before the first for which less is false. less is true
// for some of the first, and false for all others.
func (z *sortedSet) rank(less func(scored) bool) int {
	low, high := 0, z.order.Len()
	for low < high {
		middle := int(uint(low+high) / 2)
		if m, _ := z.order.GetAt(middle); less(m) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// sorted is the sorted set of a key, nil if it has none. ok is false if it has another
// type, and then it is answered.
func (s *session) sorted(key []byte) (z *sortedSet, ok bool) {
	return objectOf[*sortedSet](s, s.find(key))
}

func (s *session) sortedToChange(key []byte) (e *entry, z *sortedSet, ok bool) {
	e = s.take(key)
	z, ok = objectOf[*sortedSet](s, e)
	return e, z, ok
}

func (s *session) makeSorted(key []byte) (z *sortedSet, ok bool) {
	if _, z, ok = s.sortedToChange(key); ok && z == nil {
		z = newSortedSet()
		s.of(key).add(key).object = z
	}
	return z, ok
}

// addOptions are the options of ZADD.
type addOptions struct{ onlyNew, onlyOld, greater, less, changed, increment bool }

// addOptions reads them, and returns how many there are.
func (s *session) addOptions(args [][]byte) (o addOptions, n int, ok bool) {
	for ; n < len(args); n++ {
		switch a := args[n]; {
		case isWord(a, "nx"):
			o.onlyNew = true
		case isWord(a, "xx"):
			o.onlyOld = true
		case isWord(a, "gt"):
			o.greater = true
		case isWord(a, "lt"):
			o.less = true
		case isWord(a, "ch"):
			o.changed = true
		case isWord(a, "incr"):
			o.increment = true
		default:
			return o, n, s.allows(o, len(args)-n)
		}
	}
	return o, n, s.allows(o, 0)
}

// allows reports whether the options of ZADD go together, and with so many arguments
// behind them, and answers if they do not.
func (s *session) allows(o addOptions, rest int) bool {
	switch {
	case rest == 0 || rest%2 != 0:
		s.syntaxError()
	case o.onlyNew && o.onlyOld:
		s.fail("ERR XX and NX options at the same time are not compatible")
	case o.greater && o.less || o.onlyNew && (o.greater || o.less):
		s.fail("ERR GT, LT, and/or NX options at the same time are not compatible")
	case o.increment && rest > 2:
		s.fail("ERR INCR option supports a single increment-element pair")
	default:
		return true
	}
	return false
}

func zadd(s *session, args [][]byte) {
	o, n, ok := s.addOptions(args[2:])
	if !ok {
		return
	}
	members := args[2+n:]
	scores := make([]float64, 0, 8)
	for i := 0; i < len(members); i += 2 {
		score, ok := parseFloat(members[i])
		if !ok {
			s.notFloat()
			return
		}
		scores = append(scores, score)
	}
	_, z, ok := s.sortedToChange(args[1])
	if !ok {
		return
	}
	if z == nil && o.onlyOld {
		s.addedNone(o)
		return
	}
	z, _ = s.makeSorted(args[1])
	s.addScores(z, o, scores, members)
}

// addedNone is the reply of a ZADD that has changed nothing.
func (s *session) addedNone(o addOptions) {
	if o.increment {
		s.null()
	} else {
		s.count(0)
	}
}

func (s *session) addScores(z *sortedSet, o addOptions, scores []float64, members [][]byte) {
	added, changed := 0, 0
	for i, score := range scores {
		member := members[2*i+1]
		old := z.scores.find(member)
		if old != nil && o.increment {
			if score += *old; math.IsNaN(score) {
				s.fail("ERR resulting score is not a number (NaN)")
				return
			}
		}
		switch {
		case old == nil && o.onlyOld, old != nil && o.onlyNew,
			old != nil && o.greater && score <= *old, old != nil && o.less && score >= *old:
			if o.increment {
				s.null()
				return
			}
			continue
		case old == nil:
			added++
			z.set(member, score)
		case *old != score:
			changed++
			z.set(member, score)
		}
		if o.increment {
			s.float(score)
		}
	}
	s.dirty = added+changed > 0
	switch {
	case o.increment:
	case o.changed:
		s.count(added + changed)
	default:
		s.count(added)
	}
}

func zincrby(s *session, args [][]byte) {
	n, ok := parseFloat(args[2])
	if !ok {
		s.notFloat()
		return
	}
	z, ok := s.sorted(args[1])
	if !ok {
		return
	}
	sum := n
	if z != nil {
		if old := z.scores.find(args[3]); old != nil {
			sum += *old
		}
	}
	if math.IsNaN(sum) {
		s.fail("ERR resulting score is not a number (NaN)")
		return
	}
	z, _ = s.makeSorted(args[1])
	z.set(args[3], sum)
	s.dirty = true
	s.float(sum)
}

func zrem(s *session, args [][]byte) {
	e, z, ok := s.sortedToChange(args[1])
	if !ok {
		return
	}
	n := 0
	if z != nil {
		for _, m := range args[2:] {
			if z.remove(m) {
				n++
			}
		}
		if s.dirty = n > 0; s.dirty {
			s.removeEmpty(args[1], e, z.len())
		}
	}
	s.count(n)
}

// score replies the score of a member.
func (s *session) score(z *sortedSet, member []byte) {
	if z != nil {
		if score := z.scores.find(member); score != nil {
			s.float(*score)
			return
		}
	}
	s.null()
}

func zscore(s *session, args [][]byte) {
	if z, ok := s.sorted(args[1]); ok {
		s.score(z, args[2])
	}
}

func zmscore(s *session, args [][]byte) {
	z, ok := s.sorted(args[1])
	if !ok {
		return
	}
	s.array(len(args) - 2)
	for _, m := range args[2:] {
		s.score(z, m)
	}
}

func zcard(s *session, args [][]byte) {
	switch z, ok := s.sorted(args[1]); {
	case !ok:
	case z == nil:
		s.count(0)
	default:
		s.count(z.len())
	}
}

func zrank(s *session, args [][]byte)    { s.rankOf(args, false) }
func zrevrank(s *session, args [][]byte) { s.rankOf(args, true) }

func (s *session) rankOf(args [][]byte, reverse bool) {
	z, ok := s.sorted(args[1])
	if !ok {
		return
	}
	if z == nil || z.scores.find(args[2]) == nil {
		s.null()
		return
	}
	member := scored{*z.scores.find(args[2]), string(args[2])}
	rank := z.rank(func(m scored) bool { return lessScored(m, member) })
	if reverse {
		rank = z.len() - 1 - rank
	}
	s.count(rank)
}

// bound is an end of a range of scores.
type bound struct {
	score float64
	open  bool
}

// bounds reads the two ends of a range, or answers what is wrong with them.
func (s *session) bounds(low, high []byte) (a, b bound, ok bool) {
	a, ok = parseBound(low)
	if ok {
		b, ok = parseBound(high)
	}
	if !ok {
		s.fail("ERR min or max is not a float")
	}
	return a, b, ok
}

func parseBound(p []byte) (b bound, ok bool) {
	if b.open = bytes.HasPrefix(p, []byte("(")); b.open {
		p = p[1:]
	}
	b.score, ok = parseFloat(p)
	return b, ok
}

// within is which members have a score in the range, by their ranks.
func (z *sortedSet) within(low, high bound) (begin, end int) {
	begin = z.rank(func(m scored) bool { return m.score < low.score || low.open && m.score == low.score })
	end = z.rank(func(m scored) bool { return m.score < high.score || !high.open && m.score == high.score })
	return begin, max(begin, end)
}

func zcount(s *session, args [][]byte) {
	low, high, ok := s.bounds(args[2], args[3])
	if !ok {
		return
	}
	z, ok := s.sorted(args[1])
	switch {
	case !ok:
	case z == nil:
		s.count(0)
	default:
		begin, end := z.within(low, high)
		s.count(end - begin)
	}
}

// rangeOptions is what follows the range of ZRANGE and its older forms.
type rangeOptions struct {
	byScore, reverse, scores, limited bool
	skip, most                        int64
}

func zrange(s *session, args [][]byte)        { s.rangeOf(args, rangeOptions{}) }
func zrevrange(s *session, args [][]byte)     { s.rangeOf(args, rangeOptions{reverse: true}) }
func zrangebyscore(s *session, args [][]byte) { s.rangeOf(args, rangeOptions{byScore: true}) }
func zrevrangebyscore(s *session, args [][]byte) {
	s.rangeOf(args, rangeOptions{byScore: true, reverse: true})
}

// rangeOptions reads the options, or answers what is wrong with them.
func (s *session) rangeOptions(args [][]byte, o rangeOptions) (_ rangeOptions, ok bool) {
	isNew := s.command.name == "zrange"
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case isWord(a, "withscores"):
			o.scores = true
		case isWord(a, "byscore") && isNew:
			o.byScore = true
		case isWord(a, "rev") && isNew:
			o.reverse = true
		case isWord(a, "limit") && i+2 < len(args):
			o.limited = true
			if o.skip, o.most, ok = s.span(args[i+1], args[i+2]); !ok {
				return o, false
			}
			i += 2
		default:
			s.syntaxError()
			return o, false
		}
	}
	if o.limited && !o.byScore {
		s.fail("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
		return o, false
	}
	return o, true
}

func (s *session) rangeOf(args [][]byte, o rangeOptions) {
	o, ok := s.rangeOptions(args[4:], o)
	if !ok {
		return
	}
	var ranks func(z *sortedSet) (begin, end int)
	if o.byScore {
		low, high := args[2], args[3]
		if o.reverse {
			low, high = high, low
		}
		a, b, ok := s.bounds(low, high)
		if !ok {
			return
		}
		ranks = func(z *sortedSet) (int, int) { return z.within(a, b) }
	} else {
		from, to, ok := s.span(args[2], args[3])
		if !ok {
			return
		}
		ranks = func(z *sortedSet) (int, int) { return o.byRank(from, to, z.len()) }
	}
	z, ok := s.sorted(args[1])
	switch {
	case !ok:
	case z == nil:
		s.array(0)
	default:
		begin, end := o.cut(ranks(z))
		s.ranked(z, begin, end, o)
	}
}

// byRank is a range of indexes, which count from the other end in reverse.
func (o rangeOptions) byRank(from, to int64, n int) (begin, end int) {
	begin, end = slice(from, to, n)
	if o.reverse {
		begin, end = n-end, n-begin
	}
	return begin, end
}

// cut applies LIMIT.
func (o rangeOptions) cut(begin, end int) (int, int) {
	if !o.limited {
		return begin, end
	}
	n := int64(end - begin)
	if o.skip < 0 || o.skip >= n {
		return begin, begin
	}
	most := n - o.skip
	if o.most >= 0 {
		most = min(most, o.most)
	}
	if o.reverse {
		end -= int(o.skip)
		return end - int(most), end
	}
	begin += int(o.skip)
	return begin, begin + int(most)
}

// ranked replies the members of these ranks.
func (s *session) ranked(z *sortedSet, begin, end int, o rangeOptions) {
	n := end - begin
	if o.scores {
		n *= 2
	}
	s.array(n)
	for i := range end - begin {
		at := begin + i
		if o.reverse {
			at = end - 1 - i
		}
		m, _ := z.order.GetAt(at)
		s.bulkString(m.member)
		if o.scores {
			s.float(m.score)
		}
	}
}

func zpopmin(s *session, args [][]byte) { s.popScored(args, (*btree.BTreeG[scored]).PopMin) }
func zpopmax(s *session, args [][]byte) { s.popScored(args, (*btree.BTreeG[scored]).PopMax) }

func (s *session) popScored(args [][]byte, pop func(*btree.BTreeG[scored]) (scored, bool)) {
	n, _, ok := s.popCount(args)
	if !ok {
		return
	}
	e, z, ok := s.sortedToChange(args[1])
	switch {
	case !ok:
		return
	case z == nil:
		s.array(0)
		return
	}
	n = min(n, z.len())
	s.array(2 * n)
	for range n {
		m, _ := pop(z.order)
		z.scores.remove([]byte(m.member))
		s.bulkString(m.member)
		s.float(m.score)
		s.dirty = true
	}
	if n > 0 {
		s.removeEmpty(args[1], e, z.len())
	}
}

func zremrangebyscore(s *session, args [][]byte) {
	low, high, ok := s.bounds(args[2], args[3])
	if ok {
		s.removeRanks(args[1], func(z *sortedSet) (int, int) { return z.within(low, high) })
	}
}

func zremrangebyrank(s *session, args [][]byte) {
	from, to, ok := s.span(args[2], args[3])
	if ok {
		s.removeRanks(args[1], func(z *sortedSet) (int, int) { return slice(from, to, z.len()) })
	}
}

func (s *session) removeRanks(key []byte, ranks func(z *sortedSet) (begin, end int)) {
	e, z, ok := s.sortedToChange(key)
	switch {
	case !ok:
		return
	case z == nil:
		s.count(0)
		return
	}
	begin, end := ranks(z)
	for range end - begin {
		m, _ := z.order.DeleteAt(begin)
		z.scores.remove([]byte(m.member))
	}
	if s.dirty = end > begin; s.dirty {
		s.removeEmpty(key, e, z.len())
	}
	s.count(end - begin)
}

func zscan(s *session, args [][]byte) {
	cursor, o, ok := s.scanArguments(args)
	if !ok {
		return
	}
	z, ok := s.sorted(args[1])
	if !ok {
		return
	}
	var found []*field[float64]
	next := int64(0)
	if z != nil {
		next = z.scores.scan(cursor, &o, func(f *field[float64]) { found = append(found, f) })
	}
	s.scanned(next, 2*len(found))
	for _, f := range found {
		s.bulkString(f.name)
		s.float(f.value)
	}
}
