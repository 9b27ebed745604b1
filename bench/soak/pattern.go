package soak

import (
	"fmt"
	"io"
)

// A stream's bytes depend on its seed and on their position alone, so that whoever reads
// any part of it knows what has to be there.
func patternAt(seed uint64, position int64) byte {
	x := (seed + uint64(position)) * 0x9e3779b97f4a7c15
	return byte((x ^ x>>29) >> 32)
}

func fill(p []byte, seed uint64, position int64) []byte {
	for i := range p {
		p[i] = patternAt(seed, position+int64(i))
	}
	return p
}

// wrongBytes is the error of bytes that are not what was sent. Nothing excuses it.
type wrongBytes struct{ text string }

func (w wrongBytes) Error() string { return w.text }

// check compares p with what the stream has at the position.
func check(p []byte, seed uint64, position int64) error {
	for i, b := range p {
		if want := patternAt(seed, position+int64(i)); b != want {
			return wrongBytes{fmt.Sprintf("byte %d of the stream is %#02x, expected %#02x (in a read of %d bytes from %d on)",
				position+int64(i), b, want, len(p), position)}
		}
	}
	return nil
}

// readPattern reads total bytes of a stream, and compares them.
func readPattern(r io.Reader, p []byte, seed uint64, position, total int64) error {
	for at := int64(0); at < total; {
		n, err := r.Read(p[:min(int64(len(p)), total-at)])
		if wrong := check(p[:n], seed, position+at); wrong != nil {
			return wrong
		}
		if at += int64(n); err != nil && at < total {
			return fmt.Errorf("after %d of %d expected bytes: %w", at, total, err)
		}
	}
	return nil
}

// readEnd expects the end of a stream.
func readEnd(r io.Reader) error {
	var p [1]byte
	n, err := r.Read(p[:])
	if n > 0 {
		return wrongBytes{fmt.Sprintf("byte %#02x behind the end of the stream, expected io.EOF", p[0])}
	}
	if err != io.EOF {
		return fmt.Errorf("at the end of the stream: expected io.EOF: %w", err)
	}
	return nil
}
