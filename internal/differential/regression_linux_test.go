package differential

import (
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// steps writes programs by hand: what is put in one call is one step.
func steps(list ...Step) *Program { return &Program{Steps: list} }

func withGroups(p *Program, groups ...Group) *Program {
	p.Groups = groups
	return p
}

func packets(p *Program) *Program {
	p.Packets = true
	return p
}

func submit(entries ...Entry) Step { return Step{Entries: entries} }

func outside(acts ...Act) Step { return Step{Acts: acts} }

// regressions are programs for every class of difference found, and for what
// random programs meet rarely.
var regressions = map[string]*Program{
	"an empty write is an empty datagram": steps(
		submit(Entry{ID: 1, Kind: Write, Object: Datagram})),
	"a receive of nothing says that something waits": steps(
		submit(Entry{ID: 1, Kind: Recv, Object: TCPA}, Entry{ID: 2, Kind: Recv, Object: UnixA}),
		outside(Act{Verb: PeerShuts, Object: TCPA, N: 1}, Act{Verb: PeerWrites, Object: UnixA, N: 16})),
	"a peek at nothing says that something waits": steps(
		outside(Act{Verb: PeerWrites, Object: TCPA, N: 16}, Act{Verb: PeerShuts, Object: UnixA, N: 1}),
		submit(Entry{ID: 1, Kind: Recv, Object: TCPA, Flags: ring.MsgPeek}, Entry{ID: 2, Kind: Recv, Object: UnixA, Flags: ring.MsgPeek})),
	"after a refused connect the socket is at its end": steps(
		submit(Entry{ID: 1, Kind: Connect, Object: DialA, To: ToRefused}),
		submit(Entry{ID: 2, Kind: Recv, Object: DialA, Size: 8})),
	"a connect after a refused one": steps(
		submit(Entry{ID: 1, Kind: Connect, Object: DialA, To: ToRefused}),
		submit(Entry{ID: 2, Kind: Connect, Object: DialA, To: ToRefused}),
		submit(Entry{ID: 3, Kind: Connect, Object: DialA, To: ToOutside}),
		submit(Entry{ID: 4, Kind: Send, Object: DialA, Size: 8})),
	"a timeout behind a hard link does not count what ended before it": steps(
		submit(Entry{ID: 1, Kind: Timeout, Link: ring.SQEHardLink}, Entry{ID: 2, Kind: Timeout, Count: 1}),
		submit(Entry{ID: 3, Kind: Cancel, Target: 1})),
	"a timeout behind a hard link counts what its round brings": steps(
		submit(Entry{ID: 1, Kind: Timeout}),
		submit(Entry{ID: 2, Kind: CancelAny, Link: ring.SQEHardLink}, Entry{ID: 3, Kind: Timeout, Count: 1})),
	"a timeout that counts ends before what is linked": steps(
		submit(Entry{ID: 1, Kind: Timeout, Count: 1}),
		submit(Entry{ID: 2, Kind: Nop, Link: ring.SQEHardLink}, Entry{ID: 3, Kind: CancelAny})),
	"a poll of a socket that is not connected reports once": steps(
		submit(Entry{ID: 1, Kind: PollMultishot, Object: DialA, Flags: ring.PollIn | ring.PollOut})),
	"a bad descriptor comes before EAGAIN": steps(
		submit(Entry{ID: 1, Kind: Send, Object: NoFile, Size: 8, Flags: ring.MsgDontWait, Ioprio: ring.RecvSendPollFirst}),
		submit(Entry{ID: 2, Kind: Recv, Object: PipeOut, Size: 8, Flags: ring.MsgDontWait, Ioprio: ring.RecvSendPollFirst})),
	"a multishot receive keeps waiting when the last buffer took all": withGroups(steps(
		outside(Act{Verb: PeerWrites, Object: TCPA, N: 5}),
		submit(Entry{ID: 1, Kind: RecvMultishot, Object: TCPA}),
		outside(Act{Verb: Refill, N: 1}, Act{Verb: PeerWrites, Object: TCPA, N: 5})),
		Group{Count: 1, Size: 64}),
	"a multishot receive of datagrams looks for a buffer first": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvMultishot, Object: Datagram}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 5})),
		Group{Count: 1, Size: 64}),
	"a multishot receive without buffers learns of a reset": withGroups(steps(
		Step{Entries: []Entry{{ID: 1, Kind: Recv, Object: TCPA, Size: 3}}, Acts: []Act{{Verb: PeerWrites, Object: TCPA, N: 20}}},
		outside(Act{Verb: PeerResets, Object: TCPA}),
		submit(Entry{ID: 2, Kind: RecvMultishot, Object: TCPA})),
		Group{Count: 1, Size: 64}),
	"a multishot receive without buffers learns of the end": withGroups(steps(
		Step{Entries: []Entry{{ID: 1, Kind: Recv, Object: TCPA, Size: 3}}, Acts: []Act{{Verb: PeerWrites, Object: TCPA, N: 20}}},
		outside(Act{Verb: PeerShuts, Object: TCPA, N: 1}),
		submit(Entry{ID: 2, Kind: RecvMultishot, Object: TCPA})),
		Group{Count: 1, Size: 64}),
	"messages come one after the other": withGroups(steps(
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 5}, Act{Verb: PeerWrites, Object: Datagram, N: 7}),
		submit(Entry{ID: 1, Kind: RecvMessages, Object: Datagram}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 1}, Act{Verb: PeerWrites, Object: Datagram, N: 16}, Act{Verb: PeerWrites, Object: Datagram, N: 3}),
		submit(Entry{ID: 2, Kind: Cancel, Target: 1})),
		Group{Count: 8, Size: 64}),
	"messages that do not fit, and no buffer for the next": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvMessages, Object: Datagram}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 100}, Act{Verb: PeerWrites, Object: Datagram, N: 48}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 49}),
		outside(Act{Verb: Refill, N: 2}),
		submit(Entry{ID: 2, Kind: RecvMessages, Object: Datagram, Flags: ring.MsgTrunc})),
		Group{Count: 2, Size: 64}),
	"messages into an incremental group": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvMessages, Object: Datagram}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 5}), outside(Act{Verb: PeerWrites, Object: Datagram, N: 20})),
		Group{Count: 2, Size: 128, Incremental: true}),
	"messages into buffers without room for what begins them": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvMessages, Object: Datagram}, Entry{ID: 2, Kind: RecvMessages, Object: NoFile})),
		Group{Count: 2, Size: 8}),
	"messages that are waited for with MSG_WAITALL": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvMessages, Object: Datagram, Flags: ring.MsgWaitAll})),
		Group{Count: 2, Size: 64}),
	"messages of a stream, and its end": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvMessages, Object: UnixA}),
		outside(Act{Verb: PeerWrites, Object: UnixA, N: 20}),
		outside(Act{Verb: PeerShuts, Object: UnixA, N: 1})),
		Group{Count: 4, Size: 64}),
	"an empty message ends the multishot": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvMessages, Object: Datagram}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 0}),
		submit(Entry{ID: 2, Kind: RecvMessages, Object: Datagram}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 4})),
		Group{Count: 4, Size: 64}),
	"an empty packet is no end": packets(steps(
		submit(Entry{ID: 1, Kind: Recv, Object: Datagram, Size: 8}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 0}),
		submit(Entry{ID: 2, Kind: Recv, Object: Datagram, Size: 8}),
		outside(Act{Verb: PeerWrites, Object: Datagram, N: 5}),
		submit(Entry{ID: 3, Kind: Send, Object: Datagram}, Entry{ID: 4, Kind: Write, Object: Datagram, Size: 3}),
		outside(Act{Verb: PeerReads, Object: Datagram, N: 8}))),
	"a shutdown ends a send that waits": steps(
		submit(Entry{ID: 1, Kind: Sendmsg, Object: UnixA, Size: 70000, Flags: ring.MsgWaitAll}),
		submit(Entry{ID: 2, Kind: Shutdown, Object: UnixA, Flags: 1})),
	"a shutdown for writing leaves a receive without buffers alone": steps(
		submit(Entry{ID: 1, Kind: RecvMultishot, Object: TCPA, Group: 3, Ioprio: ring.RecvSendPollFirst}),
		submit(Entry{ID: 2, Kind: Shutdown, Object: TCPA, Flags: 1})),
	"a shutdown for writing wakes who waits for a buffer to receive into": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvProvided, Object: LoopLeft}),
		Step{Entries: []Entry{{ID: 2, Kind: RecvProvided, Object: UnixA}}, Acts: []Act{{Verb: PeerWrites, Object: UnixA, N: 16}}},
		submit(Entry{ID: 3, Kind: Shutdown, Object: LoopLeft, Flags: 1})),
		Group{Count: 1, Size: 16}),
	"a shutdown for writing leaves a receive that finds nothing waiting": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvProvided, Object: LoopLeft}, Entry{ID: 2, Kind: Recv, Object: TCPA, Size: 8}),
		submit(Entry{ID: 3, Kind: Shutdown, Object: LoopLeft, Flags: 1}, Entry{ID: 4, Kind: Shutdown, Object: TCPA, Flags: 1}),
		outside(Act{Verb: PeerWrites, Object: TCPA, N: 5})),
		Group{Count: 1, Size: 16}),
	"a shutdown wakes who receives from a listener": steps(
		submit(Entry{ID: 1, Kind: Recv, Object: Listener, Size: 8, Ioprio: ring.RecvSendPollFirst}),
		submit(Entry{ID: 2, Kind: Shutdown, Object: Listener, Flags: 1})),
	"a multishot receive lets others have buffers before it finds a hang-up": withGroups(steps(
		Step{Entries: []Entry{{ID: 1, Kind: Recv, Object: UnixA, Size: 8}}, Acts: []Act{{Verb: PeerWrites, Object: UnixA, N: 5}}},
		outside(Act{Verb: PeerWrites, Object: UnixA, N: 5}, Act{Verb: PeerCloses, Object: UnixA}, Act{Verb: PeerWrites, Object: UnixB, N: 16}),
		submit(Entry{ID: 2, Kind: RecvMultishot, Object: UnixA}, Entry{ID: 3, Kind: RecvProvided, Object: UnixB})),
		Group{Count: 2, Size: 16}),
	"a multishot receive lets others have buffers before it finds a reset": withGroups(steps(
		outside(Act{Verb: PeerWrites, Object: TCPA, N: 5}, Act{Verb: PeerWrites, Object: UnixB, N: 16}), outside(Act{Verb: PeerResets, Object: TCPA}),
		submit(Entry{ID: 2, Kind: RecvMultishot, Object: TCPA}, Entry{ID: 3, Kind: RecvProvided, Object: UnixB})),
		Group{Count: 2, Size: 16}),
	"a multishot poll that is about to report is not removed": steps(
		submit(Entry{ID: 1, Kind: PollMultishot, Object: LoopLeft, Flags: ring.PollIn}),
		submit(Entry{ID: 2, Kind: Send, Object: LoopRight, Size: 8}, Entry{ID: 3, Kind: PollRemove, Target: 1}),
		submit(Entry{ID: 4, Kind: PollRemove, Target: 1})),
	"a hang-up from before a connect is no reason to look for a buffer": withGroups(steps(
		submit(Entry{ID: 1, Kind: PollMultishot, Object: DialA, Flags: ring.PollIn}),
		Step{Entries: []Entry{{ID: 2, Kind: Connect, Object: DialA}}, Acts: []Act{{Verb: PeerWrites, Object: DialA, N: 20}}},
		submit(Entry{ID: 3, Kind: RecvMultishot, Object: DialA})),
		Group{Count: 1, Size: 64}),
	"a connect that fails leaves the end of the stream where it was": withGroups(steps(
		Step{Entries: []Entry{{ID: 1, Kind: Connect, Object: DialA}}, Acts: []Act{{Verb: PeerWrites, Object: DialA, N: 5}}},
		outside(Act{Verb: PeerShuts, Object: DialA, N: 1}),
		submit(Entry{ID: 2, Kind: Connect, Object: DialA}),
		submit(Entry{ID: 3, Kind: RecvMultishot, Object: DialA})),
		Group{Count: 4, Size: 16}),
	"a connect that fails leaves a shutdown where it was": withGroups(steps(
		Step{Entries: []Entry{{ID: 1, Kind: Connect, Object: DialA}}, Acts: []Act{{Verb: PeerWrites, Object: DialA, N: 16}}},
		submit(Entry{ID: 2, Kind: Shutdown, Object: DialA}),
		submit(Entry{ID: 3, Kind: Connect, Object: DialA}),
		submit(Entry{ID: 4, Kind: RecvMultishot, Object: DialA})),
		Group{Count: 1, Size: 16}),
	"a multishot receive that does not wait ends when nothing is left": withGroups(steps(
		Step{Entries: []Entry{{ID: 1, Kind: Recv, Object: UnixA, Size: 8, Flags: ring.MsgPeek}},
			Acts: []Act{{Verb: PeerWrites, Object: UnixA, N: 20}, {Verb: PeerCloses, Object: UnixA}}},
		submit(Entry{ID: 2, Kind: RecvMultishot, Object: UnixA, Flags: ring.MsgDontWait})),
		Group{Count: 8, Size: 64}),
	"what is linked starts when the batch is done": steps(
		submit(Entry{ID: 1, Kind: Recv, Object: UnixA, Size: 8}),
		submit(Entry{ID: 2, Kind: Nop, Link: ring.SQEHardLink}, Entry{ID: 3, Kind: CancelAny}, Entry{ID: 4, Kind: Cancel, Target: 1})),
	"a poll removed is not found again": steps(
		submit(Entry{ID: 1, Kind: Poll, Object: UnixA, Flags: ring.PollIn}, Entry{ID: 2, Kind: PollMultishot, Object: UnixB, Flags: ring.PollIn}),
		submit(Entry{ID: 3, Kind: PollRemove, Target: 1}, Entry{ID: 4, Kind: Cancel, Target: 1},
			Entry{ID: 5, Kind: PollRemove, Target: 2}, Entry{ID: 6, Kind: CancelAny})),
	"a closed descriptor's entries go on": steps(
		submit(Entry{ID: 1, Kind: Recv, Object: UnixA, Size: 8}, Entry{ID: 2, Kind: Close, Object: UnixA}),
		outside(Act{Verb: PeerWrites, Object: UnixA, N: 5})),
	"small sends keep their order": steps(
		submit(Entry{ID: 1, Kind: Send, Object: UnixA, Size: 8}, Entry{ID: 2, Kind: Send, Object: UnixA, Size: 16},
			Entry{ID: 3, Kind: Send, Object: TCPA, Size: 8}, Entry{ID: 4, Kind: Send, Object: TCPA, Size: 16}),
		outside(Act{Verb: PeerReads, Object: UnixA, N: 100}, Act{Verb: PeerReads, Object: TCPA, N: 100})),
	"an incremental group is used up piece by piece": withGroups(steps(
		submit(Entry{ID: 1, Kind: RecvMultishot, Object: UnixA}),
		outside(Act{Verb: PeerWrites, Object: UnixA, N: 20}), outside(Act{Verb: PeerWrites, Object: UnixA, N: 100}),
		outside(Act{Verb: PeerWrites, Object: UnixA, N: 20}), outside(Act{Verb: Refill, N: 2}),
		submit(Entry{ID: 2, Kind: RecvMultishot, Object: UnixA})),
		Group{Count: 2, Size: 64, Incremental: true}),
	"a large send goes through while the peer reads": steps(
		Step{Entries: []Entry{{ID: 1, Kind: Send, Object: TCPA, Size: 300000, Flags: ring.MsgWaitAll}}, Acts: []Act{{Verb: PeerDrains, Object: TCPA}}}),
	"a link timeout ends what it limits": steps(
		submit(Entry{ID: 1, Kind: Recv, Object: UnixA, Size: 8, Link: ring.SQELink}, Entry{ID: 2, Kind: LinkTimeout, Short: true, Link: ring.SQELink},
			Entry{ID: 3, Kind: Nop})),
}

func TestRegressions(t *testing.T) {
	requireKernelOf(t, socketsMajor, socketsMinor)
	for name, p := range regressions {
		t.Run(name, func(t *testing.T) {
			v := judge(t, p, openFallback)
			require.False(t, v.wavering, "the kernel disagrees with itself:\n%v", p)
			if v.difference != nil && !v.passing {
				t.Errorf("%v\n%v%s", v.difference, p, SideBySide(v.kernel, v.other))
			}
		})
	}
}
