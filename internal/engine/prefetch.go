package engine

// How many completions or tasks ahead memory is asked for: first what is at hand,
// then what that points to. Measured: docs/performance.md.
const (
	aheadFar  = 7
	aheadNear = 3
)

// prefetchMinOpen is how many things a loop must have open before prefetching
// pays: fewer stay in the cache.
const prefetchMinOpen = 128

// prefetchCompletions asks for what the completions after the next one touch.
func (l *Loop) prefetchCompletions() {
	if l.begin+aheadNear >= l.end || l.host.Open() < prefetchMinOpen {
		return
	}
	if i := l.begin + aheadFar; i < l.end {
		if op, ok := l.slots.Get(l.reaped[i].UserData()); ok {
			l.host.Prefetch(op, false)
		}
	}
	if op, ok := l.slots.Get(l.reaped[l.begin+aheadNear].UserData()); ok {
		l.host.Prefetch(op, true)
	}
}

// prefetchReady asks for the tasks that run after the next one, of n.
func (l *Loop) prefetchReady(n int) {
	if n <= aheadNear || l.host.Open() < prefetchMinOpen {
		return
	}
	if t, ok := (*l.ready.At(aheadNear)).(prefetcher); ok {
		t.PrefetchStack()
	}
	if n > aheadFar {
		if t, ok := (*l.ready.At(aheadFar)).(prefetcher); ok {
			t.PrefetchTask()
		}
	}
}

// prefetcher is what package futures posts to resume a task.
type prefetcher interface {
	PrefetchTask()
	PrefetchStack()
}
