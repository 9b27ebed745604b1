package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// block is how much is read from the server and written to the file at a time, in bytes.
const block = 256 << 10

// maxWait is the longest time between two attempts.
const maxWait = 30 * time.Second

// download is a file on its way. It runs on a goroutine, as net/http does; the file's
// operations run on the runtime's loop.
type download struct {
	target
	*fetcher
	part, from string // names: partOf and originOf
	file       *proactor.File
	validator  string // what the server calls this version of the file
	have       int64  // bytes that are in the file
	resumed    int64  // of them from before
	took       time.Duration
	bar        bar
	err        error
}

func (d *download) String() string {
	text := fmt.Sprintf("%s: %d bytes in %v, %.1f MB/s", d.name, d.have, d.took.Round(time.Millisecond), float64(d.have-d.resumed)/1e6/d.took.Seconds())
	if d.resumed > 0 {
		text += fmt.Sprintf(", %d were here", d.resumed)
	}
	return text
}

// run downloads the file. What it opens or leaves behind is closed or removed even when
// ctx has ended.
func (d *download) run(ctx context.Context) error {
	start := time.Now()
	defer func() { d.took = time.Since(start) }()
	ending := context.WithoutCancel(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.claim(ctx); err != nil {
		return err
	}
	if err := d.recall(ctx); err != nil {
		d.file.Close().Await(ending)
		return err
	}
	d.resumed = d.have
	d.bar = d.screen.bar(d.name)
	err := d.attempts(ctx)
	if err == nil {
		err = d.finish(ctx)
	}
	d.bar.end(err == nil)
	if err != nil {
		err = errors.Join(err, d.leave(ending, errors.Is(err, errSum)))
	}
	_, unclosed := d.file.Close().Await(ending)
	return errors.Join(err, unclosed)
}

// recall finds out how much of the file is here from before.
func (d *download) recall(ctx context.Context) error {
	info, err := d.file.Stat().Await(ctx)
	if err != nil {
		return err
	}
	origin, err := d.readOrigin(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Without a name of the version nobody knows whether the server has another by now.
	if where, validator, _ := strings.Cut(origin, "\n"); where == d.url.String() && validator != "" {
		d.validator, d.have = validator, info.Size()
		return nil
	}
	return d.restart(ctx, "")
}

// restart begins from the beginning, with a version of the file.
func (d *download) restart(ctx context.Context, validator string) error {
	if _, err := d.file.Truncate(0).Await(ctx); err != nil {
		return err
	}
	d.have, d.resumed, d.validator = 0, 0, validator
	return d.writeOrigin(ctx, d.url.String()+"\n"+validator)
}

// originLimit is the maximum length of an address and the name of a version, in bytes.
const originLimit = 16 << 10

func (d *download) readOrigin(ctx context.Context) (string, error) {
	f, err := d.rt.Open(d.from).Await(ctx)
	if err != nil {
		return "", err
	}
	defer f.Close()
	p := make([]byte, originLimit)
	n, err := f.ReadAt(p, 0).Await(ctx)
	if err == io.EOF {
		err = nil
	}
	return string(p[:n]), err
}

func (d *download) writeOrigin(ctx context.Context, origin string) error {
	f, err := d.rt.OpenFile(d.from, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666).Await(ctx)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(origin), 0).Await(ctx)
	_, unclosed := f.Close().Await(context.WithoutCancel(ctx))
	return errors.Join(err, unclosed)
}

// attempts tries until the file is whole.
func (d *download) attempts(ctx context.Context) error {
	for failures := 0; ; failures++ {
		before := d.have
		err := d.attempt(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if isPermanent(err) {
			return fmt.Errorf("%s: %w", d.url.Redacted(), err)
		}
		if d.have > before {
			failures = 0
		}
		if failures >= d.retries {
			return fmt.Errorf("%s: %w (tried %d times)", d.url.Redacted(), err, failures+1)
		}
		wait := d.wait(failures, err)
		d.screen.say(fmt.Sprintf("%s: %v; trying again in %v", d.name, err, wait.Round(time.Millisecond)))
		if _, err := d.rt.Sleep(wait).Await(ctx); err != nil {
			return err
		}
	}
}

// wait is how long to wait after so many failures: each time twice as long, and not
// the same for all who were cut off at once; or as long as the server asks for.
func (d *download) wait(failures int, err error) time.Duration {
	wait := min(d.backoff, maxWait)
	for range failures {
		wait = min(2*wait, maxWait)
	}
	wait = wait/2 + time.Duration(rand.Float64()*float64(wait/2))
	var refused *statusError
	if errors.As(err, &refused) {
		wait = max(wait, min(refused.after, maxWait))
	}
	return wait
}

// store writes what the server sends to the file: while a block is written the next is
// read. What was read is written, whatever happens.
func (d *download) store(ctx context.Context, body io.Reader) error {
	ending := context.WithoutCancel(ctx)
	var writing futures.Future[int]
	var reading error
	for p, next := make([]byte, block), make([]byte, block); reading == nil; p, next = next, p {
		var n int
		n, reading = fill(body, p)
		written, err := writing.Await(ending)
		if d.have += int64(written); err != nil {
			return permanent(err)
		}
		d.bar.show(d.have)
		writing = d.file.WriteAt(p[:n], d.have)
	}
	written, err := writing.Await(ending)
	d.have += int64(written)
	d.bar.show(d.have)
	if err != nil {
		return permanent(err)
	}
	if reading == io.EOF {
		return nil
	}
	return reading
}

// fill reads until p is full. Its error is the reader's: io.EOF at the end and
// io.ErrUnexpectedEOF where the server has cut.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	return n, err
}

var errSum = errors.New("the SHA-256 is wrong")

// finish makes the part the file.
func (d *download) finish(ctx context.Context) error {
	if _, err := d.file.Sync().Await(ctx); err != nil {
		return err
	}
	if err := d.check(ctx); err != nil {
		return err
	}
	to, err := d.rt.Stat(d.name).Await(ctx)
	if err == nil && !to.Mode().IsRegular() {
		return &fs.PathError{Op: "fetch", Path: d.name, Err: errors.New("not a regular file")}
	}
	if _, err := d.rt.Rename(d.part, d.name).Await(ctx); err != nil {
		return err
	}
	_, err = d.rt.Remove(d.from).Await(context.WithoutCancel(ctx))
	return err
}

// check compares the checksum with that of what is in the file.
func (d *download) check(ctx context.Context) error {
	if d.sum == "" {
		return nil
	}
	hash := sha256.New()
	p := make([]byte, block)
	for at := int64(0); ; {
		n, err := d.file.ReadAt(p, at).Await(ctx)
		hash.Write(p[:n])
		at += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if is := hex.EncodeToString(hash.Sum(nil)); is != d.sum {
		return fmt.Errorf("%s: %w: want %s, got %s", d.url.Redacted(), errSum, d.sum, is)
	}
	return nil
}

// leave leaves what the next fetch can go on with. What it cannot, it removes.
func (d *download) leave(ctx context.Context, useless bool) error {
	if d.have > 0 && d.validator != "" && !useless {
		_, err := d.file.Sync().Await(ctx)
		return err
	}
	var errs []error
	for _, name := range []string{d.part, d.from} {
		if _, err := d.rt.Remove(name).Await(ctx); err != nil && !errors.Is(err, syscall.ENOENT) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
