package outbound

import (
	"context"
	"io"

	"github.com/mailserver-dev/mailserver/server/body"
)

// prepare signs the letter and finds out whether it holds octets above 127, once for all its recipients and attempts: what
// goes out is the signature and then the stored bytes (O-53). The caller stores both with the result (storePrepared).
func (s *Service) prepare(ctx context.Context, e *Email, file *body.File) error {
	if e.Prepared {
		return nil
	}
	look := &highBits{r: file}
	signature, err := s.domains.Sign(ctx, e.Domain, s.clock.Now(), look, e.Size)
	if err != nil {
		return err
	}
	if !look.whole(e.Size) { // there is nothing to sign with
		if _, err := io.Copy(io.Discard, io.NewSectionReader(look, 0, e.Size)); err != nil {
			return err
		}
	}
	e.Signature, e.EightBit, e.Prepared, e.fresh = signature, look.seen, true, true
	return nil
}

// highBits notes whether an octet above 127 was read, and how far.
type highBits struct {
	r    io.ReaderAt
	end  int64
	seen bool
}

// ReadAt implements io.ReaderAt.
func (h *highBits) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.r.ReadAt(p, off)
	if off <= h.end && off+int64(n) > h.end {
		h.end = off + int64(n)
	}
	if !h.seen {
		for _, b := range p[:n] {
			if b >= 0x80 {
				h.seen = true
				break
			}
		}
	}
	return n, err
}

// whole reports whether everything has been read from the beginning.
func (h *highBits) whole(size int64) bool { return h.end >= size }
