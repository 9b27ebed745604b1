package proactor

import (
	"context"
	"io"
)

// Bound makes an io.Reader that reads with ctx, for functions that take no context. It is
// an io.ByteReader and an io.WriterTo, too. A Read returns what has come in, or waits.
func (r *Reader) Bound(ctx context.Context) *BoundReader { return &BoundReader{r, ctx} }

// BoundReader is a Reader with a context, see Reader.Bound.
type BoundReader struct {
	reader *Reader
	ctx    context.Context
}

// Read implements io.Reader.
func (b *BoundReader) Read(p []byte) (int, error) { return b.reader.read(b.ctx, p) }

// ReadByte implements io.ByteReader.
func (b *BoundReader) ReadByte() (byte, error) {
	p, err := b.reader.Peek(b.ctx, 1)
	if err != nil {
		return 0, err
	}
	b.reader.Discard(1)
	return p[0], nil
}

// WriteTo implements io.WriterTo: w is given the buffers as they were received.
func (b *BoundReader) WriteTo(w io.Writer) (written int64, err error) {
	r := b.reader
	for {
		r.settle()
		for _, p := range []*piece{&r.head, &r.tail} {
			if len(p.data) == 0 {
				continue
			}
			n, err := w.Write(p.data)
			written += int64(n)
			p.data = p.data[n:]
			if err == nil && len(p.data) > 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				return written, err
			}
		}
		r.settle()
		switch err := r.receive(b.ctx, 0); err {
		case nil:
		case io.EOF:
			return written, nil
		default:
			return written, err
		}
	}
}
