package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

const (
	// streamStall is how long a client may take for one write, and lastWrite when the server stops. The listener's own limit knows
	// connections only; this one knows streams of HTTP/2 too.
	streamStall, lastWrite = time.Minute, time.Second
	// flushAt is how much is collected before it is written.
	flushAt = 64 << 10
)

// frames writes server-sent events (WHATWG HTML §9.2.6). Only hurry may be called by another goroutine.
type frames struct {
	w       io.Writer
	control *http.ResponseController
	buf     bytes.Buffer
	err     error
	stall   time.Duration

	mu      sync.Mutex
	stopped bool
}

func newFrames(w io.Writer) *frames {
	f := &frames{w: w, stall: streamStall}
	if answer, ok := w.(http.ResponseWriter); ok {
		f.control = http.NewResponseController(answer)
	}
	return f
}

// frame adds one event. Its data is one line: JSON has no line ends of its own.
func (f *frames) frame(kind, id string, data any, more ...string) {
	text, err := marshalPlain(data)
	if err != nil {
		f.err = errors.Join(f.err, err)
		return
	}
	if id != "" {
		f.line("id: " + id)
	}
	f.line("event: " + kind)
	for _, line := range more {
		f.line(line)
	}
	f.line("data: " + text)
	f.buf.WriteByte('\n')
	if f.buf.Len() >= flushAt {
		_ = f.flush() // its error is kept
	}
}

func (f *frames) comment(text string) {
	f.line(": " + text)
	f.buf.WriteByte('\n')
}

func (f *frames) line(text string) {
	f.buf.WriteString(strings.NewReplacer("\n", " ", "\r", " ").Replace(text))
	f.buf.WriteByte('\n')
}

// flush sends what was added. After an error nothing more is sent.
func (f *frames) flush() error {
	if f.err != nil || f.buf.Len() == 0 {
		return f.err
	}
	f.deadline()
	_, f.err = f.w.Write(f.buf.Bytes())
	f.buf.Reset()
	if f.err == nil && f.control != nil {
		f.err = f.control.Flush()
	}
	return f.err
}

// deadline bounds the next write.
func (f *frames) deadline() {
	f.mu.Lock()
	defer f.mu.Unlock()
	within := f.stall
	if f.stopped {
		within = lastWrite
	}
	f.setDeadline(clock.System().Now().Add(within))
}

func (f *frames) setDeadline(at time.Time) {
	if f.control != nil {
		_ = f.control.SetWriteDeadline(at) // where there are none, the listener's limit holds
	}
}

// hurry gives a write that is waiting a last second, because the server stops.
func (f *frames) hurry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	f.setDeadline(clock.System().Now().Add(lastWrite))
}

// done takes the deadline away, for what follows on the connection.
func (f *frames) done() { f.setDeadline(time.Time{}) }

// marshalPlain renders JSON as the API does: without escapes for HTML.
func marshalPlain(v any) (string, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
