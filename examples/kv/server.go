package main

import (
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// server is what all clients share.
type server struct {
	*commandTable
	rt         *proactor.Runtime
	keys       *keyspace
	journal    *journal // nil without -aof
	publishers *publishers
	frameLimit int
	queueLimit int
	notice     string // about the journal, for the operator
	config     config
	started    time.Time
	clients    atomic.Int64 // that have ever connected
	commands   atomic.Int64 // that were run
}

func newServer(rt *proactor.Runtime, c config) *server {
	return &server{
		commandTable: newCommandTable(),
		rt:           rt,
		keys:         newKeyspace(len(rt.Loops())),
		publishers:   newPublishers(rt.Loops()),
		frameLimit:   c.frameLimit,
		queueLimit:   c.queueLimit,
		config:       c,
		started:      time.Now(),
	}
}
