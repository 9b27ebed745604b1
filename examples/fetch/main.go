// Fetch downloads files over HTTPS, several at once, and goes on where it was cut off.
//
//	go -C examples/fetch run . [flags] URL...
//
// It writes to NAME.part, syncs that, checks it, and renames it to NAME. A download that
// fails is tried again with a Range request. At SIGINT or SIGTERM it leaves NAME.part,
// and NAME.part.from, which says of what that is a part: the next fetch of the same
// address goes on from there. Bars on stderr show the progress, if that is a terminal.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

type config struct {
	backend   proactor.Backend
	dir       string
	output    string
	limit     int
	retries   int
	backoff   time.Duration
	stall     time.Duration
	authority string
	sum, sums string
	targets   []target
}

// target is a file to be downloaded.
type target struct {
	url  *url.URL
	name string // of the file
	sum  string // SHA-256 in hexadecimal, empty if it is not to be checked
}

func main() {
	c, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	if !run(ctx, c) {
		os.Exit(1)
	}
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	flags.StringVar(&c.dir, "dir", ".", "directory to write to")
	flags.StringVar(&c.output, "o", "", "name of the file, for one URL; the last part of its path if empty")
	flags.IntVar(&c.limit, "n", 4, "downloads at once")
	flags.IntVar(&c.retries, "retries", 5, "how often in a row to try again without receiving anything")
	flags.DurationVar(&c.backoff, "backoff", 500*time.Millisecond, "how long to wait before trying again, twice as long each time")
	flags.DurationVar(&c.stall, "stall", 30*time.Second, "how long a server may send nothing before it is tried again")
	flags.StringVar(&c.authority, "cacert", "", "file of certificates (PEM) to trust in place of the system's")
	flags.StringVar(&c.sum, "sha256", "", "what the SHA-256 of the file must be, for one URL")
	flags.StringVar(&c.sums, "sums", "", "file that has the SHA-256 of each file, as sha256sum(1) writes it")
	backend := flags.String("backend", "auto", "auto, io_uring or epoll")
	// One line about the bad flag, from main; the whole list only on -help.
	flags.SetOutput(io.Discard)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: fetch [flags] URL...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
		}
		return c, err
	}
	if c.backend, err = proactor.ParseBackend(*backend); err != nil {
		return c, err
	}
	switch one := flags.NArg() == 1; {
	case flags.NArg() == 0:
		return c, errors.New("no URL: want one at least, after the flags; see -help")
	case c.limit < 1:
		return c, fmt.Errorf("%d downloads at once: want 1 or more", c.limit)
	case c.retries < 0 || c.backoff < 0:
		return c, errors.New("retries and backoff: want none that is negative")
	case c.stall <= 0:
		return c, fmt.Errorf("stall of %v: want more than 0", c.stall)
	case c.output != "" && !one:
		return c, errors.New("-o is for one URL")
	case c.sum != "" && (!one || c.sums != ""):
		return c, errors.New("-sha256 is for one URL, and without -sums")
	}
	return c, c.aim(flags.Args())
}

// aim finds out what to download.
func (c *config) aim(addresses []string) error {
	sums, err := readSums(c.sums)
	if err != nil {
		return err
	}
	taken := make(map[string]bool)
	for _, address := range addresses {
		u, err := url.Parse(address)
		switch {
		case err != nil:
			return err
		case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
			return fmt.Errorf("%q: want https://HOST/PATH", address)
		}
		t := target{url: u, name: c.output, sum: strings.ToLower(c.sum)}
		if t.name == "" {
			if t.name = path.Base(path.Clean("/" + u.Path)); t.name == "/" {
				return fmt.Errorf("%q has no name for the file: give one with -o", address)
			}
		}
		for _, name := range []string{t.name, partOf(t.name), originOf(t.name)} {
			if taken[name] {
				return fmt.Errorf("two URLs are for the file %s: fetch them one after the other, with -o", name)
			}
			taken[name] = true
		}
		if c.sums != "" {
			if t.sum = sums[filepath.Base(t.name)]; t.sum == "" {
				return fmt.Errorf("%s has no line for %s", c.sums, filepath.Base(t.name))
			}
		}
		if p, err := hex.DecodeString(t.sum); err != nil || t.sum != "" && len(p) != sha256.Size {
			return fmt.Errorf("%q is no SHA-256: want 64 hexadecimal digits", t.sum)
		}
		if !filepath.IsAbs(t.name) {
			t.name = filepath.Join(c.dir, t.name)
		}
		c.targets = append(c.targets, t)
	}
	return nil
}

// partOf is the name of a file before it is whole.
func partOf(name string) string { return name + ".part" }

// originOf is the name of the file that tells where a part is from.
func originOf(name string) string { return name + ".part.from" }

// readSums reads what sha256sum(1) writes: a checksum and the name of the file a line.
func readSums(name string) (map[string]string, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sums := make(map[string]string)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if sum, of, found := strings.Cut(lines.Text(), " "); found && len(of) > 1 {
			sums[path.Base(of[1:])] = strings.ToLower(sum) // of has a space or * before the name
		}
	}
	return sums, lines.Err()
}
