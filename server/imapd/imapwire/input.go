package imapwire

import (
	"bufio"
	"io"
	"sync"
)

// Buffers are shared by the Readers of a server, so that only clients which are saying something have one. The zero value is ready;
// it may be used by many goroutines at once.
type Buffers struct{ pool sync.Pool } // of *bufio.Reader

func (b *Buffers) get(rd io.Reader) *bufio.Reader {
	if b != nil {
		if br, ok := b.pool.Get().(*bufio.Reader); ok {
			br.Reset(rd)
			return br
		}
	}
	return bufio.NewReaderSize(rd, readBufferSize)
}

func (b *Buffers) put(br *bufio.Reader) {
	if b != nil {
		br.Reset(nil)
		b.pool.Put(br)
	}
}

// firstRead is how much of what ends a silence is read before a buffer is taken: most commands whole.
const firstRead = 64

// input is a buffered reader that holds no buffer while the client is silent.
type input struct {
	rd      io.Reader
	buffers *Buffers
	br      *bufio.Reader // nil while nothing is in it
	head    [firstRead]byte
	have    []byte // of head, not yet read
	err     error  // came together with head
}

// Read implements io.Reader for the buffer.
func (in *input) Read(p []byte) (int, error) {
	if len(in.have) > 0 {
		n := copy(p, in.have)
		in.have = in.have[n:]
		return n, nil
	}
	if err := in.err; err != nil {
		in.err = nil
		return 0, err
	}
	return in.rd.Read(p)
}

// buffer gives the buffer to read from.
func (in *input) buffer() *bufio.Reader {
	if in.br == nil {
		in.br = in.buffers.get(in)
	}
	return in.br
}

func (in *input) buffered() int {
	n := len(in.have)
	if in.br != nil {
		n += in.br.Buffered()
	}
	return n
}

// rest waits until something is there to be read, without a buffer.
func (in *input) rest() error {
	if in.buffered() > 0 || in.err != nil {
		return nil //nolint:nilerr // whoever reads next gets it
	}
	in.release()
	for range emptyReads {
		n, err := in.rd.Read(in.head[:])
		if n > 0 {
			in.have, in.err = in.head[:n], err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// release gives the buffer back with what is in it.
func (in *input) release() {
	if in.br != nil {
		in.buffers.put(in.br)
		in.br = nil
	}
}

// drop forgets what was received and not read, and says how much that was.
func (in *input) drop() int {
	n := in.buffered()
	in.release()
	in.have = nil
	return n
}
