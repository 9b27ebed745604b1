//go:build debug

package engine

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// With the debug build tag (go build -tags debug) a lease remembers where it
// ended, and the memory it stood for is overwritten: who uses it afterwards is
// named together with who ended it, and reads what is plainly no data.

// leaseTrace is where the latest uses of a lease ended.
type leaseTrace struct {
	mu   sync.Mutex // several may end it at once, which is what it is to tell
	ends [8]leaseEnd
}

type leaseEnd struct {
	generation uint32
	how        string
	stack      []byte
}

func (t *leaseTrace) ended(generation uint32, how string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := &t.ends[generation%uint32(len(t.ends))]
	if end.stack == nil || end.generation != generation { // the first counts
		*end = leaseEnd{generation, how, debug.Stack()}
	}
}

// where tells how the use of that generation ended.
func (t *leaseTrace) where(generation uint32) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := &t.ends[generation%uint32(len(t.ends))]
	if end.stack == nil || end.generation != generation {
		return "" // so long ago that it is forgotten
	}
	return fmt.Sprintf("\n\nit ended with Buffer.%s here:\n%s", end.how, end.stack)
}

// poison overwrites memory that nobody holds any more.
func poison(p []byte) {
	for i := range p {
		p[i] = 0xdb
	}
}
