package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// verdict is what one run of a suite over the library says of the library.
type verdict struct {
	suite suite
	over  setting

	passed   int
	skipped  int                   // by the suite itself
	onNet    []testName            // failed over package net as well
	known    map[string][]testName // by reason
	steady   []testName            // failed here, and again when run alone
	unsteady []testName            // failed here, but not when run alone

	failure error               // why nothing ran
	why     map[testName][]byte // output of what failed
}

// failures are the failed tests, without those that failed for a subtest.
func (r *report) failures() (names []testName) {
	explained := map[testName]bool{}
	for n, o := range r.outcomes {
		if o != failed && o != running {
			continue
		}
		for i, b := range n.test {
			if b == '/' {
				explained[testName{n.pkg, n.test[:i]}] = true
			}
		}
	}
	for n, o := range r.outcomes {
		if (o == failed || o == running) && !explained[n] {
			names = append(names, n)
		}
	}
	for pkg := range r.broken {
		names = append(names, testName{pkg, "(package)"})
	}
	return sorted(names)
}

// fails reports whether n failed, or was not come to because a test that it is a part of
// failed. One that passed did so whatever other parts did.
func (r *report) fails(n testName) bool {
	if _, ok := r.broken[n.pkg]; ok {
		return true
	}
	for {
		if o, ok := r.outcomes[n]; ok {
			return o == failed || o == running
		}
		i := strings.LastIndexByte(n.test, '/')
		if i < 0 {
			return false
		}
		n.test = n.test[:i]
	}
}

// judge sorts the failures of a run.
func judge(s suite, over setting, r *report, baselines ...*report) *verdict {
	v := &verdict{suite: s, over: over, known: map[string][]testName{}, why: map[testName][]byte{}}
	for _, o := range r.leaves() {
		switch o {
		case passed:
			v.passed++
		case skipped:
			v.skipped++
		}
	}
	for _, n := range r.failures() {
		v.why[n] = append(r.output[n], r.broken[n.pkg]...)
		reason := s.knownFailure(over, n.test)
		switch {
		case slices.ContainsFunc(baselines, func(b *report) bool { return b != nil && b.fails(n) }):
			v.onNet = append(v.onNet, n)
		case reason != "":
			v.known[reason] = append(v.known[reason], n)
		default:
			v.steady = append(v.steady, n)
		}
	}
	return v
}

func (k known) concerns(over setting) bool {
	return over.mode != "" && (len(k.modes) == 0 || slices.Contains(k.modes, over.mode))
}

// knownFailure is why a test must fail, "" if it must not.
func (s suite) knownFailure(over setting, test string) string {
	for _, k := range s.known {
		if k.concerns(over) && regexp.MustCompile(`^(?:`+k.test+`)(?:/.*)?$`).MatchString(test) {
			return k.reason
		}
	}
	return ""
}

// notRun are the tests that are not run over a setting.
func (s suite) notRun(over setting) (tests []string) {
	for _, k := range s.known {
		if k.skip && k.concerns(over) {
			tests = append(tests, anchored(k.test))
		}
	}
	return tests
}

// anchored makes a regular expression for -skip, which matches level by level.
func anchored(test string) string {
	levels := strings.Split(test, "/")
	for i, l := range levels {
		levels[i] = "^(?:" + l + ")$"
	}
	return strings.Join(levels, "/")
}

// ok reports whether nothing speaks against the library.
func (v *verdict) ok() bool { return v.failure == nil && len(v.steady) == 0 }

func (v *verdict) knownCount() (n int) {
	for _, tests := range v.known {
		n += len(tests)
	}
	return n
}

func (v *verdict) String() string {
	if v.failure != nil {
		return fmt.Sprintf("%s over %v: %v", v.suite.name, v.over, v.failure)
	}
	return fmt.Sprintf("%s over %v: %d passed, %d failed, %d failed now and then, %d known, %d on package net too, %d skipped",
		v.suite.name, v.over, v.passed, len(v.steady), len(v.unsteady), v.knownCount(), len(v.onNet), v.skipped)
}
