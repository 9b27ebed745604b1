package library

// rule allows more than one result of a step. Without one it has to be that of packages
// net and os.
type rule struct {
	errors []string // classes
	why    string
}

const (
	brokenPipe   = "broken pipe"
	reset        = "connection reset by peer"
	notConnected = "transport endpoint is not connected"
	refused      = "connection refused"
)

// The rules, all of them.
var (
	toTheGone = &rule{[]string{"", brokenPipe, reset},
		"the first write to a peer that has closed succeeds, and the reset that answers it comes at any time"}
	fromTheGone = &rule{[]string{"", eof, reset, brokenPipe},
		"a peer that closes with unread data resets the connection; the library has taken data out of the socket before it was asked for, so that there is no unread data and the stream ends. A reset is reported once, then comes the end"}
	partBeforeReset = &rule{[]string{eof, reset},
		"a chain that receives a part and then a reset ends as at the end of the stream, and a receive that is canceled may have taken the report of the reset, which comes once"}
	sendingToTheGone = &rule{[]string{"", brokenPipe, reset},
		"a write that waits for room, or has found some, learns of the end of the peer, or of its reset"}
	shutToTheGone = &rule{[]string{"", notConnected, brokenPipe, reset},
		"shutdown(2) fails when the connection was reset or has ended in both directions; whether it has is chance, and the library remembers a CloseWrite that succeeded"}
	lateToTheGone = &rule{[]string{expired, brokenPipe, reset},
		"a write has two reasons to fail, of which the reset may not have come yet"}
	twoReasons = &rule{[]string{expired, brokenPipe},
		"a write after CloseWrite whose deadline is over has two reasons to fail"}
	closeAgain = &rule{[]string{"", closed},
		"package net reports that it was closed before, the library does nothing"}
	endedInTheMiddle = &rule{[]string{"", canceled, expired, closed, brokenPipe, reset},
		"how much has gone out of a send that waits for room when a cancel, a deadline or an Abort ends it is chance, and the library ends the sending"}
	shutBehindTheEnded = &rule{append([]string{notConnected}, endedInTheMiddle.errors...),
		"a SendZeroCopy that a deadline ends in the middle resets the connection: shutdown(2) behind it may fail"}
	endOfTheWrecked = &rule{[]string{closed, eof, reset, brokenPipe},
		"a read that waited when a send was ended in the middle may have been told of a reset before the close"}
	toNobody = &rule{[]string{"", refused, notConnected, "no such file or directory", brokenPipe, reset},
		"a message to a socket that is closed is lost, or a refusal comes back at any time"}
)
