package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
)

// outcome is how a test ended.
type outcome string

const (
	passed  outcome = "pass"
	failed  outcome = "fail"
	skipped outcome = "skip"
	running outcome = "run" // it never ended
)

// testName is a test of a package, "TestName/subtest".
type testName struct {
	pkg, test string
}

func (n testName) String() string { return n.pkg + "." + n.test }

// top is the test that n is a subtest of, or n.
func (n testName) top() testName {
	name, _, _ := strings.Cut(n.test, "/")
	return testName{n.pkg, name}
}

// report is what a run of go test has told.
type report struct {
	outcomes map[testName]outcome
	output   map[testName][]byte // of those that did not pass
	broken   map[string][]byte   // packages that did not build or ended by themselves, with what they said
}

// event is a line of go test -json, see go doc test2json.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	FailedBuild string
}

// read adds what go test -json writes.
func (r *report) read(from io.Reader) error {
	said := map[string]*bytes.Buffer{} // by package, outside of tests, and by build
	builds := map[string]string{}      // of packages
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				e = event{Action: "output", Output: string(line)}
			}
			r.add(e, said, builds)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	for pkg, build := range builds {
		if b := said[build]; b != nil {
			r.broken[pkg] = append(r.broken[pkg], b.Bytes()...)
		}
	}
	return nil
}

func (r *report) add(e event, said map[string]*bytes.Buffer, builds map[string]string) {
	n := testName{e.Package, e.Test}
	switch {
	case e.Action == "output" || e.Action == "build-output":
		if e.Test != "" {
			r.output[n] = append(r.output[n], e.Output...)
			return
		}
		of := e.Package + e.ImportPath
		if said[of] == nil {
			said[of] = new(bytes.Buffer)
		}
		said[of].WriteString(e.Output)
	case e.Test == "" && e.Action == "fail":
		if e.FailedBuild != "" {
			builds[e.Package] = e.FailedBuild
		}
		if e.FailedBuild != "" || !r.hasFailureIn(e.Package) {
			r.broken[e.Package] = append([]byte{}, said[e.Package].Bytes()...)
		}
	case e.Test == "":
	case e.Action == "run":
		if r.outcomes[n] == "" {
			r.outcomes[n] = running
		}
	case e.Action == "pass" || e.Action == "skip":
		if r.outcomes[n] != failed { // of several with -count
			r.outcomes[n] = outcome(e.Action)
		}
	case e.Action == "fail":
		r.outcomes[n] = failed
	}
}

// hasFailureIn reports whether a test explains why the package failed.
func (r *report) hasFailureIn(pkg string) bool {
	for n, o := range r.outcomes {
		if n.pkg == pkg && (o == failed || o == running) {
			return true
		}
	}
	return false
}

// complaints are what packages said that did not build or ended by themselves.
func (r *report) complaints() []byte {
	return bytes.Join(slices.Collect(maps.Values(r.broken)), []byte("\n"))
}

// hung are the tests that were running when their package ended: it exceeded its
// timeout, or the process ended.
func (r *report) hung() (names []testName) {
	for n, o := range r.outcomes {
		if o == running || o == failed && bytes.Contains(r.output[n], []byte("panic: test timed out")) {
			names = append(names, n.top())
		}
	}
	return sorted(names)
}

// sorted sorts names and leaves each in once.
func sorted(names []testName) []testName {
	slices.SortFunc(names, func(a, b testName) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(names)
}

// leaves are the tests without subtests: those that are counted.
func (r *report) leaves() map[testName]outcome {
	leaves := make(map[testName]outcome, len(r.outcomes))
	for n, o := range r.outcomes {
		leaves[n] = o
	}
	for n := range r.outcomes {
		for i, b := range n.test {
			if b == '/' {
				delete(leaves, testName{n.pkg, n.test[:i]})
			}
		}
	}
	return leaves
}
