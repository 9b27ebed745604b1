package migrating

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

func lines(ctx context.Context, ln *proactor.Listener, idle time.Duration) error {
	return ln.Serve(ctx, func(ctx context.Context, c *proactor.Conn) error {
		c.SetIdleTimeout(idle)
		in, out := c.Reader(), c.Writer()
		for n := 1; ; n++ {
			line, err := in.ReadSlice(ctx, '\n')
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%d %s", n, line)
			if _, err := out.Flush().Await(ctx); err != nil {
				return err
			}
		}
	})
}

// linesByCallback keeps the state of a connection in the function that is called.
func linesByCallback(ln *proactor.Listener, idle time.Duration) error {
	return ln.OnConn(func(c *proactor.Conn) {
		c.SetIdleTimeout(idle)
		n, rest := 0, []byte(nil)
		c.OnRecv(func(b proactor.Buffer, err error) {
			if err != nil {
				c.Close()
				return
			}
			rest = append(rest, b.Bytes()...)
			b.Release()
			var out []byte
			for line := range bytes.Lines(rest) {
				if rest = line; !bytes.HasSuffix(line, newline) {
					break // kept for what comes
				}
				n++
				out, rest = fmt.Appendf(out, "%d %s", n, line), nil
			}
			c.SendBytes(out)
		})
	})
}

var newline = []byte("\n")

// room sends each line to everybody.
type room struct {
	mu      sync.Mutex // held for a moment, never while waiting
	members []*proactor.Conn
}

func (r *room) serve(ctx context.Context, c *proactor.Conn) error {
	c.SetQueueLimit(1<<20, proactor.QueueDrop)
	r.enter(c)
	defer r.leave(c)
	for in := c.Reader(); ; {
		line, err := in.ReadSlice(ctx, '\n')
		if err != nil {
			return err
		}
		b := c.Loop().Buffer(len(line))
		copy(b.Bytes(), line)
		r.mu.Lock()
		proactor.Broadcast(b, r.members...) // waits for nobody
		r.mu.Unlock()
	}
}

func (r *room) enter(c *proactor.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = append(r.members, c)
}

func (r *room) leave(c *proactor.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.members, c)
	r.members = slices.Delete(r.members, i, i+1)
}
