package proactor

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/goproactor/goproactor/internal/sockets"
)

// quotas are a listener's limits beyond the number of connections.
type quotas struct {
	perAddress addressQuota
	rate       rateQuota
}

// WithMaxConnsPerAddress limits how many connections of one IP address are open at
// once; more are reset when they are accepted. IPv6 addresses with the same first 64 bits
// count as one, since a host usually has all of them. The limit costs each connection a
// system call and a look-up in a table. It does not apply to Unix sockets. Zero is no
// limit.
func WithMaxConnsPerAddress(n int) ListenOption {
	return func(ln *Listener) error {
		if n < 0 {
			return fmt.Errorf("proactor: at most %d connections per address: want zero (no limit) or more", n)
		}
		ln.quotas.perAddress.limit = n
		return nil
	}
}

// WithAcceptRate limits how many connections a second a listener accepts on average;
// after a time without connections, burst are accepted at once. More wait in the kernel's
// queue, and are refused by the kernel when that is full. Each loop may accept one
// connection early, which delays the next. A rate of zero is no limit.
func WithAcceptRate(perSecond float64, burst int) ListenOption {
	return func(ln *Listener) error {
		if perSecond < 0 || perSecond > 1e9 || perSecond != perSecond {
			return fmt.Errorf("proactor: %v accepts a second: want zero (no limit) to 1e9", perSecond)
		}
		if burst < 1 {
			return fmt.Errorf("proactor: a burst of %d accepts: want at least 1", burst)
		}
		ln.quotas.rate.set(perSecond, burst)
		return nil
	}
}

// addressQuota counts connections by the address of their peer. The zero value has no
// limit and counts nothing. Several loops use it.
type addressQuota struct {
	limit int
	mu    sync.Mutex
	open  map[netip.Prefix]int
}

// admit counts a socket, unless its address is at the limit.
func (q *addressQuota) admit(fd int) bool {
	return q.limit == 0 || q.enter(sockets.NamesOf(fd).RemoteIP())
}

func (q *addressQuota) enter(ip netip.Addr) bool {
	key, ok := q.key(ip)
	if !ok {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open[key] >= q.limit {
		return false
	}
	if q.open == nil {
		q.open = map[netip.Prefix]int{}
	}
	q.open[key]++
	return true
}

// left uncounts a connection.
func (q *addressQuota) left(ip netip.Addr) {
	key, ok := q.key(ip)
	if !ok {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open[key]--; q.open[key] <= 0 {
		delete(q.open, key)
	}
}

// key is the address that a connection is counted under; false if it is not counted.
func (q *addressQuota) key(ip netip.Addr) (netip.Prefix, bool) {
	ip = ip.Unmap().WithZone("")
	if q.limit == 0 || !ip.IsValid() {
		return netip.Prefix{}, false
	}
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	key, err := ip.Prefix(bits)
	return key, err == nil
}

// rateQuota is a token bucket that can be negative. The zero value has no limit. Several
// loops use it.
type rateQuota struct {
	mu       sync.Mutex
	interval time.Duration // between two tokens, 0 for no limit
	burst    time.Duration // the maximum number of tokens, times interval
	full     time.Time     // when the bucket is full again
}

func (q *rateQuota) set(perSecond float64, burst int) {
	q.interval, q.burst = 0, 0
	if perSecond > 0 {
		q.interval = max(time.Duration(float64(time.Second)/perSecond), 1)
		q.burst = time.Duration(burst) * q.interval
	}
}

// take takes a token, and returns how long it is until there is another.
func (q *rateQuota) take() time.Duration {
	if q.interval == 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if q.full.Before(now) {
		q.full = now
	}
	q.full = q.full.Add(q.interval)
	return q.full.Add(q.interval).Sub(now.Add(q.burst))
}
