package migrating

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cloudwego/netpoll"
)

// netpollLines is the key of the state of a connection.
type netpollLines struct{}

func linesOnNetpoll(idle time.Duration) (netpoll.EventLoop, error) {
	prepare := func(c netpoll.Connection) context.Context {
		return context.WithValue(context.Background(), netpollLines{}, new(int))
	}
	handle := func(ctx context.Context, c netpoll.Connection) error {
		n := ctx.Value(netpollLines{}).(*int)
		line, err := c.Reader().Until('\n')
		if err != nil {
			return err
		}
		*n++
		fmt.Fprintf(c, "%d %s", *n, line)
		return c.Reader().Release()
	}
	return netpoll.NewEventLoop(handle, netpoll.WithOnPrepare(prepare), netpoll.WithReadTimeout(idle), netpoll.WithIdleTimeout(idle))
}

// roomOnNetpoll sends each line to everybody.
type roomOnNetpoll struct {
	mu      sync.Mutex
	members map[netpoll.Connection]bool
}

func (r *roomOnNetpoll) prepare(c netpoll.Connection) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[c] = true
	c.AddCloseCallback(func(c netpoll.Connection) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.members, c)
		return nil
	})
	return context.Background()
}

func (r *roomOnNetpoll) handle(_ context.Context, c netpoll.Connection) error {
	line, err := c.Reader().Until('\n')
	if err != nil {
		return err
	}
	line = bytes.Clone(line)
	c.Reader().Release()
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.members {
		m.Writer().WriteBinary(line)
		m.Writer().Flush() // waits for a member that does not read
	}
	return nil
}
