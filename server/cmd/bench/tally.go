package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// deadOne is the destination that is dead in every second drain. Its mail is the first of every batch, and so are its wake-ups.
const deadOne = 0

// drainText is about the size of a letter of the drain without its header, in bytes.
const drainText = 600

// drainLetters are the letters of a drain, spread evenly over the destinations, neighbours to different ones.
type drainLetters struct {
	name         string // of the series
	messages     int
	destinations int
	filler       filler
}

func newDrainLetters(messages, destinations int) drainLetters {
	dice := rand.New(rand.NewPCG(2, 2)) //nolint:gosec // the same letters in every run, on purpose
	lines := strings.Repeat("0123456789 abcdefghijklmnopqrstuvwxyz "+strconv.Itoa(dice.IntN(10))+" and so on.\r\n", drainText/53)
	return drainLetters{newSeries(nil, nil).name, messages, destinations, filler{plain: []byte(lines)}}
}

// domain gives the name of a destination.
func (drainLetters) domain(destination int) string { return "d" + strconv.Itoa(destination) + ".test" }

func (l drainLetters) letter(n int) letter {
	return letter{l.name + "-" + strconv.Itoa(n), account(0), "r@" + l.domain(n%l.destinations), l.filler}
}

// text is the body that the API is given.
func (l drainLetters) text(n int) string { return l.letter(n).firstLine() + string(l.filler.plain) }

// of gives how many letters a destination gets.
func (l drainLetters) of(destination int) int {
	n := l.messages / l.destinations
	if destination < l.messages%l.destinations {
		n++
	}
	return n
}

// number finds the letter that an id belongs to.
func (l drainLetters) number(id string) (n int, ok bool) {
	digits, ok := strings.CutPrefix(id, l.name+"-")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0 && n < l.messages
}

// slices20 is into how many parts of equal size the course of a drain is cut.
const slices20 = 20

// tally counts what comes to the sink during one drain. Its memory does not grow with what comes.
type tally struct {
	letters drainLetters

	mu       sync.Mutex
	copies   []uint8 // of each letter
	left     []int   // by destination, not yet there
	waiting  int     // destinations but the dead one that miss a letter
	missing  int     // letters in all
	finished []time.Time
	begin    time.Time
	living   int // letters for destinations but the dead one that are there
	marks    []time.Time
	verdict  verdict
	fresh    map[string]time.Time // when letters that were sent meanwhile came
	// rest is closed when every destination but the dead one has all its letters, all when that one has, too.
	rest, all chan struct{}
}

func newTally(l drainLetters) *tally {
	t := &tally{
		letters: l, copies: make([]uint8, l.messages), left: make([]int, l.destinations), finished: make([]time.Time, l.destinations),
		waiting: l.destinations - 1, missing: l.messages, fresh: map[string]time.Time{}, rest: make(chan struct{}), all: make(chan struct{}),
	}
	for i := range t.left {
		t.left[i] = l.of(i)
	}
	return t
}

// arrive counts a letter that came for the address.
func (t *tally) arrive(to string, raw []byte) {
	found, now := recognise(to, raw), time.Now()
	n, ok := t.letters.number(found.id)
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, known := t.fresh[found.id]; known && at.IsZero() {
		t.fresh[found.id] = now
		return
	}
	if !ok {
		t.verdict.Strange++
		t.verdict.say("an unknown letter %.60q for %s", found.id, to)
		return
	}
	if t.copies[n] > 0 {
		t.verdict.Doubled++
		t.verdict.say("%s came again for %s", found.id, to)
		t.copies[n] = min(t.copies[n], 254) + 1
		return
	}
	t.copies[n] = 1
	want := t.letters.letter(n)
	switch {
	case to != want.to:
		t.verdict.Strange++
		t.verdict.say("%s came for %s, not for %s", found.id, to, want.to)
	case found.sum != want.sum():
		t.verdict.Corrupt++
		t.verdict.say("%s has another body", found.id)
	}
	t.progress(n%t.letters.destinations, now)
}

// progress counts a new letter of a destination.
func (t *tally) progress(destination int, now time.Time) {
	if t.begin.IsZero() {
		t.begin = now
	}
	t.missing--
	t.left[destination]--
	if destination != deadOne {
		t.living++
		if total := t.letters.messages - t.letters.of(deadOne); t.living*slices20 >= (len(t.marks)+1)*total {
			t.marks = append(t.marks, now)
		}
	}
	if t.left[destination] == 0 {
		t.finished[destination] = now
		if destination != deadOne {
			t.waiting--
		}
		if t.waiting == 0 && destination != deadOne {
			close(t.rest)
		}
	}
	if t.missing == 0 {
		close(t.all)
	}
}

// expect makes room for a fresh letter, which does not belong to the queue that is drained.
func (t *tally) expect(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fresh[id] = time.Time{}
}

// came gives when a fresh letter came, zero before.
func (t *tally) came(id string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fresh[id]
}

// there gives how many letters have come.
func (t *tally) there() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.letters.messages - t.missing
}

// judge gives the verdict when everything that was accepted should have come.
func (t *tally) judge(taken int) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.verdict
	v.Samples = slices.Clone(v.Samples)
	v.Accepted, v.Refused, v.Lost = taken, t.letters.messages-taken, t.missing-(t.letters.messages-taken)
	for n, copies := range t.copies {
		if copies == 0 {
			v.say("%s is missing", t.letters.letter(n).id)
		}
	}
	return v
}

// course is how a drain went, for the destinations but the dead one. Times count from the first letter at the sink.
type course struct {
	total time.Duration
	each  []time.Duration // when each destination had all its letters
	rates []float64       // letters per second in each twentieth
}

func (t *tally) course() (course, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting > 0 {
		return course{}, fmt.Errorf("%d destinations miss letters", t.waiting)
	}
	var c course
	for i, at := range t.finished {
		if i != deadOne {
			c.each = append(c.each, at.Sub(t.begin))
		}
	}
	c.total = slices.Max(c.each)
	share := (t.letters.messages - t.letters.of(deadOne)) / slices20
	for i, at := range t.marks {
		before := t.begin
		if i > 0 {
			before = t.marks[i-1]
		}
		c.rates = append(c.rates, round(rate(share, at.Sub(before))))
	}
	return c, nil
}
