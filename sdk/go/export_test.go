package mailserver

import (
	"io"
	"time"
)

// MaxBlock is the bound of a line and of an event.
const MaxBlock = maxBlock

// Block is one event of a stream as it came; nil means that there was no such field.
type Block struct {
	Kind     string
	ID, Data *string
}

// Blocks reads a whole event stream. The pause is the last one that was asked for, below 0 without one.
func Blocks(src io.Reader) (blocks []Block, pause time.Duration, err error) {
	r := newBlockReader(src)
	for {
		b, err := r.next()
		if err != nil {
			return blocks, r.retry, err
		}
		shown := Block{Kind: b.kind}
		if b.hasID {
			shown.ID = &b.id
		}
		if b.hasData {
			shown.Data = new(string(b.data))
		}
		blocks = append(blocks, shown)
	}
}
