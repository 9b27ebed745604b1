package main

import (
	"sync"

	"github.com/lesismal/fib"
)

// proxy sends on what comes in, as the relay in fib's package socks does: each side is held
// back while much is queued for the other.
type proxy struct {
	engine   *fib.Engine
	upstream string
}

// queueLimit is how much may be queued for one side before the other is not read any more.
const queueLimit = 1 << 20

// client serves the connections of clients, which are not read before there is an upstream.
func (p *proxy) client() fib.Handler {
	return fib.HandlerFuncs{
		Open: func(c *fib.Connection) {
			c.SetWriteBackpressure(false)
			c.HoldReads(true)
			if p.engine.DialWithHandler("tcp", p.upstream, 0, to(c), func(up *fib.Connection, err error) {
				if err != nil {
					c.Close()
					return
				}
				up.SetWriteBackpressure(false)
				c.SetHandler(to(up))
				c.HoldReads(false)
			}) != nil {
				c.Close()
			}
		},
	}
}

// to sends on to other what comes in.
func to(other *fib.Connection) fib.Handler {
	var mu sync.Mutex // a release comes after the hold that it ends
	return fib.HandlerFuncs{
		Data: func(c *fib.Connection, p []byte) {
			if other.Send(p) != nil {
				return // it is closing, which closes this side, too
			}
			mu.Lock()
			defer mu.Unlock()
			if other.NotifyOutput(queueLimit, func(error) {
				mu.Lock()
				defer mu.Unlock()
				c.HoldReads(false)
			}) {
				c.HoldReads(true)
			}
		},
		Close: func(*fib.Connection, error) { other.CloseAfterSend() },
	}
}
