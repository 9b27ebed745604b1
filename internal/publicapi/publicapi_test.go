package publicapi

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	// The go command does not repeat a test that nothing has changed for: these have.
	_ "github.com/goproactor/goproactor/epollfallback"
	_ "github.com/goproactor/goproactor/proactor"
	_ "github.com/goproactor/goproactor/proactor/proactortest"
)

const (
	root   = "../.."
	module = "github.com/goproactor/goproactor"
)

var update = flag.Bool("update", false, "write the listings as the API is now")

// modules are those that others import, by their listings.
var modules = map[string]string{
	"library.txt":       ".",
	"metrics.txt":       "proactor/metrics",
	"proxyprotocol.txt": "proactor/proxyprotocol",
}

// hasModules reports whether a module and all that it needs is here, or can be had.
func hasModules(dir string) bool {
	cmd := exec.Command("go", "list", "-deps", "-test", "-f", "{{.Name}}", "./...")
	cmd.Dir = dir
	return cmd.Run() == nil
}

// TestPublicAPI compares what the packages export with the listings.
func TestPublicAPI(t *testing.T) {
	for file, dir := range modules {
		t.Run(file, func(t *testing.T) {
			_, err := os.ReadDir(filepath.Join(root, dir)) // has the go command look at its files
			require.NoError(t, err)
			exports, err := exportData(filepath.Join(root, dir))
			if err != nil && dir != "." && !hasModules(filepath.Join(root, dir)) {
				t.Skipf("what the module needs cannot be had here: %v", err) // CI tests it where it can
			}
			require.NoError(t, err)
			now := listingOf(t, exports)
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(now), 0o644))
				return
			}
			before, err := os.ReadFile(file)
			require.NoError(t, err)
			if changes := difference(string(before), now); changes != "" {
				t.Errorf("the public API is not what internal/publicapi/%s says:\n%sIf this is meant: go test ./internal/publicapi -update, and tell of it in CHANGELOG.md, with what to write instead.", file, changes)
			}
		})
	}
}

// exportData compiles the packages of a module, and what they import, for linux/amd64. It
// returns the files with the export data, those of packages that others can import first.
func exportData(dir string) (*exports, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Name}} {{.DepOnly}} {{.Export}}", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=linux", "GOARCH=amd64")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	all := &exports{files: map[string]string{}}
	for line := range strings.Lines(string(out)) {
		word := strings.Fields(line)
		if len(word) < 4 {
			continue // package unsafe has no export data
		}
		all.files[word[0]] = word[3]
		if word[1] != "main" && word[2] == "false" && !slices.Contains(strings.Split(word[0], "/"), "internal") {
			all.public = append(all.public, word[0])
		}
	}
	return all, nil
}

// exports is the export data of packages.
type exports struct {
	files  map[string]string // by import path
	public []string
}

func (e *exports) open(path string) (io.ReadCloser, error) {
	file := e.files[path]
	if file == "" {
		return nil, fmt.Errorf("package %s is not known", path)
	}
	return os.Open(file)
}

// listingOf lists the public packages.
func listingOf(t *testing.T, e *exports) string {
	t.Helper()
	require.NotEmpty(t, e.public)
	from := importer.ForCompiler(token.NewFileSet(), "gc", e.open)
	l := &listing{lines: map[string]bool{}}
	for _, path := range e.public {
		pkg, err := from.Import(path)
		require.NoError(t, err)
		l.add(pkg, strings.TrimPrefix(path, module+"/"))
	}
	return l.text()
}

// difference has the lines that only one of two listings has.
func difference(before, now string) string {
	var b strings.Builder
	for _, side := range []struct{ sign, of, other string }{{"-", before, now}, {"+", now, before}} {
		known := map[string]bool{}
		for line := range strings.Lines(side.other) {
			known[line] = true
		}
		for line := range strings.Lines(side.of) {
			if !known[line] {
				b.WriteString(side.sign + " " + line)
			}
		}
	}
	return b.String()
}

// Each kind of declaration is listed, and a change of it is one of the listing.
func TestListing(t *testing.T) {
	cases := []struct {
		name, source, want string
	}{
		{"constants", "const C uint8 = 3; const c = 1", "pkg p, const C uint8 = 3"},
		{"variables", "var V, w error", "pkg p, var V error"},
		{"functions", "func F(a int, b ...func(x string) (y error)) (n int) { return 0 }", "pkg p, func F(int, ...func(string) error) int"},
		{"generic functions", "func F[T any, P ~[]T](p P) (t T) { return }", "pkg p, func F[T any, P ~[]T](P) T"},
		{"types", "type T []int; func (t T) M(n int) {}; func (t *T) N() {}; func (t T) m() {}",
			"pkg p, method (*T) N()\npkg p, method (T) M(int)\npkg p, type T []int"},
		{"structs", "type T struct { A, b int; C func(x int); Embedded; hidden }; type hidden struct { D int }; type Embedded int",
			"pkg p, type Embedded int\npkg p, type T struct\npkg p, type T struct, A int\npkg p, type T struct, C func(int)\npkg p, type T struct, D int\npkg p, type T struct, embedded Embedded"},
		{"promoted methods", "type T struct { hidden }; type hidden struct{}; func (hidden) M() {}",
			"pkg p, method (T) M()\npkg p, type T struct\npkg p, type T struct, comparable"},
		{"interfaces", "type I interface { M(n int) error; m(); error }",
			"pkg p, type I interface\npkg p, type I interface, Error() string\npkg p, type I interface, M(int) error\npkg p, type I interface, unexported methods"},
		{"constraints", "type I interface { ~int | ~string }", "pkg p, type I interface\npkg p, type I interface, ~int | ~string"},
		{"generic types", "type T[K comparable] struct{}; func (t *T[K]) M(k K) {}",
			"pkg p, method (*T) M(K)\npkg p, type T struct, comparable\npkg p, type T[K comparable] struct"},
		{"aliases", "type A = func(n int) error", "pkg p, type A = func(int) error"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, "p.go", "package p\n"+c.source, 0)
			require.NoError(t, err)
			pkg, err := (&types.Config{}).Check("p", files, []*ast.File{file}, nil)
			require.NoError(t, err)
			l := &listing{lines: map[string]bool{}}
			l.add(pkg, "p")
			require.Equal(t, c.want+"\n", l.text())
		})
	}
	require.Equal(t, "- b\n+ c\n", difference("a\nb\n", "a\nc\n"))
	require.Empty(t, difference("a\n", "a\n"))
}
