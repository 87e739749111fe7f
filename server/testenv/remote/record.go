package remote

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// record is what is remembered of a session.
type record struct {
	mu    sync.Mutex
	info  Session
	quiet bool // no transcript
	text  strings.Builder
}

// set changes the record.
func (r *record) set(change func(*Session)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.info)
}

// note writes a line into the transcript.
func (r *record) note(side string, line []byte) {
	if r.quiet {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if room := maxTranscript - r.text.Len(); room > 0 {
		line = line[:min(len(line), room)]
		r.text.WriteString(side)
		r.text.Write(line)
		if len(line) == 0 || line[len(line)-1] != '\n' {
			r.text.WriteByte('\n')
		}
	}
}

// fault notes what the client did wrong, each thing once.
func (r *record) fault(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.info.Faults) < maxFaults && !slices.Contains(r.info.Faults, what) {
		r.info.Faults = append(r.info.Faults, what)
	}
}

func (r *record) end() { r.set(func(i *Session) { i.Ended = true }) }

func (r *record) snapshot() Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	info := r.info
	info.Faults = slices.Clone(info.Faults)
	info.Transcript = r.text.String()
	return info
}
