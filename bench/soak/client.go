package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"
)

// client is one client in one episode: it does something once, from beginning to end.
type client struct {
	world  *world
	life   *life
	random *rand.Rand
	ctx    context.Context // ends with episodeLimit
}

// episodeLimit is how long an episode may take. It only ends those that hang.
const episodeLimit = 30 * time.Second

// Tally counts episodes of a kind.
type Tally struct {
	Episodes int64
	Excused  int64 // of them, ended by the replacement of the runtime
}

// beClient plays one episode after another until ctx ends. Which ones depends on random,
// as far as time lets it.
func (w *world) beClient(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		e := episodes[random.IntN(len(episodes))]
		w.soak.gate.RLock()
		w.play(e, random)
		w.soak.gate.RUnlock()
	}
}

// play plays one episode. What the replacement of the runtime in its midst may do to it
// is excused; wrong bytes are not, nor is one that hangs until episodeLimit.
func (w *world) play(e episode, random *rand.Rand) {
	life, next := w.now()
	// The soak's end lets episodes come to theirs.
	ctx, cancel := context.WithTimeout(context.Background(), episodeLimit)
	defer cancel()
	err := e.play(&client{world: w, life: life, random: random, ctx: ctx})
	var wrong wrongBytes
	excused := err != nil && w.begun.Load() > next && !errors.As(err, &wrong) && ctx.Err() == nil
	if err != nil && !excused {
		w.failf("%s: %v", e.name, err)
	}
	w.soak.count(e.name, excused)
}

func (s *soak) count(name string, excused bool) {
	s.episodes.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally[name]
	if t == nil {
		t = new(Tally)
		s.tally[name] = t
	}
	t.Episodes++
	if excused {
		t.Excused++
	}
}

// dial connects to a service by package net.
func (c *client) dial(service string) (net.Conn, error) {
	network := "tcp"
	if service == "unix" {
		network = "unix"
	}
	conn, err := new(net.Dialer).DialContext(c.ctx, network, c.world.addresses[service])
	if err != nil {
		return nil, err
	}
	until, _ := c.ctx.Deadline()
	return conn, conn.SetDeadline(until)
}

// oneOf is one of them at random.
func oneOf[T any](random *rand.Rand, all ...T) T { return all[random.IntN(len(all))] }
