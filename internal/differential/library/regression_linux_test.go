package library

// regressions are the smallest programs that have failed.
var regressions = map[string]*Program{
	"a send after Close says that it is closed, whatever failed before": {Medium: Unix, Steps: []Step{
		{ID: 1, Verb: CloseRead, On: 1},
		{ID: 2, Verb: Write, N: 1},
		{ID: 3, Verb: Close},
		{ID: 4, Verb: Write, N: 1},
	}},
	"a send after Close of a connection that was reset": {Medium: TCP, Steps: []Step{
		{ID: 1, Verb: Abort, On: 1},
		{ID: 2, Verb: Write, N: 1},
		{ID: 3, Verb: Close},
		{ID: 4, Verb: Write, Way: 1, N: 3},
	}},
	"a chain that receives a part, and then a reset": {Medium: TCP, Steps: []Step{
		{ID: 1, Verb: Read, Way: 2, N: 8000},
		{ID: 2, Verb: Write, On: 1, N: 1000},
		{ID: 3, Verb: Abort, On: 1},
	}},
	"calls whose context has ended lose nothing and send nothing twice": {Medium: Unix, Steps: []Step{
		{ID: 1, Verb: Write, N: 100, Ended: true},
		{ID: 2, Verb: Read, On: 1, N: 40, Ended: true},
		{ID: 3, Verb: Write, Way: 6, N: 100, Ended: true},
		{ID: 4, Verb: Read, On: 1, Way: 3, N: 160, Ended: true},
		{ID: 5, Verb: Read, On: 1, N: 1, Ended: true},
	}},
	"a shutdown behind a send that a deadline ends in the middle": {Medium: TCP, Steps: []Step{
		{ID: 1, Verb: Write, Way: 3, N: large},
		{ID: 2, Verb: CloseWrite},
		{ID: 3, Verb: EndWrites},
	}},
	"a dial whose context or time has ended says to which address it was": {Medium: Listeners, Steps: []Step{
		{ID: 1, Verb: Dial, Flags: expiredTimeout},
		{ID: 2, Verb: Dial, Way: 1, Flags: expiredContext},
		{ID: 3, Verb: Dial, Ended: true},
		{ID: 4, Verb: Dial, Name: 19, Ended: true},
	}},
	"a dial to no address names none, nor the local one": {Medium: Listeners, Steps: []Step{
		{ID: 1, Verb: Dial, Name: 25, Flags: localNowhere},
		{ID: 2, Verb: Dial, Flags: localOfAnother},
	}},
	"an Accept after Shutdown": {Medium: Listeners, Steps: []Step{
		{ID: 1, Verb: Listen},
		{ID: 2, Verb: Accept},
		{ID: 3, Verb: Shutdown},
		{ID: 4, Verb: Accept},
	}},
	"an Accept of a net.Listener past its deadline": {Medium: Listeners, NetConn: true, Steps: []Step{
		{ID: 1, Verb: Listen, On: 1, Name: 1},
		{ID: 2, Verb: EndReads, On: 1},
		{ID: 3, Verb: Accept, On: 1},
	}},
	"of two receives that wait the first is canceled": {Medium: Unixgram, Steps: []Step{
		{ID: 1, Verb: Read, On: 1},
		{ID: 2, Verb: Read, On: 1},
		{ID: 3, Verb: Cancel, Target: 1},
		{ID: 4, Verb: Write, N: 10},
	}},
}
