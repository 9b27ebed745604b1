package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
)

// TestPublish: what is published on any loop comes to the subscribers on all of them, in
// order and once.
func TestPublish(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		const subscribers, publishers, messages = 16, 4, 200
		var listening []*peer
		for i := range subscribers {
			c := dial(t, "tcp", s.Addr)
			require.Equal(t, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n", c.do(t, "SUBSCRIBE", "news"))
			if i%2 == 0 {
				require.Equal(t, "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:2\r\n", c.do(t, "PSUBSCRIBE", "n*"))
			}
			listening = append(listening, c)
		}
		var all sync.WaitGroup
		for p := range publishers {
			c := dial(t, "tcp", s.Addr)
			all.Go(func() {
				for m := range messages {
					c.Write(request("PUBLISH", "news", fmt.Sprintf("%d %d", p, m)))
					if reply, err := readReply(c.in); err != nil || string(reply) != fmt.Sprintf(":%d\r\n", subscribers*3/2) {
						t.Errorf("publish: %q %v", reply, err)
						return
					}
				}
			})
		}
		for i, c := range listening {
			all.Go(func() {
				times := 1
				if i%2 == 0 {
					times = 2
				}
				if err := heardAll(c, publishers, messages, times); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}, "-loops", "2")
}

// heardAll reads so many messages of each publisher, each of them several times.
func heardAll(c *peer, publishers, messages, times int) error {
	next := make([]int, publishers*2)
	for range publishers * messages * times {
		reply, err := readReply(c.in)
		if err != nil {
			return err
		}
		parts := strings.Split(string(reply), "\r\n")
		byPattern := 0
		if parts[2] == "pmessage" {
			byPattern = 1
		}
		var p, m int
		if _, err := fmt.Sscan(parts[len(parts)-2], &p, &m); err != nil {
			return fmt.Errorf("%q: %w", reply, err)
		}
		if at := &next[2*p+byPattern]; *at != m {
			return fmt.Errorf("%q came instead of number %d", reply, *at)
		} else {
			*at++
		}
	}
	return nil
}

// TestUnsubscribe: nothing comes after the confirmation, whatever is published meanwhile.
func TestUnsubscribe(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		ended := make(chan struct{})
		var publishing sync.WaitGroup
		for range 2 {
			c := dial(t, "tcp", s.Addr)
			publishing.Go(func() {
				for {
					select {
					case <-ended:
						return
					default:
					}
					c.Write(request("PUBLISH", "news", "x"))
					if _, err := readReply(c.in); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		c := dial(t, "tcp", s.Addr)
		for range 300 {
			require.Equal(t, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n", c.do(t, "SUBSCRIBE", "news"))
			c.send(t, request("UNSUBSCRIBE", "news"))
			c.send(t, request("ECHO", "after"))
			reply := c.reply(t)
			for strings.HasPrefix(reply, "*3\r\n$7\r\nmessage") {
				reply = c.reply(t)
			}
			require.Equal(t, "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n", reply)
			require.Equal(t, "$5\r\nafter\r\n", c.reply(t))
		}
		close(ended)
		publishing.Wait()
	}, "-loops", "2")
}

// TestSlowSubscriber: one that does not read is dropped, and the others hear everything.
func TestSlowSubscriber(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		slow, good, publisher := dial(t, "tcp", s.Addr), dial(t, "tcp", s.Addr), dial(t, "tcp", s.Addr)
		slow.do(t, "SUBSCRIBE", "news")
		good.do(t, "SUBSCRIBE", "news")
		message := strings.Repeat("x", 256<<10)
		deadline := time.Now().Add(patience)
		for reply := ""; reply != ":1\r\n"; {
			require.True(t, time.Now().Before(deadline), "the slow one is still there")
			reply = publisher.do(t, "PUBLISH", "news", message)
			if reply == ":2\r\n" || reply == ":1\r\n" {
				require.Contains(t, good.reply(t), message)
			}
		}
		require.Equal(t, ":1\r\n", publisher.do(t, "PUBLISH", "news", "end"))
		require.Contains(t, good.reply(t), "end")
		require.Equal(t, int64(1), infoNumber(t, publisher, "pubsub_clients"))
		require.Less(t, infoNumber(t, publisher, "used_memory"), int64(200<<20))
	}, "-loops", "2", "-queuelimit", "1048576")
}

// TestSubscribersThatGo leave nothing behind.
func TestSubscribersThatGo(t *testing.T) {
	onEach(t, func(t *testing.T, s *exampletest.Server) {
		c := dial(t, "tcp", s.Addr)
		for range 20 {
			gone := dial(t, "tcp", s.Addr)
			gone.do(t, "SUBSCRIBE", "a", "b")
			gone.Close()
		}
		require.Eventually(t, func() bool { return infoNumber(t, c, "pubsub_clients") == 0 }, patience, time.Millisecond)
		require.Equal(t, "*0\r\n", c.do(t, "PUBSUB", "CHANNELS"))
		require.Equal(t, ":0\r\n", c.do(t, "PUBLISH", "a", "x"))
	}, "-loops", "2")
}
