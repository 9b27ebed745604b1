package main

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"sync"
)

// maxShards is the number of bits in a set of shards.
const maxShards = 64

// keyspace is all keys. Each belongs to a shard, which is locked for the time of a
// command: a few instructions, within which nobody waits.
type keyspace struct {
	seed   maphash.Seed
	shards []shard
}

// shard is a part of the keys.
type shard struct {
	mu        sync.Mutex
	entries   map[string]*entry
	all       []*entry // in no order; entry.place is where
	expiring  []*entry // those that expire; entry.due is where, plus one
	journaled int64    // position behind the last change in the journal
}

// entry is a key and its value.
type entry struct {
	key     string
	text    []byte // of a string
	object  any    // nil of a string, else *list, *hash, *set, *sortedSet or *stream
	expires int64  // milliseconds since 1970, 0 if never
	place   int32
	due     int32
}

// newKeyspace makes the shards: one if one loop serves, else enough that loops
// rarely meet.
func newKeyspace(loops int) *keyspace {
	n := 1
	if loops > 1 {
		n = min(maxShards, 8<<bits.Len(uint(loops-1)))
	}
	k := &keyspace{seed: maphash.MakeSeed(), shards: make([]shard, n)}
	for i := range k.shards {
		k.shards[i].entries = make(map[string]*entry)
	}
	return k
}

// index is the shard of a key.
func (k *keyspace) index(key []byte) int {
	if len(k.shards) == 1 {
		return 0
	}
	return int(maphash.Bytes(k.seed, key) & uint64(len(k.shards)-1))
}

// every is the set of all shards.
func (k *keyspace) every() uint64 { return 1<<len(k.shards) - 1 }

// lock locks the shards of a set, in the order that everybody locks them.
func (k *keyspace) lock(set uint64) {
	for ; set != 0; set &= set - 1 {
		k.shards[bits.TrailingZeros64(set)].mu.Lock()
	}
}

func (k *keyspace) unlock(set uint64) {
	for ; set != 0; set &= set - 1 {
		k.shards[bits.TrailingZeros64(set)].mu.Unlock()
	}
}

// add makes an entry of a key that has none.
func (h *shard) add(key []byte) *entry {
	e := &entry{key: string(key), place: int32(len(h.all))}
	h.entries[e.key] = e
	h.all = append(h.all, e)
	return e
}

// remove takes an entry out. The last one takes its place, so that a scan from the end
// to the beginning misses nothing.
func (h *shard) remove(e *entry) {
	h.persist(e)
	delete(h.entries, e.key)
	last := h.all[len(h.all)-1]
	h.all[e.place], last.place = last, e.place
	h.all[len(h.all)-1] = nil
	h.all = h.all[:len(h.all)-1]
}

// clear removes all entries.
func (h *shard) clear() {
	h.entries, h.all, h.expiring = make(map[string]*entry), nil, nil
}

// expireAt has the entry expire at that time.
func (h *shard) expireAt(e *entry, at int64) {
	e.expires = at
	if e.due == 0 {
		h.expiring = append(h.expiring, e)
		e.due = int32(len(h.expiring))
	}
}

// persist has the entry not expire. It reports whether it would have.
func (h *shard) persist(e *entry) bool {
	if e.due == 0 {
		return false
	}
	last := h.expiring[len(h.expiring)-1]
	h.expiring[e.due-1], last.due = last, e.due
	h.expiring[len(h.expiring)-1] = nil
	h.expiring = h.expiring[:len(h.expiring)-1]
	e.expires, e.due = 0, 0
	return true
}

// isOver reports whether the entry has expired.
func (e *entry) isOver(now int64) bool { return e.expires != 0 && e.expires <= now }

// sample is an entry of those that expire.
func (h *shard) sample() *entry { return h.expiring[rand.IntN(len(h.expiring))] }

// kind is the type of a value, as TYPE tells it.
func (e *entry) kind() string {
	switch e.object.(type) {
	case nil:
		return "string"
	case *list:
		return "list"
	case *hash:
		return "hash"
	case *set:
		return "set"
	case *sortedSet:
		return "zset"
	}
	return "stream"
}

// maxSpare is how many times a string's memory may be larger than it.
const maxSpare = 4

// setText gives the entry a copy of v, in the memory that it has if that fits.
func (e *entry) setText(v []byte) {
	e.object = nil
	if cap(e.text) < len(v) || cap(e.text) > 64+maxSpare*len(v) {
		e.text = make([]byte, len(v))
		copy(e.text, v)
		return
	}
	e.text = append(e.text[:0], v...)
}
