package main

import (
	"slices"
	"strings"
	"testing"
)

// troubled is the scene with everything in order, whose database was away from second 50 to 60 and whose volume was full from
// second 70 to 80. In both times somebody was told to come back.
func troubled() *scene {
	s := good()
	s.d.troubles = []trouble{
		{span{second(50), second(60)}, lackDatabase}, {span{second(70), second(80)}, lackRoom},
	}
	s.at(55, evRefused, inbound(kindSMTP, "down", "bob@demo.test")).Reply = "451 4.3.0 temporary failure"
	s.at(75, evRefused, inbound(kindSMTP, "full", "bob@demo.test")).Reply = "452 4.3.1 no room"
	return s
}

// at adds an operation at a second of the run, of which only the intent and the reply count.
func (s *scene) at(n float64, outcome string, e entry) *operation {
	op := s.op(outcome, e)
	op.At = second(n)
	return op
}

func TestTroubleInOrderHasNoViolation_F7(t *testing.T) {
	t.Parallel()
	s := troubled()
	s.at(55, evTold, entry{Kind: kindAuth, Reply: "454 4.7.0 later"})
	s.at(55, evTold, entry{Kind: kindLogin, Reply: "imap: NO [UNAVAILABLE] later"})
	s.at(55, evTold, entry{Kind: kindGet, Reply: "503 {}"})
	s.at(75, evTold, entry{Kind: kindGet, Reply: "507 {}"})
	api := inbound(kindAPI, "api full", "bob@demo.test")
	s.at(75, evRefused, api).Reply = "507 {}"
	s.finish()
	h, c, classes := s.judge()
	if len(classes) > 0 {
		t.Fatalf("violations: %v", c.out)
	}
	heard := c.during()
	if len(c.out) > 0 || heard[0].Later["smtp 451"] != 1 || heard[0].Later["submission 454"] != 1 || heard[0].Later["imap NO"] != 1 ||
		heard[0].Doubtful != 1 || heard[1].Later["api 507"] != 2 || heard[1].Doubtful != 0 || heard[0].Wrong+heard[1].Wrong != 0 {
		t.Errorf("heard %+v, violations %v", heard, c.out)
	}
	r := newResult(&options{})
	if r.tabulate(h, c); !r.OK {
		t.Errorf("violations %v", r.Violations)
	}
}

// F-7, F-9: whoever is told the wrong thing loses mail, so the run has to fail.
func TestWrongReplyFailsTheRun_F7(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		at          float64
		kind, reply string
		want        string
	}{
		"5xx to a letter without a database":    {55, kindSMTP, "550 5.1.1 no such user", "permanent"},
		"5xx to a submission":                   {55, kindSubmission, "554 5.3.0 error", "permanent"},
		"5xx to a letter on a full disk":        {75, kindSMTP, "552 5.3.4 too big", "permanent"},
		"5xx at any time":                       {20, kindSMTP, "550 5.0.0 no", "permanent"},
		"450 on a full disk":                    {75, kindSMTP, "450 4.2.1 later", "reply"},
		"sign-in refused for good":              {55, kindAuth, "535 5.7.8 wrong password", "reply"},
		"greeting with 554":                     {55, kindGreeting, "554 5.3.2 no service", "reply"},
		"500 of the API":                        {55, kindAPI, "500 {}", "reply"},
		"507 without a full disk":               {55, kindAPI, "507 {}", "reply"},
		"404 of the API":                        {55, kindAPI, "404 {}", "permanent"},
		"401 of the API":                        {55, kindAPI, "401 {}", "permanent"},
		"500 to a reader":                       {75, kindGet, "500 {}", "reply"},
		"404 to a reader":                       {55, kindGet, "404 {}", "reply"},
		"NO without a code":                     {55, kindAppend, "imap: NO something", "reply"},
		"NO [SERVERBUG]":                        {55, kindSelect, "imap: NO [SERVERBUG] x", "reply"},
		"password called wrong over IMAP":       {55, kindLogin, "imap: NO [AUTHENTICATIONFAILED] x", "reply"},
		"mailbox called missing":                {55, kindRead, "imap: NO [NONEXISTENT] x", "reply"},
		"BAD":                                   {75, kindRead, "imap: BAD x", "reply"},
		"quota named for a disk that is full":   {75, kindAppend, "imap: NO [OVERQUOTA] x", "reply"},
		"a 202 that names nothing, at any time": {20, kindAPI, "202 without an id: {}", "permanent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := troubled()
			e, outcome := entry{Kind: tc.kind}, evTold
			switch tc.kind {
			case kindSMTP, kindSubmission, kindAPI:
				e, outcome = inbound(tc.kind, "refused", "bob@demo.test"), evRefused
			case kindAppend:
				e, outcome = appended("refused", "A", 0), evRefused
			case kindSelect:
				outcome = evRefused
			}
			s.at(tc.at, outcome, e).Reply = tc.reply
			s.finish()
			h, c, classes := s.judge()
			if got := strings.Join(classes, " "); got != tc.want {
				t.Fatalf("classes %q, want %q: %v", got, tc.want, c.out)
			}
			if tc.at > 50 && c.during()[int(tc.at-50)/20].Wrong != 1 {
				t.Error("the table of the troubles does not count it")
			}
			r := newResult(&options{})
			if r.tabulate(h, c); r.OK {
				t.Error("the report says that all is well")
			}
		})
	}
}

func TestAcknowledgedWithoutADatabaseAndNotSavedIsALoss_F7(t *testing.T) {
	t.Parallel()
	s := troubled()
	s.at(55, evAck, inbound(kindSMTP, "promised", "bob@demo.test"))
	s.at(56, evAck, appended("kept?", "A", 40))
	s.finish()
	if _, c, classes := s.judge(); !slices.Equal(classes, []string{classLost}) || len(c.out) != 2 {
		t.Errorf("violations %v", c.out)
	}
}

// D-12: the answer to a COMMIT was lost with the database, and the client was told to come back.
func TestRefusedInTheMomentOfTheEndOfTheDatabaseMayBeThereOrNot_D12(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} {
		s := troubled()
		down := s.find(kindSMTP, "down")
		down.Step = stepDot
		s.at(57, evAck, down.entry)
		s.at(55, evRefused, appended("maybe", "A", 0)).Reply = "imap: NO [UNAVAILABLE] x"
		store := changed(kindStore, "kept", "A", 1)
		store.Flags = []string{`\flagged`}
		s.at(55, evRefused, store).Reply = "imap: NO [UNAVAILABLE] x"
		s.at(55, evRefused, changed(kindExpunge, "flagged", "A", 5)).Reply = "imap: NO [UNAVAILABLE] x"
		s.show(boxName{"bob", "INBOX"}, 20, "down")
		if there {
			s.show(boxName{"bob", "INBOX"}, 21, "down")
			s.show(alice("A"), 50, "maybe")
			s.message(alice("A"), 1).flags = store.Flags
			s.remove(alice("A"), 5)
		}
		s.finish()
		if _, c, classes := s.judge(); len(classes) > 0 {
			t.Errorf("there %v: %v", there, c.out)
		}
	}
}

func TestRefusedForSureMustNotBeThere_F9(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(*scene){
		"before the dot": func(s *scene) {
			s.find(kindSMTP, "down").Step = stepRcpt
			s.show(boxName{"bob", "INBOX"}, 20, "down")
		},
		"on a full disk with a database": func(s *scene) { s.show(boxName{"bob", "INBOX"}, 20, "full") },
		"after the trouble": func(s *scene) {
			s.at(65, evRefused, inbound(kindSMTP, "late", "bob@demo.test")).Reply = "451 4.3.0 x"
			s.show(boxName{"bob", "INBOX"}, 20, "late")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := troubled()
			plant(s)
			s.finish()
			if _, c, classes := s.judge(); !slices.Equal(classes, []string{classPhantom}) {
				t.Errorf("violations %v", c.out)
			}
		})
	}
}

func TestVolumeOnWhichNothingWasRefusedWasNotFull_F9(t *testing.T) {
	t.Parallel()
	s := troubled()
	s.find(kindSMTP, "full").At = second(85)
	s.finish()
	_, c, _ := s.judge()
	if c.during(); len(c.out) != 1 || c.out[0].Class != classInternal {
		t.Errorf("violations %v", c.out)
	}
}

func TestResultThatNoDatabaseCouldTakeExplainsASecondCopy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		from, to float64
		what     lack
		want     string
	}{
		"in the time without a database":  {97, 120, lackDatabase, ""},
		"and in that without room for it": {97, 120, lackDatabaseRoom, ""},
		"not without room for messages":   {97, 120, lackRoom, "duplicate"},
		"not before":                      {105, 120, lackDatabase, "duplicate"},
		"not after":                       {80, 96, lackDatabase, "duplicate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := goodOutside()
			s.d.kills = nil
			s.d.troubles = []trouble{{span{second(tc.from), second(tc.to)}, tc.what}}
			s.finish()
			_, c, classes := s.judge()
			if got := strings.Join(classes, " "); got != tc.want {
				t.Fatalf("classes %q, want %q: %v", got, tc.want, c.out)
			}
			if n := c.sent[kindSubmission].Untold; (n == 1) != (tc.want == "") {
				t.Errorf("the table counts %d copies for want of a database", n)
			}
		})
	}
}

func TestLetterCutOffByAStopIsNoticed_F18(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		outcome, kind, reply string
		want                 underway
		cut                  bool
	}{
		{evAck, kindSMTP, "250", underway{Finished: 1}, false},
		{evRefused, kindSMTP, "421 4.3.2 shutting down", underway{Later: 1}, false},
		{evUnsent, kindSMTP, "EOF", underway{Unsent: 1}, false},
		{evUnknown, kindSMTP, "EOF", underway{Unknown: 1}, true},
		{evUnknown, kindSubmission, "EOF", underway{Unknown: 1}, true},
		{evUnknown, kindAppend, "EOF", underway{Unknown: 1}, false},
	} {
		s := good()
		s.d.stops = []span{{second(200), second(201)}}
		e := inbound(tc.kind, "meeting", "bob@demo.test")
		if tc.kind == kindAppend {
			e = appended("meeting", "A", 0)
		}
		s.at(199.95, tc.outcome, e).Reply = tc.reply
		s.at(202, evUnknown, inbound(kindSMTP, "later", "bob@demo.test"))
		if tc.outcome == evAck {
			s.show(boxName{"bob", "INBOX"}, 30, "meeting")
		}
		s.finish()
		_, c, classes := s.judge()
		if got := c.underway[wayName(wayOf(tc.kind))]; got != tc.want {
			t.Errorf("%s of %s: counted as %+v", tc.outcome, tc.kind, got)
		}
		if cut := slices.Equal(classes, []string{classCut}); cut != tc.cut || !cut && len(classes) > 0 {
			t.Errorf("%s of %s: violations %v", tc.outcome, tc.kind, c.out)
		}
	}
}

func TestRunThatAcknowledgedTooLittleProvesNothing(t *testing.T) {
	t.Parallel()
	s := good()
	s.finish()
	h, c, _ := s.judge()
	for least, want := range map[int]bool{0: true, 9: true, 10: false} {
		r := newResult(&options{})
		r.Parts = []partResult{{Name: partKills, Ran: true}, {Name: partDisk, Skipped: "no root"}}
		r.tabulate(h, c)
		if r.tally(least); r.OK != want {
			t.Errorf("of at least %d there are %d: %v", least, r.Acked, r.OK)
		}
		if r.without() != " without disk" {
			t.Errorf("the last line does not say what was left out: %q", r.without())
		}
		r = newResult(&options{})
		r.Parts = []partResult{{Name: partDisk, Skipped: "no root"}}
		if r.tally(0); r.OK {
			t.Error("a run of nothing is called good")
		}
	}
}
