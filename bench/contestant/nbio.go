package contestant

import (
	"sync"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"
)

// One poller that also reads, level-triggered: nbio's default. (Its other mode,
// edge-triggered with a goroutine pool for reading, is for many processors.)
// Conn.Write copies what the socket does not take, so the poller's own buffer
// can be written.
var _ = register(Contestant{
	Name:       "nbio",
	Family:     Peer,
	About:      "nbio 1.6.9, level-triggered, one poller",
	Serve:      serveNbio,
	DropsOnEOF: true,
})

func serveNbio(o Options) error {
	logging.SetLevel(logging.LevelError)
	engine := nbio.NewEngine(nbio.Config{
		Network: "tcp",
		Addrs:   []string{o.Addr},
		NPoller: 1,
	})
	var mu sync.Mutex // the listener opens, the poller closes
	conns := make(map[*nbio.Conn]bool)
	if o.Broadcast {
		engine.OnOpen(func(c *nbio.Conn) {
			mu.Lock()
			defer mu.Unlock()
			conns[c] = true
		})
		engine.OnClose(func(c *nbio.Conn, _ error) {
			// Write calls this when the peer is gone, from under the lock.
			go func() {
				mu.Lock()
				defer mu.Unlock()
				delete(conns, c)
			}()
		})
	}
	engine.OnData(func(c *nbio.Conn, p []byte) {
		if !o.Broadcast {
			c.Write(p)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for other := range conns {
			other.Write(p)
		}
	})
	if err := engine.Start(); err != nil {
		return err
	}
	o.Listening(engine.Addrs[0])
	select {}
}
