package main

// suite is a module with tests that others wrote, and what it takes to run them over
// the library: one row of the table, in a file of its own, listed in suites.go.
type suite struct {
	name    string // short, for -only and the table
	module  string
	version string

	// packages are the patterns of the packages whose tests run, "." if none.
	packages []string

	// args are further arguments of go test, such as -run, -skip and -race.
	args []string
	// quick are the arguments that a bounded run has in place of args.
	quick []string
	// timeout is that of go test, "3m" if empty. A test that exceeds it has failed,
	// and the others run again without it.
	timeout string

	// files are added to the module: their text by their path in it.
	files map[string]string
	// replace is done to the module's files, tests included.
	replace []replacement

	// modes are the ways in which the library is used, all if none.
	modes []mode

	// known are the tests that must fail, each with its reason.
	known []known

	// onlyPatched says that the suite has no tests to compare with as it was published.
	onlyPatched bool

	// needs, if not nil, tells what this machine lacks to run the suite, "" if nothing.
	needs func() string
}

// replacement changes text of a module's files. A text that does not occur is an
// error: the module has changed then, and its tests would run over package net.
type replacement struct {
	file string // a path in the module, or a pattern as of path.Match
	old  string
	new  string
	// import "MODULE/internal/proactornet" is added to each file that changes.
}

// mode is a way in which connections of the library are used.
type mode string

const (
	// detached: goroutines have the connections of package net that NetListener,
	// Runtime.DialContext and Detach give.
	detached mode = "detached"
	// shared: goroutines have connections that stay on their loop, as by
	// Conn.NetConn(context.Background()).
	shared mode = "shared"
	// coroutine: as shared, and what the suite hands to proactornet.Run and
	// proactornet.Go runs as a task on the connection's loop, with a Conn.NetConn
	// of that task.
	coroutine mode = "coroutine"
)

// known is a failure that is to be expected.
type known struct {
	// test is a regular expression for the whole of "TestName/subtest". What matches
	// one of its parents matches it too.
	test   string
	modes  []mode // all if none
	reason string
	// skip says that it is not run: it would hold up a loop for good, say, and all
	// tests behind it.
	skip bool
}

func (s suite) testArgs(quick bool) []string {
	args := s.args
	if quick && s.quick != nil {
		args = s.quick
	}
	return args
}
