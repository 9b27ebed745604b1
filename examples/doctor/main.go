// Doctor prints what this kernel offers to completion-based I/O, operation by
// operation, which backend the library chooses and why, and what a person
// could change.
//
//	go run ./examples/doctor            # for people
//	go run ./examples/doctor -json      # for programs
//	go run ./examples/doctor -operations > docs/operations.md
//
// It changes nothing, and exits with 0 whatever it finds.
package main

//go:generate sh -c "go run . -operations > ../../docs/operations.md"

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	print, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "doctor:", err)
		os.Exit(2)
	}
	if err := print(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "doctor:", err)
		os.Exit(1)
	}
}

// parse parses the flags: what to print.
func parse(args []string) (func(io.Writer) error, error) {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print the findings as JSON")
	asTable := flags.Bool("operations", false, "print the table of operations, in Markdown: what io_uring and the fallback do, on any kernel")
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
		}
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: everything is a flag, see -help", flags.Arg(0))
	case *asJSON && *asTable:
		return nil, errors.New("-json and -operations: want one of them")
	case *asTable:
		return printOperations, nil
	case *asJSON:
		return printJSON, nil
	}
	return func(w io.Writer) error { return examine().print(w) }, nil
}

func printJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(examine())
}
