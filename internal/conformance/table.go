package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// entry is what the table says of one suite: its rows, and below the table what the
// numbers in them stand for.
type entry struct{ rows, notes string }

const tableHead = "| Suite | Version | Over | Passed | Failed | Known | On package net too | Skipped |\n" +
	"|---|---|---|---:|---:|---:|---:|---:|\n"

// table is entries in Markdown, in the order of the suites.
func table(entries map[string]entry) string {
	var rows, notes strings.Builder
	for _, s := range suites {
		rows.WriteString(entries[s.name].rows)
		notes.WriteString(entries[s.name].notes)
	}
	return tableHead + rows.String() + notes.String()
}

func (r *result) entry() entry { return entry{r.rows(), r.notes()} }

func (r *result) rows() string {
	if r.skipped != "" {
		return fmt.Sprintf("| %s | %s | not run: %s | | | | | |\n", r.suite.module, r.suite.version, firstLine(r.skipped))
	}
	base := r.baseline
	rows := fmt.Sprintf("| %s | %s | package net | %d | %d | | | %d |\n",
		r.suite.module, r.suite.version, base.passed, len(base.steady), base.skipped)
	for _, v := range r.verdicts {
		rows += fmt.Sprintf("| | | %v | %d | %d | %d | %d | %d |\n",
			v.over, v.passed, len(v.steady)+len(v.unsteady), v.knownCount(), len(v.onNet), v.skipped)
	}
	return rows
}

// entriesOf reads a table: what it says by the names of the suites.
func entriesOf(text string) map[string]entry {
	entries := map[string]entry{}
	name := ""
	for line := range strings.Lines(text) {
		begins := func(s suite) bool {
			return line == s.name+":\n" || strings.HasPrefix(line, "| "+s.module+" | ")
		}
		if i := slices.IndexFunc(suites, begins); i >= 0 {
			name = suites[i].name
		}
		e := entries[name]
		if strings.HasPrefix(line, "|") {
			e.rows += line
		} else if e.notes != "" || line != "\n" {
			e.notes += line
		}
		entries[name] = e
	}
	delete(entries, "") // the head
	for name, e := range entries {
		if e.notes != "" {
			e.notes = "\n" + strings.TrimRight(e.notes, "\n") + "\n"
		}
		entries[name] = e
	}
	return entries
}

// notes name the tests of a suite that did not pass.
func (r *result) notes() string {
	if r.skipped != "" {
		return ""
	}
	var b strings.Builder
	note := func(what string, tests []testName) {
		if len(tests) > 0 {
			fmt.Fprintf(&b, "- %s: %s\n", what, listed(tests))
		}
	}
	note("Fails over package net on this machine", r.baseline.steady)
	type reasoned struct{ over, reason string }
	byReason := map[reasoned][]testName{}
	for _, v := range r.verdicts {
		note("**Fails over "+v.over.String()+"**", v.steady)
		note("Fails now and then over "+v.over.String()+", and passes alone", v.unsteady)
		for reason, tests := range v.known {
			k := reasoned{string(v.over.mode), reason}
			byReason[k] = sorted(append(byReason[k], tests...))
		}
	}
	keys := slices.SortedFunc(maps.Keys(byReason), func(a, b reasoned) int {
		return strings.Compare(a.over+a.reason, b.over+b.reason)
	})
	for _, k := range keys {
		note("Known, "+k.over+": "+k.reason, byReason[k])
	}
	for _, k := range r.suite.known {
		if k.skip {
			fmt.Fprintf(&b, "- Not run%s: %s: `%s`\n", inModes(k.modes), k.reason, k.test)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("\n%s:\n\n%s", r.suite.name, b.String())
}

func inModes(modes []mode) string {
	var names []string
	for _, m := range modes {
		names = append(names, string(m))
	}
	if len(names) == 0 {
		return ""
	}
	return ", " + strings.Join(names, " and ")
}

// listed are the names of tests, some of them if they are many.
func listed(tests []testName) string {
	const most = 12
	var names []string
	for _, n := range tests {
		names = append(names, "`"+n.test+"`")
	}
	names = slices.Compact(names)
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// What is between these in a document is the table.
const (
	tableBegins = "<!-- table: written by go -C internal/conformance run . -o FILE -->\n"
	tableEnds   = "<!-- end of table -->\n"
)

// writeTable puts entries into the table of a document. What it says of other suites
// stays.
func writeTable(file string, entries map[string]entry) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(document, []byte(tableBegins))
	old, after, ended := bytes.Cut(rest, []byte(tableEnds))
	if !ok || !ended {
		return fmt.Errorf("%s: no place for the table: want %q and %q", file, tableBegins, tableEnds)
	}
	all := entriesOf(string(old))
	maps.Copy(all, entries)
	return os.WriteFile(file, slices.Concat(before, []byte(tableBegins), []byte(table(all)), []byte(tableEnds), after), 0o644)
}
