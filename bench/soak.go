package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/goproactor/goproactor/bench/soak"
	"github.com/goproactor/goproactor/proactor"
)

// soakOptions is what the command line of 'bench soak' asks for.
type soakOptions struct {
	soak.Config
	output string
}

// errSoaked is the error when a soak has found something, which it has told already.
var errSoaked = errors.New("soak: something failed or grew, see above")

// runSoak is 'bench soak'.
func runSoak(ctx context.Context, args []string) error {
	o, err := parseSoak(args)
	if err != nil {
		return err
	}
	places := make([]string, len(o.Places))
	for i, at := range o.Places {
		places[i] = at.String()
	}
	fmt.Printf("soak for %v with seed %d, %d clients each: %s\n", o.Duration, o.Seed, o.Clients, strings.Join(places, "; "))
	p := newElapsed(o.Duration)
	o.Progress = p.tick
	o.Failed = func(text string) { fmt.Println("\nFAILURE:", text) }
	report, err := soak.Run(ctx, o.Config)
	p.finish()
	if err != nil {
		return err
	}
	if o.output != "" {
		text, err := json.MarshalIndent(report, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.output, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if err := report.Text(os.Stdout); err != nil {
		return err
	}
	if !report.Passed() {
		return errSoaked
	}
	return ctx.Err()
}

func parseSoak(args []string) (*soakOptions, error) {
	o := new(soakOptions)
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.DurationVar(&o.Duration, "for", 10*time.Minute, "how long")
	f.Uint64Var(&o.Seed, "seed", rand.Uint64()>>32, "what the mix of traffic depends on")
	f.IntVar(&o.Clients, "clients", 8, "clients of each runtime at a time")
	f.DurationVar(&o.Replace, "replace", 4*time.Second, "about how long a runtime lives until another takes its listeners over")
	backend := f.String("backend", "", "io_uring or epoll (default both)")
	f.StringVar(&o.output, "o", "", "file for the report, in JSON, beside standard output")
	if err := parseFlags(f, args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, usagef("unexpected argument %q: see 'bench soak -h'", f.Arg(0))
	case o.Duration < time.Second || o.Duration > 7*24*time.Hour:
		return nil, usagef("-for %v: want one second to a week", o.Duration)
	case o.Replace < 10*time.Millisecond || o.Replace > time.Hour:
		return nil, usagef("-replace %v: want 10ms to 1h", o.Replace)
	case o.Clients < 1 || o.Clients > 1000:
		return nil, usagef("-clients %d: want 1 to 1000", o.Clients)
	}
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		if *backend != "" && *backend != b.String() {
			continue
		}
		if rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1)); err == nil {
			rt.Close()
		} else if *backend == "" && (errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission)) {
			fmt.Fprintf(os.Stderr, "bench: soak without %v: %v\n", b, err)
			continue
		} else {
			return nil, err
		}
		o.Places = append(o.Places, soak.Place{Backend: b, Loops: 1}, soak.Place{Backend: b, Loops: 2})
	}
	if len(o.Places) == 0 {
		return nil, usagef("-backend %q: want io_uring or epoll", *backend)
	}
	return o, nil
}
