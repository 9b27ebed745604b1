package docstest

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.."
	module = "github.com/goproactor/goproactor"
)

// given is what every function of statements has.
const given = "ctx context.Context, rt *proactor.Runtime, l *proactor.Loop, c *proactor.Conn, ln *proactor.Listener"

// snippet is a block of Go code in a document.
type snippet struct {
	file  string
	line  int    // of its first line
	given string // parameters that the document adds
	from  string // the file that it is a part of, which compiles there
	text  string
}

// snippetsOf finds the blocks of a document.
func snippetsOf(file string, document []byte) (all []snippet) {
	var current *snippet
	params, from := "", ""
	lines := bufio.NewScanner(bytes.NewReader(document))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		comment, isGiven := strings.CutPrefix(line, "<!-- given ")
		source, isFrom := strings.CutPrefix(line, "<!-- from ")
		switch {
		case current != nil && line == "```":
			all = append(all, *current)
			current = nil
		case current != nil:
			current.text += line + "\n"
		case isGiven:
			params += ", " + strings.TrimSuffix(comment, " -->")
		case isFrom:
			from = strings.TrimSuffix(source, " -->")
		case line == "```go":
			current = &snippet{file: file, line: n + 1, given: params, from: from}
			params, from = "", ""
		}
	}
	return all
}

// source is the snippet as a file with these imports: what it parses as decides how
// it is completed.
func (s snippet) source(imports string) string {
	text := fmt.Sprintf("//line %s:%d\n%s", s.file, s.line, s.text)
	if strings.HasPrefix(s.text, "package ") {
		return text
	}
	declarations := "package p\n" + imports + text
	if _, err := parser.ParseFile(token.NewFileSet(), "", declarations, 0); err == nil {
		return declarations
	}
	return "package p\n" + imports + "func _(" + given + s.given + ") error {\n{\n" + text + "}\nreturn nil\n}\n"
}

// imports are the packages that the snippet uses and does not import.
func (s snippet) imports(paths map[string]string) (imports []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", s.source(""), 0)
	if err != nil {
		return nil, err
	}
	unresolved := map[*ast.Ident]bool{}
	for _, name := range file.Unresolved {
		unresolved[name] = true
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			name, ok := selector.X.(*ast.Ident)
			if ok && unresolved[name] && paths[name.Name] != "" && !slices.Contains(imports, paths[name.Name]) {
				imports = append(imports, paths[name.Name])
			}
		}
		return true
	})
	return imports, nil
}

// isPart reports whether the file that the snippet is from has its lines, whatever their
// indentation.
func (s snippet) isPart(t *testing.T) bool {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(root, s.from))
	require.NoError(t, err)
	return strings.Contains(unindented(string(file)), unindented(s.text))
}

func unindented(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

// checker type-checks snippets.
type checker struct {
	paths   map[string]string // of packages, by name
	exports map[string]string // files of export data, by path
}

// newChecker asks the go command for what the snippets use.
func newChecker(t *testing.T, snippets []snippet) *checker {
	t.Helper()
	c := &checker{paths: map[string]string{}, exports: map[string]string{}}
	for _, path := range []string{"futures", "proactor", "proactor/proactortest", "ring", "epollfallback"} {
		c.paths[filepath.Base(path)] = module + "/" + path
	}
	for path, name := range golist(t, "{{.ImportPath}} {{.Name}}", "std") {
		known, isKnown := c.paths[name]
		hidden := strings.Contains("/"+path+"/", "/internal/") || strings.HasPrefix(path, "vendor/")
		if !hidden && (!isKnown || len(path) < len(known)) {
			c.paths[name] = path
		}
	}
	needed := []string{"context", c.paths["proactor"]}
	for _, s := range snippets {
		if imports, err := s.imports(c.paths); err == nil {
			needed = append(needed, imports...)
		}
		if file, err := parser.ParseFile(token.NewFileSet(), "", s.source(""), parser.ImportsOnly); err == nil {
			for _, spec := range file.Imports {
				needed = append(needed, strings.Trim(spec.Path.Value, `"`))
			}
		}
	}
	c.exports = golist(t, "{{.ImportPath}} {{.Export}}", append([]string{"-export", "-deps"}, needed...)...)
	return c
}

// golist runs go list, and returns the second word of each line by the first.
func golist(t *testing.T, format string, args ...string) map[string]string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-f", format}, args...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	words := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if first, second, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			words[first] = second
		}
	}
	return words
}

func (c *checker) open(path string) (io.ReadCloser, error) {
	file := c.exports[path]
	if file == "" {
		return nil, fmt.Errorf("package %s is not known", path)
	}
	return os.Open(file)
}

// check returns the errors of a snippet, with their places in the document.
func (c *checker) check(s snippet) (errs []error) {
	imports, err := s.imports(c.paths)
	if err != nil {
		return []error{err}
	}
	header := ""
	for _, path := range append(imports, "context", c.paths["proactor"]) {
		if line := fmt.Sprintf("import %q\n", path); !strings.Contains(header, line) {
			header += line
		}
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", s.source(header), parser.SkipObjectResolution)
	if err != nil {
		return []error{err}
	}
	config := types.Config{
		Importer: importer.ForCompiler(files, "gc", c.open),
		Error: func(err error) {
			if e, ok := err.(types.Error); !ok || !e.Soft { // soft: something is not used
				errs = append(errs, err)
			}
		},
	}
	config.Check("p", files, []*ast.File{file}, nil)
	return errs
}

// documents are all Markdown files, by their names from the root.
func documents(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err == nil {
			all[name], err = os.ReadFile(path)
		}
		return err
	})
	require.NoError(t, err)
	return all
}

// TestSnippets compiles every block of Go code in the documents.
func TestSnippets(t *testing.T) {
	var all []snippet
	for name, document := range documents(t) {
		all = append(all, snippetsOf(name, document)...)
	}
	require.NotEmpty(t, all)
	all = slices.DeleteFunc(all, func(s snippet) bool {
		if s.from == "" {
			return false
		}
		if !s.isPart(t) {
			t.Errorf("%s:%d: this is not in %s", s.file, s.line, s.from)
		}
		return true
	})
	c := newChecker(t, all)
	for _, s := range all {
		for _, err := range c.check(s) {
			t.Error(err)
		}
	}
}

// What does not compile is found, at its place.
func TestWrongSnippets(t *testing.T) {
	cases := map[string]struct {
		text string
		want string // empty: it is right
	}{
		"statements":     {"v, err := futures.Resolved(1).Await(ctx)\nif err != nil {\n\treturn err\n}", ""},
		"declaration":    {"type server struct{ m futures.Mutex }\n\nfunc (s *server) f() { fmt.Println(&s.m) }", ""},
		"file":           {"package main\n\nimport \"os\"\n\nfunc main() { os.Exit(1) }", ""},
		"given":          {"jobs <- \"one\"", ""},
		"unknown name":   {"\nnobody()", "doc.md:5: undefined: nobody"},
		"unknown method": {"return c.Nothing(ctx)", "doc.md:4: c.Nothing undefined"},
		"wrong type":     {"var s string = len(\"\")", "doc.md:4: cannot use len"},
		"wrong results":  {"return 1, nil", "doc.md:4: too many return values"},
		"no Go":          {"for {", "doc.md:"},
		"file's import":  {"package main\n\nimport \"os\"\n\nfunc main() { os.Nothing() }", "doc.md:8: undefined: os.Nothing"},
	}
	snippets := map[string]snippet{}
	var all []snippet
	for name, c := range cases {
		found := snippetsOf("doc.md", []byte("# Title\n<!-- given jobs chan string -->\n```go\n"+c.text+"\n```\n"))
		require.Len(t, found, 1)
		snippets[name] = found[0]
		all = append(all, found...)
	}
	c := newChecker(t, all)
	for name, s := range snippets {
		t.Run(name, func(t *testing.T) {
			errs := c.check(s)
			if cases[name].want == "" {
				require.Empty(t, errs)
				return
			}
			require.NotEmpty(t, errs)
			require.Contains(t, errs[0].Error(), cases[name].want)
		})
	}
}
