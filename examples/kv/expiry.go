package main

import (
	"time"

	"github.com/goproactor/goproactor/proactor"
)

const (
	expireEvery  = 100 * time.Millisecond
	samples      = 20 // entries of a shard that are looked at
	sampleRounds = 16 // at most, while many of them have expired
)

// expireInTime has each loop remove what has expired from its share of the shards. A
// key that is asked for is not there once its time is over; this frees the memory of
// those that nobody asks for.
func (srv *server) expireInTime() {
	for i, l := range srv.rt.Loops() {
		srv.expireLater(l, i)
	}
}

func (srv *server) expireLater(l *proactor.Loop, first int) {
	l.AfterFunc(expireEvery, func() {
		now := time.Now().UnixMilli()
		for i := first; i < len(srv.keys.shards) && !srv.journal.isBroken(); i += len(srv.rt.Loops()) {
			srv.expireShard(&srv.keys.shards[i], now)
		}
		srv.expireLater(l, first)
	})
}

// expireShard looks at a few entries, and at more as long as a quarter of them is over.
func (srv *server) expireShard(h *shard, now int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	over := samples
	for round := 0; round < sampleRounds && over >= samples/4; round++ {
		over = 0
		for i := 0; i < samples && len(h.expiring) > 0; i++ {
			if e := h.sample(); e.isOver(now) {
				h.remove(e)
				h.journaled = max(h.journaled, srv.journal.append(wordDel, []byte(e.key)))
				over++
			}
		}
	}
}
