package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// conformance runs suites and gathers what they say.
type conformance struct {
	backends []string
	modes    []mode // those of the suite if none
	quick    bool
	keep     bool // the checkouts
	progress io.Writer
}

// result is all that is said of one suite.
type result struct {
	suite    suite
	skipped  string   // why it was not run
	baseline *verdict // as published, over package net
	verdicts []*verdict
}

// repeats is how often a test that failed is run alone: one that passes as often has
// failed by chance, for want of time mostly.
const repeats = 3

// run runs one suite over everything.
func (c *conformance) run(ctx context.Context, s suite) (*result, error) {
	if s.needs != nil {
		if lack := s.needs(); lack != "" {
			return &result{suite: s, skipped: lack}, nil
		}
	}
	from, err := s.download()
	if errors.Is(err, errNotServed) {
		return &result{suite: s, skipped: err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "conformance-"+s.name+"-")
	if err != nil {
		return nil, err
	}
	if c.keep {
		fmt.Fprintf(c.progress, "%s: %s\n", s.name, dir)
	} else {
		defer os.RemoveAll(dir)
	}
	published, err := s.copyTo(filepath.Join(dir, "published"), from)
	if err != nil {
		return nil, err
	}
	patched, err := s.copyTo(filepath.Join(dir, "patched"), from)
	if err != nil {
		return nil, err
	}
	if err := patched.patch(); err != nil {
		return nil, err
	}
	if s.start != nil {
		environment, stop, err := s.start(ctx, published.dir)
		if err != nil {
			return nil, err
		}
		defer stop()
		published.environment, patched.environment = environment, environment
	}
	return c.compare(ctx, s, published, patched)
}

// compare runs the suite as it was published, with package net in the place of the
// library, and over the library.
func (c *conformance) compare(ctx context.Context, s suite, published, patched *checkout) (*result, error) {
	res := &result{suite: s}
	var plain *report
	if !s.onlyPatched && !c.quick {
		var err error
		if plain, err = published.test(ctx, onNet, c.quick, nil); err != nil {
			return nil, err
		}
		c.tell("%s as published: %s", s.name, judge(s, onNet, plain))
	}
	exchanged, err := patched.test(ctx, onNet, c.quick, nil)
	if err != nil {
		return nil, err
	}
	for pkg, why := range exchanged.broken {
		return nil, fmt.Errorf("%s: %s fails under the patch:\n%s", s.name, pkg, tail(why, 40))
	}
	res.baseline = judge(s, onNet, exchanged)
	c.tell("%v", res.baseline)
	for _, backend := range c.backends {
		for _, m := range c.modesOf(s) {
			over, began := setting{backend, m}, time.Now()
			r, err := patched.test(ctx, over, c.quick, s.notRun(over))
			if err != nil {
				return nil, err
			}
			v := judge(s, over, r, plain, exchanged)
			if err := c.repeat(ctx, patched, v); err != nil {
				return nil, err
			}
			res.verdicts = append(res.verdicts, v)
			c.tell("%v, %v", v, time.Since(began).Round(time.Second))
			c.explain(v)
		}
	}
	return res, nil
}

// explain shows the output of what failed, of the first few.
func (c *conformance) explain(v *verdict) {
	const most = 20
	for i, n := range v.steady {
		if i == most {
			c.tell("  and %d more FAILED", len(v.steady)-most)
			break
		}
		c.tell("  FAILED %v\n%s", n, tail(v.why[n], 40))
	}
	for _, n := range v.unsteady {
		c.tell("  failed, but not when run alone: %v\n%s", n, tail(v.why[n], 40))
	}
}

// repeat runs alone what has failed, to tell what fails always.
func (c *conformance) repeat(ctx context.Context, patched *checkout, v *verdict) error {
	const most = 20 // more than that is no chance
	if len(v.steady) > most {
		return nil
	}
	var steady []testName
	for _, n := range v.steady {
		again := n.test != "(package)"
		for range repeats {
			if !again {
				break
			}
			r, err := patched.goTest(ctx, v.over, append(patched.suite.testArgs(v.over, false), "-run="+anchored(regexp.QuoteMeta(n.test))), []string{n.pkg})
			if err != nil {
				return err
			}
			again = len(r.failures()) == 0
		}
		if again {
			v.unsteady = append(v.unsteady, n)
		} else {
			steady = append(steady, n)
		}
	}
	v.steady = steady
	return nil
}

func (c *conformance) modesOf(s suite) []mode {
	all := s.modes
	if all == nil {
		all = []mode{detached, shared, coroutine}
	}
	if c.modes == nil {
		return all
	}
	var chosen []mode
	for _, m := range all {
		for _, wanted := range c.modes {
			if m == wanted {
				chosen = append(chosen, m)
			}
		}
	}
	return chosen
}

func (c *conformance) tell(format string, args ...any) {
	fmt.Fprintf(c.progress, strings.TrimSuffix(format, "\n")+"\n", args...)
}

// tail is the last n lines.
func tail(text []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// available are the backends that this machine has, of those wanted.
func available(wanted []string) (have []string, lacking error) {
	for _, name := range wanted {
		b, err := proactor.ParseBackend(name)
		if err != nil {
			return nil, err
		}
		rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
		if err != nil {
			lacking = errors.Join(lacking, err)
			continue
		}
		rt.Close()
		have = append(have, name)
	}
	return have, lacking
}
