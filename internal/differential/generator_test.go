package differential

import (
	"math/rand/v2"
	"slices"

	"github.com/goproactor/goproactor/ring"
)

// dice is where a generator's choices come from: a seed, or a fuzzer's bytes.
type dice interface {
	roll(n int) int // one of 0..n-1
}

type seededDice struct{ *rand.Rand }

func (d seededDice) roll(n int) int { return d.IntN(n) }

// byteDice takes its choices from bytes, so that a fuzzer's mutations of them
// are mutations of the program.
type byteDice struct{ rest []byte }

func (d *byteDice) roll(n int) int {
	if len(d.rest) == 0 {
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return int(b) % n
}

// Generate makes the program of a seed.
func Generate(seed uint64) *Program {
	return generate(seededDice{rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))})
}

// Decode makes a program of bytes; every string of bytes is one.
func Decode(b []byte) *Program { return generate(&byteDice{b}) }

type generator struct {
	dice
	program Program
	cast    []Object // what this program is about
	used    int      // entries so far
	ids     []int    // of them, those worth canceling
	clients int
}

func generate(d dice) *Program {
	g := &generator{dice: d}
	g.groups()
	g.casting()
	for range 2 + g.roll(9) {
		g.program.Steps = append(g.program.Steps, g.step())
	}
	g.registrations()
	g.slots()
	g.multishotReads()
	g.forms()
	return &g.program
}

// slots puts some of the objects into the table of direct descriptors. It comes
// last for the same reason as registrations. An object is named by its slot
// alone: which of two receives gets what comes, when one names a slot and the
// other a number of the same file, the fallback cannot tell.
func (g *generator) slots() {
	for o := range g.program.Slots {
		g.program.Slots[o] = Object(o).hasSlot() && !g.chance(75)
	}
}

// forms has some programs use pipes that have names, or packets of which some are
// empty. It comes last for the same reason as registrations.
func (g *generator) forms() {
	g.program.Named, g.program.Packets = g.chance(30), g.chance(50)
	// A worker of the kernel's that finds the end of a named pipe takes a whole buffer.
	incremental := slices.ContainsFunc(g.program.Groups, func(p Group) bool { return p.Incremental })
	// Which of two writes that wait for room gets it first is nobody's promise.
	writes := 0
	for _, s := range g.program.Steps {
		for i := range s.Entries {
			if e := &s.Entries[i]; e.hasObject() && e.Object == PipeIn {
				writes++
			}
		}
	}
	g.program.Named = g.program.Named && !incremental && writes <= 1
	for _, s := range g.program.Steps {
		for i := range s.Entries {
			// Part of what is waited for and then the end of packets: the kernel tries
			// again turn after turn, until it leaves that to a worker.
			if e := &s.Entries[i]; g.program.Packets && e.Object == Datagram && e.sides() == readSide {
				e.Flags &^= ring.MsgWaitAll
			}
			// The end of a named pipe does not end a multishot read of the kernel's.
			if e := &s.Entries[i]; g.program.Named && e.Kind == ReadMultishot && e.pipes() {
				e.Kind = ReadProvided
			}
		}
		for i := range s.Acts {
			if a := &s.Acts[i]; a.Verb == PeerWrites && a.Object == Datagram && g.chance(15) {
				a.N = 0
			}
		}
	}
}

// multishotReads has some reads into provided buffers go on. It comes last for the
// same reason as registrations. A multishot read goes on after others of its batch, and
// one by one until it has waited: which of two gets the last buffers of a group is not
// defined, so nothing else takes from its group.
func (g *generator) multishotReads() {
	users := map[int]int{}
	for _, s := range g.program.Steps {
		for i := range s.Entries {
			if e := &s.Entries[i]; e.hasGroup() {
				users[e.Group]++
			}
		}
	}
	for _, s := range g.program.Steps {
		for i := range s.Entries {
			if e := &s.Entries[i]; e.Kind == ReadProvided && users[e.Group] == 1 {
				e.Kind = pick(g, ReadProvided, ReadMultishot)
			}
		}
	}
}

// registrations has some reads and writes name registered buffers. It comes last:
// the rest of a seed's program is what it was before there were any.
func (g *generator) registrations() {
	for _, s := range g.program.Steps {
		for i := range s.Entries {
			if e := &s.Entries[i]; e.Kind == Read || e.Kind == Write {
				e.Fixed = pick(g, Unregistered, Unregistered, Unregistered, Registered, Registered, Registered, Outside, Absent)
			}
		}
	}
}

func (g *generator) chance(percent int) bool { return g.roll(100) < percent }

func pick[T any](g *generator, list ...T) T { return list[g.roll(len(list))] }

func (g *generator) groups() {
	for range g.roll(3) {
		g.program.Groups = append(g.program.Groups, Group{
			Count: pick(g, 0, 1, 2, 4, 8), Size: pick(g, 16, 32, 64, 256), Incremental: g.chance(40),
		})
	}
}

// casting chooses few objects, so that entries meet.
func (g *generator) casting() {
	sets := [][]Object{{UnixA}, {TCPA}, {LoopLeft, LoopRight}, {Listener, ConnA, ConnB, ConnC}, {PipeOut}, {PipeIn}, {Event},
		{Datagram}, {DialA}, {Listener, DialA, ConnA}, {UnixB}, {TCPB}, {DialB}, {UnixA}, {TCPA}, {LoopLeft, LoopRight}}
	for range 1 + g.roll(3) {
		g.cast = append(g.cast, pick(g, sets...)...)
	}
	if g.chance(10) {
		g.cast = append(g.cast, pick(g, NoFile, Negative))
	}
}

func (g *generator) step() (s Step) {
	if g.chance(3) {
		return g.largeSend()
	}
	if g.chance(80) {
		for n := 1 + g.roll(4); len(s.Entries) < n; {
			s.Entries = append(s.Entries, g.chain()...)
		}
	}
	for range pick(g, 0, 0, 1, 1, 1, 2, 3) {
		if a, ok := g.act(); ok {
			s.Acts = append(s.Acts, a)
		}
	}
	return s
}

// largeSend is a step of its own: more than TCP's buffers take, while the peer
// reads.
func (g *generator) largeSend() Step {
	object := pick(g, TCPA, TCPB, UnixA)
	e := Entry{ID: g.id(), Kind: pick(g, Send, Sendmsg), Object: object, Size: pick(g, 70000, 300000), Flags: ring.MsgWaitAll}
	e.Count = uint32(g.vectors(&e))
	return Step{Entries: []Entry{e}, Acts: []Act{{Verb: PeerDrains, Object: object}}}
}

func (g *generator) id() int {
	g.used++
	return g.used
}

// chain is a single entry, or two to four that are linked.
func (g *generator) chain() []Entry {
	n := 1
	if g.chance(25) {
		n = 2 + g.roll(3)
	}
	var c []Entry
	for len(c) < n {
		c = append(c, g.entry())
		if g.chance(12) {
			// Two timeouts of the same moment would race.
			short := g.chance(40) && !c[len(c)-1].Short
			c = append(c, Entry{ID: g.id(), Kind: LinkTimeout, Short: short})
		}
	}
	hard := g.chance(30)
	for i := range c[:len(c)-1] {
		c[i].Link = ring.SQELink
		if c[i+1].Kind != LinkTimeout && (hard || g.chance(10)) {
			c[i].Link = ring.SQEHardLink
		}
	}
	return c
}

func (g *generator) entry() Entry {
	e := Entry{ID: g.id()}
	switch n := g.roll(100); {
	case n < 70:
		g.ioEntry(&e)
	case n < 75:
		e.Kind = Nop
	case n < 83:
		e.Kind, e.Short = Timeout, g.chance(25)
		e.Count = pick[uint32](g, 0, 0, 1, 2, 3, 5)
		g.ids = append(g.ids, e.ID)
	case n < 98:
		g.cancelEntry(&e)
	case n < 99:
		e.Kind = Unknown
	default:
		e.Kind = LinkTimeout // with nothing before it
	}
	return e
}

func (g *generator) cancelEntry(e *Entry) {
	e.Kind = pick(g, Cancel, Cancel, Cancel, Cancel, CancelFD, CancelFD, CancelAny, PollRemove, TimeoutRemove)
	e.Target = 9999
	if len(g.ids) > 0 && !g.chance(8) {
		// Those submitted last are those most likely in flight.
		e.Target = g.ids[len(g.ids)-1-g.roll(min(len(g.ids), 6))]
	}
	switch e.Kind {
	case CancelFD:
		e.Object = pick(g, g.cast...)
		e.Flags = pick(g, 0, ring.CancelAll)
	case Cancel:
		e.Flags = pick(g, 0, 0, 0, ring.CancelAll)
	}
}

// repertoire is what can be asked of an object, the likely more often.
func repertoire(o Object) []Kind {
	stream := []Kind{Recv, Recv, Recv, Recv, RecvProvided, RecvProvided, RecvMultishot, RecvMultishot, RecvMultishot, Send, Send, Send, Send,
		Sendmsg, Sendmsg, Shutdown, Close, Read, ReadProvided, Write, Poll, PollMultishot}
	switch o {
	case Listener:
		return []Kind{Accept, Accept, Accept, AcceptMultishot, AcceptMultishot, AcceptMultishot, Poll, PollMultishot, Close, Shutdown, Recv}
	case DialA, DialB:
		return append(stream, Connect, Connect, Connect, Connect, Connect, Connect, Connect, Connect)
	case PipeOut:
		return []Kind{Read, Read, Read, ReadProvided, ReadProvided, Poll, PollMultishot, Close, Recv, Write}
	case PipeIn:
		return []Kind{Write, Write, Write, Write, Poll, PollMultishot, Close, Send, Read}
	case Event:
		return []Kind{Read, Read, Read, Write, Write, Write, Poll, PollMultishot, Close, ReadProvided}
	case Datagram:
		return []Kind{Recv, Recv, RecvProvided, RecvMultishot, Send, Send, Sendmsg, Poll, Close, Read, Write}
	case NoFile, Negative:
		return append(stream, Accept, AcceptMultishot, Connect)
	}
	return stream
}

func (g *generator) ioEntry(e *Entry) {
	e.Object = pick(g, g.cast...)
	e.Kind = pick(g, repertoire(e.Object)...)
	if e.Kind != Close && e.Kind != Shutdown && e.Kind != Connect {
		g.ids = append(g.ids, e.ID)
	}
	if e.hasGroup() {
		e.Group = g.roll(len(g.program.Groups) + 1)
		if e.Group == len(g.program.Groups) && !g.chance(10) {
			e.Group = 0
		}
	}
	g.details(e)
}

// details sets what the kind of an entry leaves open.
func (g *generator) details(e *Entry) {
	switch e.Kind {
	case Recv:
		e.Size = g.size(e)
		e.Flags = pick(g, 0, 0, 0, ring.MsgWaitAll, ring.MsgWaitAll, ring.MsgPeek, ring.MsgDontWait)
	case RecvProvided, RecvMultishot:
		if g.chance(20) {
			e.Size = pick(g, 8, 16, 24, 100)
		}
		e.Flags = pick(g, 0, 0, 0, 0, 0, 0, 0, ring.MsgWaitAll, ring.MsgPeek, ring.MsgDontWait)
		g.avoidHazards(e)
	case Send, Sendmsg:
		e.Size = g.size(e)
		e.Flags = pick(g, 0, 0, ring.MsgWaitAll, ring.MsgWaitAll, ring.MsgDontWait)
		e.Count = uint32(g.vectors(e))
	case Read, Write:
		e.Size = g.size(e)
		if e.Object == Event {
			e.Size, e.Count = pick(g, 8, 8, 8, 4, 16), pick[uint32](g, 1, 2, 7)
		}
	case Poll, PollMultishot:
		e.Flags = pick(g, ring.PollIn, ring.PollIn, ring.PollIn, ring.PollOut, ring.PollIn|ring.PollOut, ring.PollIn|ring.PollRDHup, ring.PollRDHup)
	case Shutdown:
		e.Flags = uint32(pick(g, 0, 1, 1, 1, 2, 3))
	case Connect:
		e.To = pick(g, ToOutside, ToOutside, ToRefused, ToListener)
	}
	if (e.Kind == Recv || e.Kind == Send) && g.chance(5) {
		e.Ioprio = ring.RecvSendPollFirst
	}
}

// avoidHazards leaves out what nobody should ask for:
//
//   - a multishot that peeks: it fills every buffer with the same bytes;
//   - a multishot that does not wait: it gives up after 32 completions in one go,
//     whatever is left (MULTISHOT_MAX_RETRY); and as many of a Unix socket with
//     the end of the stream behind them: the kernel does not see that end;
//   - MSG_WAITALL with an incremental group: the kernel offers the rest of the
//     buffer, into which the receive goes on writing, to others.
func (g *generator) avoidHazards(e *Entry) {
	incremental := e.Group < len(g.program.Groups) && g.program.Groups[e.Group].Incremental
	switch {
	case e.Kind == RecvMultishot:
		e.Flags &= ring.MsgWaitAll // which it refuses
		if incremental && e.Size < 100 {
			e.Size = 0
		}
	case e.Kind == RecvProvided && incremental:
		e.Flags &^= ring.MsgWaitAll
	}
}

func (g *generator) vectors(e *Entry) int {
	if e.Kind != Sendmsg {
		return 0
	}
	return g.roll(4) + 1
}

// size is mostly small; what fills buffers goes only where their size is
// exact.
func (g *generator) size(e *Entry) int {
	small := pick(g, 1, 3, 8, 16, 17, 32, 40, 64, 100, 300, 1000, 0)
	exact := !e.Object.tcp() && e.Object != Datagram
	if exact && e.sides() == writeSide && g.chance(20) {
		return pick(g, 3000, 4096, 20000, 70000)
	}
	if exact && g.chance(10) {
		return pick(g, 3000, 5000, 20000)
	}
	return small
}

// act is something the peers do; some objects have no peer.
func (g *generator) act() (a Act, ok bool) {
	if len(g.program.Groups) > 0 && g.chance(15) {
		return Act{Verb: Refill, Group: g.roll(len(g.program.Groups)), N: 1 + g.roll(8)}, true
	}
	a.Object = pick(g, g.cast...)
	switch a.Object {
	case LoopLeft, LoopRight, NoFile, Negative:
		return a, false
	case Listener:
		g.clients++
		return Act{Verb: PeerConnects}, g.clients <= 3
	case PipeIn, PipeOut, Event:
		a.Verb = pick(g, PeerWrites, PeerWrites, PeerWrites, PeerReads, PeerReads, PeerReads, PeerReads, PeerCloses)
	default:
		a.Verb = pick(g, PeerWrites, PeerWrites, PeerWrites, PeerWrites, PeerWrites, PeerWrites, PeerReads, PeerReads, PeerReads, PeerShuts, PeerCloses, PeerResets)
	}
	switch a.Verb {
	case PeerWrites:
		a.N = pick(g, 1, 5, 16, 20, 32, 64, 100, 300, 1000)
	case PeerReads:
		a.N = pick(g, 1, 10, 100, 1000, 5000, 100000)
	case PeerShuts:
		a.N = pick(g, 1, 1, 1, 0, 2)
	}
	return a, true
}
