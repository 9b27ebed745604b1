package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

var (
	errStalled = errors.New("the server has sent nothing for a while")
	errChanged = errors.New("the file has changed on the server: starting again")
)

// attempt asks the server for what is missing, and stores it.
func (d *download) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return permanent(err)
	}
	request.Header.Set("User-Agent", "goproactor-fetch")
	if d.have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
		request.Header.Set("If-Range", d.validator)
	}
	response, err := d.client.Do(request)
	if err != nil {
		// It names the URL, as all that is said of a download does.
		if failed := new(url.Error); errors.As(err, &failed) {
			err = failed.Err
		}
		return err
	}
	defer response.Body.Close()
	whole, err := d.accept(ctx, response)
	if whole || err != nil {
		return err
	}
	stalled := time.AfterFunc(d.stall, func() { cancel(errStalled) })
	defer stalled.Stop()
	err = d.store(ctx, &watched{response.Body, stalled, d.stall})
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// accept looks at what a response brings: the rest of the file, or the file from its
// beginning, or that it is whole already.
func (d *download) accept(ctx context.Context, response *http.Response) (whole bool, err error) {
	switch response.StatusCode {
	case http.StatusOK:
		d.bar.expect(response.ContentLength)
		if err := d.restart(ctx, validator(response.Header)); err != nil {
			return false, permanent(err)
		}
		return false, nil
	case http.StatusPartialContent:
		from, total, err := contentRange(response.Header)
		if err != nil {
			return false, permanent(err)
		}
		if v := validator(response.Header); from != d.have || v != "" && v != d.validator {
			return false, d.startAgain(ctx)
		}
		d.bar.expect(total)
		return false, nil
	case http.StatusRequestedRangeNotSatisfiable:
		// If the part is the whole file, the server has no more of it.
		if _, total, err := contentRange(response.Header); err == nil && total == d.have {
			return true, nil
		}
		if d.have == 0 { // and no range was asked for
			return false, permanent(&statusError{status: response.Status})
		}
		return false, d.startAgain(ctx)
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false, &statusError{response.Status, retryAfter(response.Header)}
	default:
		return false, permanent(&statusError{status: response.Status})
	}
}

// startAgain drops the part. The next attempt begins from the beginning.
func (d *download) startAgain(ctx context.Context) error {
	if err := d.restart(ctx, ""); err != nil {
		return permanent(err)
	}
	return errChanged
}

// validator is what the server calls this version of the file, for If-Range: a strong
// entity tag, else the time of the last change. It is empty if there is neither.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

// contentRange is where a response begins, and the size of the file, -1 if the server does not
// know it. The beginning is -1 if the range was refused.
func contentRange(h http.Header) (from, total int64, err error) {
	text := h.Get("Content-Range")
	bad := fmt.Errorf("the server has answered with a bad range: %q", text)
	spec, found := strings.CutPrefix(text, "bytes ")
	where, size, cut := strings.Cut(spec, "/")
	if !found || !cut {
		return 0, 0, bad
	}
	from, total = -1, -1
	if where != "*" {
		first, _, _ := strings.Cut(where, "-")
		if from, err = strconv.ParseInt(first, 10, 64); err != nil {
			return 0, 0, bad
		}
	}
	if size != "*" {
		if total, err = strconv.ParseInt(size, 10, 64); err != nil {
			return 0, 0, bad
		}
	}
	return from, total, nil
}

// retryAfter is how long the server asks to wait.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at)
	}
	return 0
}

// watched is a body whose timer runs while it waits for the server.
type watched struct {
	io.Reader
	timer *time.Timer
	after time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.after)
	defer w.timer.Stop()
	return w.Reader.Read(p)
}

// statusError is a response that is not the file.
type statusError struct {
	status string
	after  time.Duration
}

func (e *statusError) Error() string { return e.status }

// permanentError is one that another attempt would meet again.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func permanent(err error) error { return permanentError{err} }

func isPermanent(err error) bool {
	var ours permanentError
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	return errors.As(err, &ours) || errors.As(err, &certificate) || errors.As(err, &name) && name.IsNotFound
}
