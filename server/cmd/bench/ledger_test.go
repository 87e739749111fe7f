package main

import (
	"slices"
	"testing"
)

// scene is a ledger of five accepted letters and findings that agree with it.
func scene() (*ledger, []finding) {
	l := newLedger()
	letters := newSeries(testPaper(), onlySmall)
	var found []finding
	for n := range 5 {
		s := sending{letter: letters.letter(n, outsider, account(n)), fate: accepted}
		l.add(s)
		found = append(found, finding{s.letter.id, s.letter.to, s.letter.sum()})
	}
	return l, found
}

// settle changes the fate of the letter that was found at a place.
func settle(l *ledger, f finding, to fate) {
	s := l.sent[f.id]
	s.fate = to
	l.add(s)
}

func TestWhatAServerDoesWithAcceptedMailIsNoticed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*ledger, []finding) []finding
		want   verdict
	}{
		"in order": {
			change: func(_ *ledger, f []finding) []finding { return f },
			want:   verdict{Accepted: 5},
		},
		"a lost letter": {
			change: func(_ *ledger, f []finding) []finding { return f[1:] },
			want:   verdict{Accepted: 5, Lost: 1},
		},
		"a doubled letter": {
			change: func(_ *ledger, f []finding) []finding { return append(f, f[2]) },
			want:   verdict{Accepted: 5, Doubled: 1},
		},
		"a corrupt letter": {
			change: func(_ *ledger, f []finding) []finding {
				f[3].sum[0] ^= 1
				return f
			},
			want: verdict{Accepted: 5, Corrupt: 1},
		},
		"two letters with each other's body": {
			change: func(_ *ledger, f []finding) []finding {
				f[0].sum, f[1].sum = f[1].sum, f[0].sum
				return f
			},
			want: verdict{Accepted: 5, Corrupt: 2},
		},
		"a letter in a wrong mailbox": {
			change: func(_ *ledger, f []finding) []finding {
				f[0].to = account(9)
				return f
			},
			want: verdict{Accepted: 5, Lost: 1, Strange: 1},
		},
		"a copy in a wrong mailbox": {
			change: func(_ *ledger, f []finding) []finding {
				second := f[0]
				second.to = account(9)
				return append(f, second)
			},
			want: verdict{Accepted: 5, Strange: 1},
		},
		"a letter without its subject": {
			change: func(_ *ledger, f []finding) []finding {
				f[0].id = ""
				return f
			},
			want: verdict{Accepted: 5, Lost: 1, Strange: 1},
		},
		"a refused letter that is there": {
			change: func(l *ledger, f []finding) []finding {
				settle(l, f[0], refused)
				return f
			},
			want: verdict{Accepted: 4, Refused: 1, Strange: 1},
		},
		"a refused letter that is not there": {
			change: func(l *ledger, f []finding) []finding {
				settle(l, f[0], refused)
				return f[1:]
			},
			want: verdict{Accepted: 4, Refused: 1},
		},
		"a letter without a reply that is there": {
			change: func(l *ledger, f []finding) []finding {
				settle(l, f[0], unknown)
				return f
			},
			want: verdict{Accepted: 4, Unknown: 1},
		},
		"a letter without a reply that is not there": {
			change: func(l *ledger, f []finding) []finding {
				settle(l, f[0], unknown)
				return f[1:]
			},
			want: verdict{Accepted: 4, Unknown: 1},
		},
		"a letter without a reply that is there twice": {
			change: func(l *ledger, f []finding) []finding {
				settle(l, f[0], unknown)
				return append(f, f[0])
			},
			want: verdict{Accepted: 4, Unknown: 1, Doubled: 1},
		},
		"half a letter that is there": {
			change: func(l *ledger, f []finding) []finding {
				settle(l, f[0], unsent)
				return f
			},
			want: verdict{Accepted: 4, Unknown: 1, Strange: 1},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, found := scene()
			got := l.verify(c.change(l, slices.Clone(found)))
			wrong := got.Lost + got.Doubled + got.Corrupt + got.Strange + got.Refused + got.Unknown
			if wrong > 0 && len(got.Samples) == 0 {
				t.Error("nothing says what is wrong")
			}
			got.Samples = nil
			if got.String() != c.want.String() {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got.clean() != (wrong == 0) {
				t.Errorf("clean is %v", got.clean())
			}
		})
	}
}

func TestSamplesAreBoundedAndEverythingIsCounted(t *testing.T) {
	t.Parallel()
	l, _ := scene()
	letters := newSeries(testPaper(), onlySmall)
	for n := range 100 {
		l.add(sending{letter: letters.letter(n, outsider, account(n)), fate: accepted})
	}
	v := l.verify(nil)
	if v.Lost != 105 || len(v.Samples) != mostSamples {
		t.Errorf("%d lost, %d samples", v.Lost, len(v.Samples))
	}
}
