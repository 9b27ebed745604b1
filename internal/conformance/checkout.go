package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// substitute is the text of proactornet.
//
//go:embed proactornet/*.go
var substitute embed.FS

// errNotServed says that a module cannot be had here.
var errNotServed = errors.New("module not available")

// library is the folder of the library, seen from this module's.
const library = "../.."

// checkout is a copy of a suite's module that may be changed.
type checkout struct {
	suite suite
	dir   string
}

// download has the go command fetch the suite's module, and returns its folder in the
// module cache.
func (s suite) download() (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", s.module+"@"+s.version)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, failure := cmd.Output()
	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fmt.Errorf("go mod download %s@%s: %w: %s", s.module, s.version, failure, complaint.String())
	}
	if answer.Error != "" {
		return "", fmt.Errorf("%w: %s", errNotServed, answer.Error)
	}
	return answer.Dir, nil
}

// copyTo copies a module from its folder in the module cache, as it was published.
func (s suite) copyTo(dir, from string) (*checkout, error) {
	c := &checkout{s, dir}
	err := filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, info.Mode().Perm()|0o600)
	})
	if err != nil {
		return nil, fmt.Errorf("copy %s: %w", s.module, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); errors.Is(err, fs.ErrNotExist) {
		return c, c.goMod("init", s.module)
	}
	return c, nil
}

// goMod runs go mod in the checkout.
func (c *checkout) goMod(args ...string) error {
	cmd := exec.Command("go", append([]string{"mod"}, args...)...)
	cmd.Dir = c.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// patch puts the library in the place of package net.
func (c *checkout) patch() error {
	root, err := filepath.Abs(library)
	if err != nil {
		return err
	}
	for name, text := range c.suite.files { // a go.mod may be among them
		if err := c.write(name, []byte(text)); err != nil {
			return err
		}
	}
	const name = "github.com/goproactor/goproactor"
	if err := c.goMod("edit", "-require="+name+"@v0.0.0", "-replace="+name+"="+root); err != nil {
		return err
	}
	if err := c.addSubstitute(); err != nil {
		return err
	}
	for _, r := range c.suite.replace {
		if err := c.replace(r); err != nil {
			return err
		}
	}
	return nil
}

// substituteDir is where in a module proactornet is.
const substituteDir = "internal/proactornet"

func (c *checkout) addSubstitute() error {
	files, err := fs.Glob(substitute, "proactornet/*.go")
	if err != nil {
		return err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := substitute.ReadFile(file)
		if err != nil {
			return err
		}
		if err := c.write(path.Join(substituteDir, path.Base(file)), text); err != nil {
			return err
		}
	}
	return nil
}

// write adds a file. MODULE in its text is the module's path.
func (c *checkout) write(name string, text []byte) error {
	target := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte("MODULE"), []byte(c.suite.module))
	return os.WriteFile(target, text, 0o644)
}

// replace changes the files that a replacement names.
func (c *checkout) replace(r replacement) error {
	files, err := filepath.Glob(filepath.Join(c.dir, r.file))
	if err != nil {
		return err
	}
	changed := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte(r.old)) {
			continue
		}
		text = bytes.ReplaceAll(text, []byte(r.old), []byte(r.new))
		if err := os.WriteFile(file, c.importing(text), 0o644); err != nil {
			return err
		}
		changed++
	}
	if changed == 0 {
		return fmt.Errorf("%s@%s: no file %s has the text to be replaced: %q", c.suite.module, c.suite.version, r.file, r.old)
	}
	return nil
}

var packageClause = regexp.MustCompile(`(?m)^package \w+.*$`)

// replaced are the packages of which a replacement may take the last use: how they are
// imported, and a use that stays.
var replaced = []struct {
	imported *regexp.Regexp
	use      string
}{
	{regexp.MustCompile(`(?m)^(import)?\s*"net"$`), "\nvar _ net.Addr\n"},
	{regexp.MustCompile(`(?m)^(import)?\s*"crypto/tls"$`), "\nvar _ tls.Config\n"},
}

// importing adds the import of proactornet to a file that uses it, and keeps the file
// a user of the packages that it imports.
func (c *checkout) importing(text []byte) []byte {
	line := []byte(fmt.Sprintf("\nimport proactornet %q\n", c.suite.module+"/"+substituteDir))
	if !bytes.Contains(text, []byte("proactornet.")) || bytes.Contains(text, line) {
		return text
	}
	at := packageClause.FindIndex(text)[1]
	text = bytes.Join([][]byte{text[:at], line, text[at:]}, nil)
	for _, r := range replaced {
		if r.imported.Match(text) {
			text = append(text, r.use...)
		}
	}
	return text
}
