package main

import (
	"bufio"
	"bytes"
	"strings"
	"sync"
	"testing"
)

// testPaper is made once, because that takes a while under the race detector; nobody changes it.
var testPaper = sync.OnceValue(newPaper)

func TestEveryHundredLettersHoldTheWholeMix(t *testing.T) {
	t.Parallel()
	for begin := range 3 {
		count := map[int]int{}
		for n := range 100 {
			count[everyday(100*begin+n)]++
		}
		if count[small] != 70 || count[medium] != 25 || count[large] != 5 {
			t.Errorf("hundred %d: %v", begin, count)
		}
	}
}

func TestLettersHaveTheirSizeAndHoldWhatServersAreKnownToChange(t *testing.T) {
	t.Parallel()
	p := testPaper()
	for size, f := range p {
		l := letter{"b-1", outsider, account(0), f}
		whole := len(l.header()) + len(l.firstLine()) + len(f.plain)
		if whole < size*95/100 || whole > size*105/100 {
			t.Errorf("a letter of %d bytes has %d", size, whole)
		}
		for line := range bytes.Lines(f.plain) {
			if !bytes.HasSuffix(line, []byte("\r\n")) || len(line) > 1000 {
				t.Fatalf("size %d has the line %.80q", size, line)
			}
		}
	}
	for _, trap := range []string{"\r\n.\r\n", "\r\n..\r\n", "\r\nFrom ", "   \r\n", "\r\n\r\n"} {
		if !bytes.Contains(p[medium].plain, []byte(trap)) {
			t.Errorf("no letter holds %q", trap)
		}
	}
}

func TestTwoLettersNeverHaveTheSameBody(t *testing.T) {
	t.Parallel()
	p := testPaper()
	one, two := newSeries(p, onlySmall), newSeries(p, onlySmall)
	seen := map[[32]byte]bool{}
	for n := range 50 {
		seen[one.letter(n, outsider, account(n)).sum()] = true
		seen[two.letter(n, outsider, account(n)).sum()] = true
	}
	if len(seen) != 100 {
		t.Errorf("100 letters have %d different bodies", len(seen))
	}
}

func TestDotsSurviveTheWayThroughSMTP(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"a\r\n", ".\r\n", "..\r\n.\r\nx\r\n", "\r\n.a\r\n", strings.Repeat("x", 40_000) + "\r\n.\r\n"} {
		wire := string(stuff([]byte(plain))) + ".\r\nNEXT"
		r := bufio.NewReader(strings.NewReader(wire))
		got, err := readDotted(r)
		if err != nil || string(got) != plain {
			t.Errorf("%.40q came as %.40q, %v", plain, got, err)
		}
		if rest, _ := r.Peek(4); string(rest) != "NEXT" {
			t.Errorf("%.40q: the end was not found", plain)
		}
	}
}

func TestALetterIsRecognisedBelowWhatServersPutOnTop(t *testing.T) {
	t.Parallel()
	l := newSeries(testPaper(), onlySmall).letter(7, outsider, account(7))
	raw := "Return-Path: <x@y>\r\nReceived: from a\r\n\tby b; Subject: no\r\n" + l.header() + l.firstLine() + string(l.filler.plain)
	f := recognise(l.to, []byte(raw))
	if f.id != l.id || f.sum != l.sum() || f.to != l.to {
		t.Errorf("found %q, want %q; sums equal: %v", f.id, l.id, f.sum == l.sum())
	}
	changed := strings.Replace(raw, "and so on.", "and so on!", 1)
	if f := recognise(l.to, []byte(changed)); f.id != l.id || f.sum == l.sum() {
		t.Error("one other character in the body was not noticed")
	}
	if f := recognise(l.to, []byte("Subject: something else\r\n\r\nhi\r\n")); f.id != "" {
		t.Errorf("a stranger has the id %q", f.id)
	}
}
