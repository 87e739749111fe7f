package imapwire

import (
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// A thousand idle connections must not each keep the buffers of the largest command they ever sent.
func TestIdleConnectionHoldsSmallBuffers(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("a LOGIN x "+strings.Repeat("y", 60000)+"\r\n"), LimitsAfterLogin(), nil)
	if _, err := r.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	_ = r.Wait()
	if cap(r.buf) > keepReadBuffer {
		t.Errorf("the reader keeps %d bytes", cap(r.buf))
	}
	w := NewWriter(io.Discard)
	w.FetchSectionBytes(&imap.FetchItemBodySection{}, make([]byte, 20000))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if cap(w.buf) > keepWriteBuffer {
		t.Errorf("the writer keeps %d bytes", cap(w.buf))
	}
}
