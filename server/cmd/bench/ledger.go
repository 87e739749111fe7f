package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// fate is what the client knows of a letter that it sent.
type fate int

const (
	unsent   fate = iota // the connection broke before the final dot: it must not be there
	refused              // by a reply: it must not be there
	unknown              // no reply to the final dot: it may be there once
	accepted             // it must be there once
)

// sending is one letter with what became of it.
type sending struct {
	letter letter
	fate   fate
	reply  string    // of a refusal, or the error
	begun  time.Time // before MAIL
	dot    time.Time // when the final dot was sent
	took   time.Duration
}

// ledger collects the letters of one measure. It may be used by many goroutines at once.
type ledger struct {
	mu   sync.Mutex
	sent map[string]sending
}

func newLedger() *ledger { return &ledger{sent: map[string]sending{}} }

func (l *ledger) add(s sending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[s.letter.id] = s
}

// taken gives the accepted letters in the order of their ids.
func (l *ledger) taken() []sending {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []sending
	for _, id := range slices.Sorted(maps.Keys(l.sent)) {
		if l.sent[id].fate == accepted {
			list = append(list, l.sent[id])
		}
	}
	return list
}

// dots gives the times from the final dots to their replies.
func (l *ledger) dots() []time.Duration {
	var list []time.Duration
	for _, s := range l.taken() {
		list = append(list, s.took)
	}
	return list
}

// mostSamples bounds the sentences of a verdict; everything is counted.
const mostSamples = 5

// verdict says what became of the letters of a measure.
type verdict struct {
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`
	Unknown  int `json:"unknown"` // no reply to the final dot, or broken before it
	// Lost letters were accepted and are nowhere, Doubled ones are there more than once, Corrupt ones have another body. Strange
	// ones are in a wrong mailbox, were refused and are there all the same, or were never sent.
	Lost    int      `json:"lost"`
	Doubled int      `json:"doubled"`
	Corrupt int      `json:"corrupt"`
	Strange int      `json:"strange"`
	Samples []string `json:"samples,omitempty"`
}

func (v *verdict) say(format string, args ...any) {
	if len(v.Samples) < mostSamples {
		v.Samples = append(v.Samples, fmt.Sprintf(format, args...))
	}
}

// clean is true when every letter was accepted and is there once and unchanged.
func (v verdict) clean() bool { return v.kept() && v.Refused+v.Unknown == 0 }

// kept is true when what was accepted is there once and unchanged, and nothing else is.
func (v verdict) kept() bool { return v.Lost+v.Doubled+v.Corrupt+v.Strange == 0 }

func (v verdict) String() string {
	return fmt.Sprintf("%d accepted, %d refused, %d without a reply, %d lost, %d doubled, %d corrupt, %d strange",
		v.Accepted, v.Refused, v.Unknown, v.Lost, v.Doubled, v.Corrupt, v.Strange)
}

// verify holds what was found against what was sent.
func (l *ledger) verify(found []finding) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var v verdict
	copies := map[string]int{}
	for _, f := range found {
		s, known := l.sent[f.id]
		switch {
		case !known:
			v.Strange++
			v.say("%s holds %q, which was never sent", f.to, f.id)
			continue
		case s.letter.to != f.to:
			v.Strange++
			v.say("%s holds %s, which was sent to %s", f.to, f.id, s.letter.to)
			continue
		case f.sum != s.letter.sum():
			v.Corrupt++
			v.say("%s of %s has another body than was sent", f.id, f.to)
		}
		copies[f.id]++
	}
	for _, id := range slices.Sorted(maps.Keys(l.sent)) {
		v.count(l.sent[id], copies[id])
	}
	return v
}

// count judges one letter of which so many copies were found.
func (v *verdict) count(s sending, copies int) {
	most := 1
	switch s.fate {
	case accepted:
		v.Accepted++
		if copies == 0 {
			v.Lost++
			v.say("%s to %s was accepted and is not there", s.letter.id, s.letter.to)
		}
	case refused:
		v.Refused++
		v.say("%s to %s was refused: %s", s.letter.id, s.letter.to, s.reply)
		most = 0
	case unsent:
		v.Unknown++
		v.say("%s to %s was not sent: %s", s.letter.id, s.letter.to, s.reply)
		most = 0
	case unknown:
		v.Unknown++
		v.say("%s to %s got no reply: %s", s.letter.id, s.letter.to, s.reply)
	}
	switch {
	case most == 0 && copies > 0:
		v.Strange++
		v.say("%s to %s is there although it was not accepted", s.letter.id, s.letter.to)
	case copies > most:
		v.Doubled++
		v.say("%s to %s is there %d times", s.letter.id, s.letter.to, copies)
	}
}
