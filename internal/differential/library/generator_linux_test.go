package library

import (
	"math/rand/v2"
	"os"
)

// dice makes the choices of a generator: from a seed, or from the bytes of a fuzzer, whose
// mutations are then mutations of the program.
type dice struct {
	random *rand.Rand
	bytes  []byte
}

// roll is one of 0 to n-1.
func (d *dice) roll(n int) int {
	if d.random != nil {
		return d.random.IntN(n)
	}
	if len(d.bytes) == 0 {
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % n
}

func (d *dice) chance(percent int) bool { return d.roll(100) < percent }

func pick[T any](d *dice, list ...T) T { return list[d.roll(len(list))] }

// Generate makes the program of a seed.
func Generate(seed uint64) *Program {
	return generate(&dice{random: rand.New(rand.NewPCG(seed, 0x2545f4914f6cdd1d))})
}

// Decode makes a program of bytes; every string of bytes is one.
func Decode(b []byte) *Program { return generate(&dice{bytes: b}) }

func generate(d *dice) *Program {
	p := &Program{
		Medium:  pick(d, TCP, TCP, TCP, TCP, Unix, Unix, Pipe, Proxy, Proxy, UDP, UDP, Unixgram, Unixpacket, Files, Files, Files, Files, Listeners, Listeners),
		Task:    d.chance(50),
		Foreign: d.chance(25),
		NetConn: d.chance(20),
		Handled: d.chance(20),
	}
	// Reads and writes that nobody waits for come first in some programs.
	for i := range 3 + d.roll(22) {
		s := Step{ID: i + 1, Way: d.roll(56)}
		switch {
		case p.Medium == Files:
			d.fileStep(&s)
		case p.Medium.messages():
			d.messageStep(&s)
		case p.Medium == Listeners:
			d.listenerStep(&s)
		default:
			d.streamStep(&s)
		}
		p.Steps = append(p.Steps, s)
	}
	if p.Medium == Files && d.chance(25) {
		p.Limit = pick[int64](d, 1000, 1003, 4096, 6000, 65536)
	}
	if p.Medium == Files { // a step on nothing would be passed over
		p.Steps = append([]Step{{ID: 100, Verb: Open, Name: d.roll(3), Flags: os.O_RDWR | os.O_CREATE}}, p.Steps...)
	}
	return p
}

func (d *dice) streamStep(s *Step) {
	s.On = d.roll(2)
	s.Verb = pick(d, Read, Read, Read, Read, Read, Read, Write, Write, Write, Write, Write, Write, Write,
		CloseWrite, CloseRead, Close, Abort, EndReads, EndWrites, MoveDeadlines, MoveDeadlines, Cancel, Cancel, Cancel, Move, Detach)
	s.Ended = d.chance(12)
	switch s.Verb {
	case Read:
		s.N = pick(d, 1, 3, 10, 100, 1000, 1000, 4000, 8000)
		if d.chance(5) {
			s.N = large
		}
	case Write:
		s.N = pick(d, 1, 3, 10, 100, 1000, 1000, 3000)
		s.Late = d.chance(30)
		if d.chance(4) {
			s.N, s.Ended = large, false
		}
	case Cancel:
		s.Target = max(1, s.ID-1-d.roll(5))
	default:
		s.Ended = false
	}
}

func (d *dice) messageStep(s *Step) {
	s.On = d.roll(2)
	s.Verb = pick(d, Read, Read, Read, Read, Write, Write, Write, Write, Write, EndReads, EndWrites, MoveDeadlines, MoveDeadlines, Cancel, Cancel, Close, CloseWrite)
	s.Ended = d.chance(12) && (s.Verb == Read || s.Verb == Write)
	switch s.Verb {
	case Write:
		s.N = pick(d, 0, 1, 10, 100, 1400, 9000, 20000, 300000)
	case Cancel:
		s.Target = max(1, s.ID-1-d.roll(5))
	}
}

func (d *dice) fileStep(s *Step) {
	s.On = pick(d, 0, 0, 0, 1, 2)
	s.Verb = pick(d, Open, Open, Open, ReadAt, ReadAt, WriteAt, WriteAt, ReadNext, ReadNext, ReadNext, WriteNext, WriteNext, WriteNext,
		ReadVector, WriteVector, Truncate, Allocate, Sync, Stat, CloseFile, AdoptFile, StatName, LstatName, Remove, Rename, Link, Symlink, Mkdir,
		Chain, Chain, Chain)
	s.Name, s.To = d.roll(len(localNames)+len(deviceNames)), d.roll(len(localNames))
	s.N = pick(d, 0, 1, 10, 100, 1000, 5000, 70000)
	s.Off = pick[int64](d, 0, 0, 10, 500, 1000, 4096, 100000)
	if d.chance(4) {
		s.Off = pick[int64](d, -1, 1<<62, 1<<63-1)
	}
	s.Flags = pick(d, os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR, os.O_RDWR) |
		pick(d, 0, os.O_CREATE, os.O_CREATE, os.O_CREATE|os.O_TRUNC, os.O_CREATE|os.O_EXCL, os.O_TRUNC) | pick(d, 0, 0, 0, os.O_APPEND)
	s.Late = d.chance(40)
	s.Ended = d.chance(10)
	if s.Verb == Allocate {
		s.N = max(s.N, 1)
	}
}

func (d *dice) listenerStep(s *Step) {
	s.On, s.To = d.roll(handles), d.roll(handles)
	s.Verb = pick(d, Listen, Listen, Listen, Listen, Dial, Dial, Dial, Dial, Dial, Dial, Accept, Accept, Accept, Accept, Close, Close,
		EndReads, MoveDeadlines, MoveDeadlines, Cancel, Cancel, Cancel)
	switch {
	case s.Verb == Cancel:
		s.Target = max(1, s.ID-1-d.roll(4))
	case s.Verb == Listen && d.chance(50):
		s.Name = d.roll(6) // those that can be listened on
	case s.Verb == Dial && d.chance(50) || s.Verb == Listen && d.chance(25):
		s.Name = -1
	default:
		s.Name = d.roll(len(targets))
	}
	if s.Verb == Dial && d.chance(25) {
		s.Flags = 1 + d.roll(dialFailures-1)
	}
	s.Ended = (s.Verb == Dial || s.Verb == Accept) && d.chance(15)
	if d.chance(2) {
		s.Verb = Shutdown
	}
}
