package main

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/goproactor/goproactor/proactor"
	"github.com/tidwall/redcon"
)

var publishCommands = []command{
	{"publish", 3, publish, noKeys, fast, "Posts a message to a channel."},
	{"subscribe", -2, subscribe, noKeys, alone | subscribed, "Listens for messages published to channels."},
	{"psubscribe", -2, psubscribe, noKeys, alone | subscribed, "Listens for messages published to channels that match one or more patterns."},
	{"unsubscribe", -1, unsubscribe, noKeys, alone | subscribed, "Stops listening to messages posted to channels."},
	{"punsubscribe", -1, punsubscribe, noKeys, alone | subscribed, "Stops listening to messages published to channels that match one or more patterns."},
	{"pubsub", -2, pubsub, noKeys, 0, "A container for Pub/Sub commands."},
}

// subscription is what a client listens to: a channel, or all that match a pattern.
type subscription struct {
	pattern bool
	name    string
}

// publishers knows how many clients listen, and on which loops. Who they are, only the
// loops know: a message goes to each loop that has any, and there, as one buffer, to
// those who still listen.
type publishers struct {
	clients   atomic.Int64
	mu        sync.RWMutex
	listening map[subscription][]int // clients by loop
	patterns  []string
	audiences []audience // by loop
}

// audience is the clients of a loop that listen. Only the loop touches it.
type audience struct {
	loop    *proactor.Loop
	clients map[subscription][]*proactor.Conn
}

func newPublishers(loops []*proactor.Loop) *publishers {
	p := &publishers{listening: make(map[subscription][]int)}
	for _, l := range loops {
		p.audiences = append(p.audiences, audience{l, make(map[subscription][]*proactor.Conn)})
	}
	return p
}

// on is the index of a loop.
func (p *publishers) on(l *proactor.Loop) int {
	return slices.IndexFunc(p.audiences, func(a audience) bool { return a.loop == l })
}

// join adds a client, on its loop.
func (p *publishers) join(sub subscription, c *proactor.Conn) {
	i := p.on(c.Loop())
	a := &p.audiences[i]
	a.clients[sub] = append(a.clients[sub], c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listening[sub] == nil {
		p.listening[sub] = make([]int, len(p.audiences))
		if sub.pattern {
			p.patterns = append(p.patterns, sub.name)
		}
	}
	p.listening[sub][i]++
}

// leave is the opposite of join.
func (p *publishers) leave(sub subscription, c *proactor.Conn) {
	i := p.on(c.Loop())
	a := &p.audiences[i]
	clients := a.clients[sub]
	at := slices.Index(clients, c)
	if a.clients[sub] = slices.Delete(clients, at, at+1); len(clients) == 1 {
		delete(a.clients, sub)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listening[sub][i]--
	if sum(p.listening[sub]) > 0 {
		return
	}
	delete(p.listening, sub)
	if sub.pattern {
		at := slices.Index(p.patterns, sub.name)
		p.patterns = slices.Delete(p.patterns, at, at+1)
	}
}

func sum(of []int) (n int) {
	for _, k := range of {
		n += k
	}
	return n
}

// heard is who hears a message on a channel: those who listen to it and to patterns that
// it matches.
func (p *publishers) heard(channel string) (by []subscription, clients int, loops []int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if sub := (subscription{name: channel}); p.listening[sub] != nil {
		by = append(by, sub)
	}
	for _, pattern := range p.patterns {
		if matches(pattern, channel) {
			by = append(by, subscription{true, pattern})
		}
	}
	for i := range p.audiences {
		n := 0
		for _, sub := range by {
			n += p.listening[sub][i]
		}
		if n > 0 {
			loops = append(loops, i)
		}
		clients += n
	}
	return by, clients, loops
}

func publish(s *session, args [][]byte) {
	p := s.srv.publishers
	channel := string(args[1])
	by, clients, loops := p.heard(channel)
	s.count(clients)
	if clients == 0 {
		return
	}
	message := string(args[2])
	for _, i := range loops {
		a := &p.audiences[i]
		if a.loop.Inside() {
			a.deliver(by, channel, message)
		} else {
			a.loop.Do(func() { a.deliver(by, channel, message) })
		}
	}
}

// deliver sends a message to the clients of the loop, as one buffer for all that listen
// to the same.
func (a *audience) deliver(by []subscription, channel, message string) {
	for _, sub := range by {
		if clients := a.clients[sub]; len(clients) > 0 {
			proactor.Broadcast(a.frame(sub, channel, message), clients...)
		}
	}
}

// frame is a message as the protocol has it.
func (a *audience) frame(sub subscription, channel, message string) proactor.Buffer {
	const lengths = 96 // bytes that lengths and words take at most
	b := a.loop.Buffer(lengths + len(sub.name) + len(channel) + len(message))
	p := b.Bytes()[:0]
	if sub.pattern {
		p = redcon.AppendArray(p, 4)
		p = redcon.AppendBulkString(p, "pmessage")
		p = redcon.AppendBulkString(p, sub.name)
	} else {
		p = redcon.AppendArray(p, 3)
		p = redcon.AppendBulkString(p, "message")
	}
	p = redcon.AppendBulkString(p, channel)
	p = redcon.AppendBulkString(p, message)
	return b.Truncate(len(p))
}

func subscribe(s *session, args [][]byte)    { s.subscribe(args, false) }
func psubscribe(s *session, args [][]byte)   { s.subscribe(args, true) }
func unsubscribe(s *session, args [][]byte)  { s.unsubscribe(args, false) }
func punsubscribe(s *session, args [][]byte) { s.unsubscribe(args, true) }

func (s *session) subscribe(args [][]byte, pattern bool) {
	if s.subscriptions == nil {
		s.subscriptions = make(map[subscription]struct{})
		s.conn.SetQueueLimit(s.srv.queueLimit, proactor.QueueDrop)
		s.srv.publishers.clients.Add(1)
	}
	for _, a := range args[1:] {
		sub := subscription{pattern, string(a)}
		if _, has := s.subscriptions[sub]; !has {
			s.subscriptions[sub] = struct{}{}
			s.srv.publishers.join(sub, s.conn)
		}
		s.subscribed("subscribe", pattern, a)
	}
}

// subscribed confirms that a client does or does not listen any more.
func (s *session) subscribed(what string, pattern bool, name []byte) {
	if pattern {
		what = "p" + what
	}
	s.array(3)
	s.bulkString(what)
	s.bulkOrNull(name)
	s.count(len(s.subscriptions))
}

func (s *session) unsubscribe(args [][]byte, pattern bool) {
	names := args[1:]
	if len(names) == 0 {
		for sub := range s.subscriptions {
			if sub.pattern == pattern {
				names = append(names, []byte(sub.name))
			}
		}
	}
	for _, name := range names {
		s.leave(subscription{pattern, string(name)})
		s.subscribed("unsubscribe", pattern, name)
	}
	if len(names) == 0 {
		s.subscribed("unsubscribe", pattern, nil)
	}
	s.stopListening()
}

func (s *session) leave(sub subscription) {
	if _, has := s.subscriptions[sub]; has {
		delete(s.subscriptions, sub)
		s.srv.publishers.leave(sub, s.conn)
	}
}

// stopListening ends the state of a subscriber when nothing is left to listen to.
func (s *session) stopListening() {
	if s.subscriptions != nil && len(s.subscriptions) == 0 {
		s.subscriptions = nil
		s.conn.SetQueueLimit(0, proactor.QueueRefuse)
		s.srv.publishers.clients.Add(-1)
	}
}

// unsubscribeAll is for a connection that ends, or is reset.
func (s *session) unsubscribeAll() {
	for sub := range s.subscriptions {
		s.leave(sub)
	}
	s.stopListening()
}

func pubsub(s *session, args [][]byte) {
	p := s.srv.publishers
	p.mu.RLock()
	defer p.mu.RUnlock()
	switch {
	case isWord(args[1], "channels") && len(args) <= 3:
		var found []string
		for sub := range p.listening {
			if !sub.pattern && (len(args) == 2 || matches(string(args[2]), sub.name)) {
				found = append(found, sub.name)
			}
		}
		s.array(len(found))
		for _, name := range found {
			s.bulkString(name)
		}
	case isWord(args[1], "numsub"):
		s.array(2 * len(args[2:]))
		for _, name := range args[2:] {
			s.bulk(name)
			s.count(sum(p.listening[subscription{name: string(name)}]))
		}
	case isWord(args[1], "numpat") && len(args) == 2:
		s.count(len(p.patterns))
	default:
		s.unknownSubcommand(args)
	}
}
