package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// Report is what a soak found.
type Report struct {
	Seed        uint64
	Duration    time.Duration // it ran
	Clients     int           // of each place
	Interrupted bool
	Places      []string
	Replaced    map[string]int64 // how often the runtime of a place was
	Episodes    map[string]*Tally
	Samples     []Sample
	Verdicts    []Verdict // none if there are too few samples
	Failures    []string
}

func (s *soak) report(samples []Sample, replaced map[string]int64, interrupted bool) *Report {
	r := &Report{
		Seed: s.Seed, Duration: time.Since(s.began), Clients: s.Clients, Interrupted: interrupted,
		Replaced: replaced, Episodes: s.tally, Samples: samples, Failures: s.failures,
	}
	for _, at := range s.Places {
		r.Places = append(r.Places, at.String())
	}
	if len(samples) >= leastSamples {
		for _, rule := range rules {
			r.Verdicts = append(r.Verdicts, rule.judge(samples))
		}
	}
	return r
}

// Passed says that nothing went wrong and nothing grew.
func (r *Report) Passed() bool {
	return len(r.Failures) == 0 && !slices.ContainsFunc(r.Verdicts, func(v Verdict) bool { return !v.Holds })
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	total := int64(0)
	fmt.Fprintln(t, "what clients did\ttimes\tended by the replacement of a runtime")
	for _, name := range slices.Sorted(maps.Keys(r.Episodes)) {
		tally := r.Episodes[name]
		total += tally.Episodes
		fmt.Fprintf(t, "%s\t%d\t%d\n", name, tally.Episodes, tally.Excused)
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "runtime\treplaced")
	for _, at := range r.Places {
		fmt.Fprintf(t, "%s\t%d times\n", at, r.Replaced[at])
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "when all clients paused\tearly\tlate\tmay be\t")
	for _, v := range r.Verdicts {
		verdict := "holds"
		if !v.Holds {
			verdict = "GROWS"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", v.What, v.text(v.Before), v.text(v.After), v.text(v.Limit), verdict)
	}
	if len(r.Verdicts) == 0 {
		fmt.Fprintf(t, "%d samples are too few for a verdict, it takes %d\n", len(r.Samples), leastSamples)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range r.Failures {
		fmt.Fprintln(w, "FAILURE:", f)
	}
	ended := ""
	if r.Interrupted {
		ended = ", interrupted"
	}
	_, err := fmt.Fprintf(w, "%d episodes of %d clients in %v, seed %d, %d failures%s\n",
		total, r.Clients*len(r.Places), r.Duration.Round(time.Second), r.Seed, len(r.Failures), ended)
	return err
}

func (v Verdict) text(n int64) string {
	if v.Bytes {
		return mebibytes(n)
	}
	return fmt.Sprint(n)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
