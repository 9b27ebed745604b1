package main

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/redcon"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

var update = flag.Bool("update", false, "write the replies of redis-server into testdata/commands.txt")

const commandsFile = "testdata/commands.txt"

// exchange is a line of the file and the reply below it.
type exchange struct {
	comments  []string
	line      string
	unordered bool
	want      string
}

func exchanges(t *testing.T) (all []exchange) {
	var comments []string
	for line := range strings.Lines(readFile(t, commandsFile)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
			comments = append(comments, line)
		case strings.HasPrefix(line, "\t"):
			want, err := strconv.Unquote(strings.TrimSpace(line))
			require.NoError(t, err, line)
			all[len(all)-1].want = want
		default:
			command, unordered := strings.CutPrefix(line, "~")
			all = append(all, exchange{comments: comments, line: command, unordered: unordered})
			comments = nil
		}
	}
	return all
}

// args splits the line as Redis does.
func (e exchange) args(t *testing.T) []string {
	_, parts, _, _, err := redcon.ReadNextCommand([]byte(e.line+" \n"), nil)
	require.NoError(t, err)
	var args []string
	for _, p := range parts {
		args = append(args, string(p))
	}
	return args
}

// plain is a reply that can be compared.
func (e exchange) plain(reply string) string {
	if !e.unordered {
		return reply
	}
	return strings.Join(slices.Sorted(slices.Values(strings.Split(reply, "\r\n"))), " ")
}

// compare sends the command and compares the reply.
func (e exchange) compare(t *testing.T, c *peer) {
	if got := c.do(t, e.args(t)...); e.plain(got) != e.plain(e.want) {
		t.Errorf("%s: got %q, want %q", e.line, got, e.want)
	}
}

// TestCommands compares the replies of all commands with those that Redis gives.
func TestCommands(t *testing.T) {
	if *update {
		writeReplies(t)
	}
	all := exchanges(t)
	for _, backend := range exampletest.Backends(t) {
		for _, loops := range []string{"1", "2"} {
			for _, journal := range []bool{false, true} {
				name := backend + "/" + loops + " loops"
				args := []string{"-addr", "127.0.0.1:0", "-backend", backend, "-loops", loops}
				if journal {
					name += "/aof"
					args = append(args, "-aof", t.TempDir()+"/journal")
				}
				t.Run(name, func(t *testing.T) {
					s := exampletest.Start(t, args...)
					c := dial(t, "tcp", s.Addr)
					for _, e := range all {
						e.compare(t, c)
					}
					s.Stop(t, syscall.SIGTERM)
				})
			}
		}
	}
}

// TestCommandsOfRedis compares the replies in the file with the real server's.
func TestCommandsOfRedis(t *testing.T) {
	c := dial(t, "unix", startRedis(t))
	for _, e := range exchanges(t) {
		e.compare(t, c)
	}
}

func writeReplies(t *testing.T) {
	c := dial(t, "unix", startRedis(t))
	var b strings.Builder
	for _, e := range exchanges(t) {
		for _, line := range e.comments {
			b.WriteString(line + "\n")
		}
		if e.unordered {
			b.WriteString("~")
		}
		b.WriteString(e.line + "\n\t" + strconv.Quote(c.do(t, e.args(t)...)) + "\n")
	}
	require.NoError(t, os.WriteFile(commandsFile, []byte(b.String()), 0o666))
}
