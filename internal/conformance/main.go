// Command conformance runs the test suites of other people's modules over this library.
//
// It copies each module from the module cache to a temporary folder, puts package
// proactornet in the place of package net where the suite listens and dials, and runs
// the suite's own tests on both backends. The suite as it was published, and with
// package net behind the same functions, is what that is compared with: a test that
// fails there too is not the library's.
//
// A row of the table is a suite: see suite.go, and fasthttp.go for an example.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("conformance", flag.ExitOnError)
	backend := flags.String("backend", "io_uring,epoll", "`names` of backends")
	only := flags.String("only", "", "`names` of suites; all if empty")
	modes := flags.String("mode", "", "`names` of modes: detached, shared, coroutine; all that the suite has if empty")
	quick := flags.Bool("quick", false, "run a bounded part of each suite")
	list := flags.Bool("list", false, "list the suites and end")
	keep := flags.Bool("keep", false, "keep the patched modules, and say where they are")
	output := flags.String("o", "", "`document` to write the table into, such as ../../docs/compatibility.md; what it says of suites that are not run stays")
	flags.Parse(args)

	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if *list {
		for _, s := range chosen {
			fmt.Printf("%-12s %s@%s\n", s.name, s.module, s.version)
		}
		return nil
	}
	backends, lacking := available(strings.Split(*backend, ","))
	if lacking != nil {
		return lacking
	}
	c := conformance{backends: backends, quick: *quick, keep: *keep, progress: os.Stderr}
	if *modes != "" {
		for m := range strings.SplitSeq(*modes, ",") {
			c.modes = append(c.modes, mode(m))
		}
	}
	results, failures := c.runAll(ctx, chosen)
	entries := map[string]entry{}
	for _, r := range results {
		entries[r.suite.name] = r.entry()
	}
	fmt.Print(table(entries))
	if *output != "" {
		if err := writeTable(*output, entries); err != nil {
			return err
		}
	}
	if len(failures) > 0 {
		return fmt.Errorf("conformance: failed: %s", strings.Join(failures, ", "))
	}
	return nil
}

// runAll runs suites, and names those that speak against the library.
func (c *conformance) runAll(ctx context.Context, chosen []suite) (results []*result, failures []string) {
	for _, s := range chosen {
		r, err := c.run(ctx, s)
		if err != nil {
			c.tell("%s: %v", s.name, err)
			failures = append(failures, s.name)
			continue
		}
		results = append(results, r)
		if slices.ContainsFunc(r.verdicts, func(v *verdict) bool { return !v.ok() }) {
			failures = append(failures, s.name)
		}
	}
	return results, failures
}

// choose finds suites by their names.
func choose(names string) (chosen []suite, err error) {
	if names == "" {
		return suites, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(suites, func(s suite) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("conformance: no suite %q: -list shows them", name)
		}
		chosen = append(chosen, suites[i])
	}
	return chosen, nil
}
