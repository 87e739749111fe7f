package main

import (
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// wire gives the letter as a server brings it.
func (l drainLetters) wire(n int) []byte {
	return []byte("Received: here\r\nSubject: " + subject + l.letter(n).id + "\r\n\r\n" + l.text(n))
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestADrainIsOverWhenEveryLetterCameOnce(t *testing.T) {
	t.Parallel()
	l := newDrainLetters(403, 4)
	c := newTally(l)
	for n := range 403 {
		if n%4 != deadOne {
			c.arrive(l.letter(n).to, l.wire(n))
		}
	}
	if !closed(c.rest) || closed(c.all) {
		t.Fatal("all but the dead destination have their letters")
	}
	if v := c.judge(403); v.Lost != l.of(deadOne) || v.clean() {
		t.Errorf("%s", v)
	}
	course, err := c.course()
	if err != nil || len(course.each) != 3 || len(course.rates) != slices20 {
		t.Errorf("%+v, %v", course, err)
	}
	for n := 0; n < 403; n += 4 {
		c.arrive(l.letter(n).to, l.wire(n))
	}
	if v := c.judge(403); !closed(c.all) || !v.clean() || v.Accepted != 403 {
		t.Errorf("%s: %q", v, v.Samples)
	}
}

// What must not happen to a letter is seen, whatever else is right.
func TestALetterThatIsNotAsItWasSentIsSeen(t *testing.T) {
	t.Parallel()
	l := newDrainLetters(40, 2)
	for name, tc := range map[string]struct {
		spoil func(c *tally)
		want  verdict
	}{
		"twice":              {func(c *tally) { c.arrive(l.letter(3).to, l.wire(3)) }, verdict{Doubled: 1}},
		"three times":        {func(c *tally) { c.arrive(l.letter(3).to, l.wire(3)); c.arrive(l.letter(3).to, l.wire(3)) }, verdict{Doubled: 2}},
		"of somebody else":   {func(c *tally) { c.arrive("r@d0.test", []byte("Subject: hello\r\n\r\nx\r\n")) }, verdict{Strange: 1}},
		"with a wrong id":    {func(c *tally) { c.arrive("r@d0.test", []byte("Subject: "+subject+l.name+"-40\r\n\r\nx\r\n")) }, verdict{Strange: 1}},
		"to another address": {func(c *tally) { c.arrive("r@d0.test", l.wire(39)) }, verdict{Strange: 1}},
		"changed": {func(c *tally) {
			c.arrive(l.letter(39).to, []byte(strings.Replace(string(l.wire(39)), "0123", "0124", 1)))
		}, verdict{Corrupt: 1}},
	} {
		c := newTally(l)
		for n := range 39 {
			c.arrive(l.letter(n).to, l.wire(n))
		}
		tc.spoil(c)
		v := c.judge(40)
		if v.Doubled != tc.want.Doubled || v.Strange != tc.want.Strange || v.Corrupt != tc.want.Corrupt || v.kept() || len(v.Samples) == 0 {
			t.Errorf("%s: %s %q", name, v, v.Samples)
		}
	}
}

func TestAFreshLetterIsNotPartOfTheDrain(t *testing.T) {
	t.Parallel()
	l := newDrainLetters(40, 2)
	c := newTally(l)
	id := l.name + "-meanwhile"
	fresh := []byte("Subject: " + subject + id + "\r\n\r\nLetter.\r\n")
	c.expect(id)
	if !c.came(id).IsZero() {
		t.Fatal("it came before it was sent")
	}
	c.arrive("r@"+freshDomain, fresh)
	if c.came(id).IsZero() || c.there() != 0 {
		t.Errorf("%v, %d letters", c.came(id), c.there())
	}
	c.arrive("r@"+freshDomain, fresh)
	if v := c.judge(0); v.Strange != 1 {
		t.Errorf("a second copy: %s", v)
	}
}

func TestLettersAreSpreadEvenly(t *testing.T) {
	t.Parallel()
	l := newDrainLetters(103, 10)
	counted := map[string]int{}
	for n := range 103 {
		counted[l.letter(n).to]++
	}
	for i := range 10 {
		if got := counted["r@"+l.domain(i)]; got != l.of(i) {
			t.Errorf("%s gets %d letters, not %d", l.domain(i), got, l.of(i))
		}
	}
	for line := range strings.SplitSeq(l.text(0), "\r\n") {
		if line != textproto.TrimString(line) || len(line) > 76 {
			t.Errorf("%q would be encoded", line)
		}
	}
}

func TestTheDrainsAreComparedByTheirMedians(t *testing.T) {
	t.Parallel()
	d := drainReport{}
	for _, r := range []drainRound{
		{Seconds: 10},
		{Seconds: 10.6, Dead: blackhole},
		{Seconds: 30, Dead: blackhole, Others: 1}, // somebody else was at work
		{Seconds: 10},
		{Seconds: 10},
		{Seconds: 10.4, Dead: blackhole},
	} {
		r.P50, r.CPU = r.Seconds/2, 2
		d.Rounds = append(d.Rounds, r)
	}
	d.keepTimes(apiTimes{EntriesMost: 3, DestinationsMax: 1500})
	d.compare()
	rows := map[string]figure{}
	for _, f := range tabulate(drainSpecs(quickPlan().emptying), d.values, nil) {
		rows[f.Key] = f
	}
	for key, want := range map[string]struct {
		value float64
		met   bool
	}{
		"drain.slower_percent": {5, true}, "drain.slower_p50_percent": {5, true}, "drain.entries_ms": {3, true}, "drain.destinations_ms": {1500, false},
	} {
		if f := rows[key]; f.Ours.Median == nil || f.Gate == nil || *f.Ours.Median != want.value || f.Gate.Met != want.met {
			t.Errorf("%s: %+v, %v", key, f.Ours, f.Gate)
		}
	}
	if d.Disturbed {
		t.Error("two pairs were undisturbed")
	}
	if noise := d.values["drain.noise_percent"][0]; noise < 1.9 || noise > 2 {
		t.Errorf("noise %v", noise)
	}
}

func TestTheCourseIsShownInFifths(t *testing.T) {
	t.Parallel()
	rates := make([]float64, slices20)
	for i := range rates {
		rates[i] = float64(100 * (1 + i/4))
	}
	rates[3] = 50 // twice as long: 4/(3/100+1/50)
	if got := fifths(rates); got != "80 200 300 400 500" {
		t.Error(got)
	}
}

func TestADrainHasTimeInProportion(t *testing.T) {
	t.Parallel()
	quick, full := quickPlan().emptying, fullPlan().emptying
	if quick.deadline() < 10*time.Minute || full.deadline() < 4*quick.deadline() {
		t.Errorf("%s and %s", quick.deadline(), full.deadline())
	}
}
