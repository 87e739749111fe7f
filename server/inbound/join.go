package inbound

import (
	"io"

	"github.com/mailserver-dev/mailserver/server/body"
)

// join reads pieces as one.
type join []body.Source

func (j join) size() int64 {
	var n int64
	for _, part := range j {
		n += part.Size
	}
	return n
}

// ReadAt implements io.ReaderAt over all pieces.
func (j join) ReadAt(p []byte, off int64) (n int, err error) {
	for _, part := range j {
		if off >= part.Size {
			off -= part.Size
			continue
		}
		want := min(int64(len(p)-n), part.Size-off)
		got, err := part.R.ReadAt(p[n:n+int(want)], off)
		n += got
		if int64(got) < want {
			return n, err
		}
		if n == len(p) {
			return n, nil
		}
		off = 0
	}
	return n, io.EOF
}
