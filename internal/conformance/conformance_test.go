package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// begins is for how long TestSuites begins with further suites. On a machine with
// nothing else to do all of them take less.
const begins = 3 * time.Minute

// TestSuites runs a bounded part of each suite, on each backend that this machine has, in
// the modes that programs are meant to use.
func TestSuites(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other people's tests: takes minutes")
	}
	began := time.Now()
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok {
		limited, cancel := context.WithDeadline(ctx, deadline.Add(-30*time.Second))
		defer cancel()
		ctx = limited
	}
	backends, lacking := available([]string{"io_uring", "epoll"})
	if lacking != nil {
		t.Logf("not run over one backend: %v", lacking)
	}
	c := conformance{backends: backends, modes: []mode{detached, coroutine}, quick: true, progress: testLog{t}}
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			if time.Since(began) > begins {
				t.Skip("this machine is too busy to run all suites: go run . -only " + s.name)
			}
			r, err := c.run(ctx, s)
			if errors.Is(err, context.DeadlineExceeded) {
				t.Fatal("it is not over at the test's deadline: it hangs, or this machine is slow, which a larger -timeout helps: go run . -only " + s.name)
			}
			require.NoError(t, err)
			if r.skipped != "" {
				t.Skip(r.skipped)
			}
			for _, v := range r.verdicts {
				require.Truef(t, v.ok(), "%v: %s", v, listed(v.steady))
				require.NotZerof(t, v.passed, "%v: no test ran", v)
			}
		})
	}
}

type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

func testCheckout(t *testing.T, file, text string) *checkout {
	c := &checkout{suite: suite{module: "example.com/m", version: "v1.0.0"}, dir: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, file), []byte(text), 0o644))
	return c
}

func TestReplace(t *testing.T) {
	c := testCheckout(t, "a_test.go", "package m\n\nimport (\n\t\"net\"\n)\n\nvar ln, _ = net.Listen(\"tcp\", \"\")\n")
	require.NoError(t, c.replace(replacement{file: "*_test.go", old: "net.Listen(", new: "proactornet.Listen("}))
	text, err := os.ReadFile(filepath.Join(c.dir, "a_test.go"))
	require.NoError(t, err)
	require.Equal(t, `package m
import proactornet "example.com/m/internal/proactornet"


import (
	"net"
)

var ln, _ = proactornet.Listen("tcp", "")

var _ net.Addr
`, string(text))
}

// TestReplaceWhatIsNotThere: a suite that has changed must not pass over package net.
func TestReplaceWhatIsNotThere(t *testing.T) {
	c := testCheckout(t, "a_test.go", "package m\n")
	for _, r := range []replacement{
		{file: "*_test.go", old: "net.Listen(", new: "proactornet.Listen("},
		{file: "b_test.go", old: "package m", new: "package n"},
	} {
		require.ErrorContains(t, c.replace(r), "no file "+r.file)
	}
}

func TestRead(t *testing.T) {
	r := newReport()
	require.NoError(t, r.read(strings.NewReader(`
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA/one","Output":"why\n"}
{"Action":"fail","Package":"p","Test":"TestA/one"}
{"Action":"run","Package":"p","Test":"TestA/three"}
{"Action":"pass","Package":"p","Test":"TestA/three"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestC"}
{"Action":"run","Package":"p","Test":"TestD"}
{"Action":"pause","Package":"p","Test":"TestD"}
{"Action":"output","Package":"p","Test":"TestC","Output":"panic: test timed out after 1s\n"}
{"Action":"fail","Package":"p"}
{"ImportPath":"q","Action":"build-output","Output":"undefined: x\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"fail","Package":"q","FailedBuild":"q"}
`)))
	require.Equal(t, []testName{{"p", "TestA/one"}, {"p", "TestC"}, {"p", "TestD"}, {"q", "(package)"}}, r.failures())
	require.Equal(t, []testName{{"p", "TestA"}, {"p", "TestC"}}, r.suspects())
	require.Contains(t, string(r.broken["q"]), "undefined: x")
	require.Len(t, r.leaves(), 5)
	require.Equal(t, "why\n", string(r.output[testName{"p", "TestA/one"}]))
	require.True(t, r.fails(testName{"p", "TestA/one/two"}))
	require.False(t, r.fails(testName{"p", "TestA/three"}))
	require.False(t, r.fails(testName{"p", "TestB"}))
	require.True(t, r.fails(testName{"q", "TestD"}))
}

// TestJudge: what fails over package net too is not the library's, nor is what is known.
func TestJudge(t *testing.T) {
	s := suite{known: []known{{test: "TestKnown", modes: []mode{coroutine}, reason: "waits on a channel"}}}
	r, base := newReport(), newReport()
	r.outcomes = map[testName]outcome{{"p", "TestKnown/a"}: failed, {"p", "TestNet"}: failed, {"p", "TestOurs"}: failed, {"p", "TestOK"}: passed}
	base.outcomes = map[testName]outcome{{"p", "TestNet"}: failed}
	v := judge(s, setting{"epoll", coroutine}, r, nil, base)
	require.Equal(t, 1, v.passed)
	require.Equal(t, []testName{{"p", "TestNet"}}, v.onNet)
	require.Equal(t, map[string][]testName{"waits on a channel": {{"p", "TestKnown/a"}}}, v.known)
	require.Equal(t, []testName{{"p", "TestOurs"}}, v.steady)
	require.False(t, v.ok())
	require.Len(t, judge(s, setting{"epoll", shared}, r, base).steady, 2)
}

// TestWriteTable: what was not run stays.
func TestWriteTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.md")
	require.NoError(t, os.WriteFile(file, []byte("a\n"+tableBegins+"old\n"+tableEnds+"b\n"), 0o644))
	row := func(s suite, cells string) string {
		return "| " + s.module + " | " + s.version + " | " + cells + " |\n"
	}
	first := entry{row(dns, "package net | 1") + "| | | epoll shared | 2 |\n", ""}
	second := entry{row(redcon, "package net | 3"), "\nredcon:\n\n- Known: `TestA`\n"}
	third := entry{row(pgx, "not run: no server"), ""}
	require.NoError(t, writeTable(file, map[string]entry{"redcon": second, "pgx": third}))
	require.NoError(t, writeTable(file, map[string]entry{"dns": first}))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "a\n"+tableBegins+tableHead+first.rows+second.rows+third.rows+second.notes+tableEnds+"b\n", string(text))

	changed := entry{row(redcon, "package net | 4"), "\nredcon:\n\n- Known: `TestB`\n"}
	require.NoError(t, writeTable(file, map[string]entry{"redcon": changed}))
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "a\n"+tableBegins+tableHead+first.rows+changed.rows+third.rows+changed.notes+tableEnds+"b\n", string(text))

	require.NoError(t, os.WriteFile(file, []byte("nothing"), 0o644))
	require.Error(t, writeTable(file, map[string]entry{"dns": first}))
}
