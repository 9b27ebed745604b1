package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/goproactor/goproactor/epollfallback"
)

const preamble = `# Operations

Printed by ` + "`go run ./examples/doctor -operations`" + `, from the tables in ` + "`ring` and `epollfallback`" + `; a test compares.
On a kernel whose io_uring lacks one of them, or refuses altogether, the fallback performs them all. What this machine
has: ` + "`go run ./examples/doctor`" + `.

| operation | io_uring opcode | first kernel | what the fallback does |
|---|---|---|---|
`

// printOperations prints the page docs/operations.md. It is the same on every
// Linux.
func printOperations(out io.Writer) error {
	list := epollfallback.Descriptions()
	if len(list) == 0 {
		return fmt.Errorf("the table of operations is printed on Linux: %w", errors.ErrUnsupported)
	}
	w := bufio.NewWriter(out)
	w.WriteString(preamble)
	for _, d := range list {
		fmt.Fprintf(w, "| %s | `%v` | %s | %s |\n", d.Operation, d.Op, d.FirstKernel(), d.Emulation)
	}
	return w.Flush()
}
