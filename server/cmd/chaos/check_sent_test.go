package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// epoch is when the small runs of the tests begin; seconds are counted from it.
func epoch() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func second(n float64) time.Time { return epoch().Add(time.Duration(n * float64(time.Second))) }

// newScene is empty: the server was killed at second 100 and came back at 103, and at second 1000 with its database.
func newScene() *scene {
	return &scene{
		w: world{emails: map[string]emailState{}},
		d: deeds{
			habit: func(address string) habit { return habit{refuse: strings.HasPrefix(address, "nobody")} },
			kills: []killing{
				{how: "SIGKILL", at: second(100), gone: second(100.1), again: second(103)},
				{how: "SIGKILL of all", at: second(1000), gone: second(1000.2), again: second(1004)},
			},
			downs: map[string][]span{"far7.test": {{second(60), second(70)}}},
		},
	}
}

// email makes the API show an email to one recipient, or the next recipient of one.
func (s *scene) email(kind, id, letter, to, status string) {
	e := s.w.emails[id]
	e.ID, e.Source, e.Subject, e.MessageID = id, kind, "chaos "+letter, "<"+id+"@demo.test>"
	e.Recipients = append(e.Recipients, recipientState{Email: to, Status: status, Attempts: 1})
	s.w.emails[id] = e
}

func (s *scene) status(id string, recipient int, status string) {
	s.w.emails[id].Recipients[recipient].Status = status
}

// arrive puts a copy into the ledger of the other server at a second of the run.
func (s *scene) arrive(email, letter, from string, at float64, to ...string) *farCopy {
	_, domain, _ := strings.Cut(to[0], "@")
	s.w.copies = append(s.w.copies, farCopy{content: sumOf(letter), domain: domain, from: from, to: to, at: second(at), mark: s.mark(email)})
	return &s.w.copies[len(s.w.copies)-1]
}

// mark is what a copy of the email tells about its origin.
func (s *scene) mark(email string) origin {
	if s.w.emails[email].Source == kindAPI {
		return origin{messageID: "<" + email + "@demo.test>"}
	}
	return origin{email: email, messageID: "<of the client>"}
}

// tell puts a notice into alice's inbox.
func (s *scene) tell(uid uint32, email, letter string, failed ...string) *notice {
	n := &notice{subject: "could not", letter: letter, mark: s.mark(email), failed: failed}
	id := content{id: noticePrefix + letter + failed[0]}
	at := place{alice("INBOX"), uid}
	s.w.messages = append(s.w.messages, message{place: at, content: id, size: 10, bytes: 10, notice: n})
	s.w.files = append(s.w.files, diskFile{account: "alice", name: id.id, content: id, whole: true})
	return n
}

// sent is an acknowledged submission of alice with an email that has gone to all.
func (s *scene) sent(letter, email string, to ...string) {
	e := inbound(kindSubmission, letter, to...)
	e.From = "alice@demo.test"
	s.op(evAck, e).took = time.Second
	for _, address := range to {
		s.email(kindSubmission, email, letter, address, "delivered")
	}
}

const (
	one   = "one@far1.test"
	two   = "two@far1.test"
	never = "nobody@far2.test"
)

// goodOutside is a scene with one letter of each kind for other servers.
func goodOutside() *scene {
	s := newScene()
	s.sent("plain", "eml_p", one, two)
	s.arrive("eml_p", "plain", "alice@demo.test", 10, one, two)

	s.sent("bounce", "eml_b", one, never)
	s.arrive("eml_b", "bounce", "alice@demo.test", 12, one)
	s.status("eml_b", 1, "bounced")
	s.tell(90, "eml_b", "bounce", never)

	s.sent("dropped", "eml_d", one)
	s.arrive("eml_d", "dropped", "alice@demo.test", 20, one).replyLost = true
	s.arrive("eml_d", "dropped", "alice@demo.test", 21, one)

	s.sent("killed", "eml_k", one)
	s.arrive("eml_k", "killed", "alice@demo.test", 98, one).delay = time.Second
	s.arrive("eml_k", "killed", "alice@demo.test", 130, one)

	s.sent("cut", "eml_c", "cut@far7.test")
	s.arrive("eml_c", "cut", "alice@demo.test", 59, "cut@far7.test").delay = 2 * time.Second
	s.arrive("eml_c", "cut", "alice@demo.test", 71, "cut@far7.test")

	// The client saw a broken connection and sent the letter again: two emails, each goes out once.
	twice := inbound(kindSubmission, "sent twice", two)
	twice.From = "alice@demo.test"
	s.op(evUnknown, twice)
	s.op(evAck, twice)
	for _, id := range []string{"eml_t1", "eml_t2"} {
		s.email(kindSubmission, id, "sent twice", two, "delivered")
		s.arrive(id, "sent twice", "alice@demo.test", 40, two)
	}

	// The API's sender has no mailbox: nobody can be told.
	api := inbound(kindAPI, "program", never)
	api.From, api.Sum = "app@demo.test", "text:program"
	s.op(evAck, api).EmailID = "eml_a"
	s.email(kindAPI, "eml_a", "program", never, "bounced")
	return s
}

func TestLettersToOthersInOrderHaveNoViolation_F2(t *testing.T) {
	t.Parallel()
	s := goodOutside()
	s.finish()
	h, c, classes := s.judge()
	if len(classes) > 0 {
		t.Fatalf("violations: %v", c.out)
	}
	r := newResult(&options{})
	r.tabulate(h, c)
	want := sentRow{Kind: "total", Accepted: 10, Acked: 10, Once: 5, Repeated: 3, Bounced: 2, Told: 1, Dropped: 1, Cut: 1, Killed: 1}
	if r.SentTotal != want {
		t.Errorf("the table says %+v, want %+v", r.SentTotal, want)
	}
	if c.allowed[kindSubmission] != 1 || !r.OK {
		t.Errorf("allowed %v, violations %v", c.allowed, r.Violations)
	}
}

// copyOf finds the nth copy of a letter, from 0.
func (s *scene) copyOf(letter string, n int) *farCopy {
	for i := range s.w.copies {
		if k := &s.w.copies[i]; k.id == letter {
			if n == 0 {
				return k
			}
			n--
		}
	}
	panic("no such copy in the scene")
}

func (s *scene) forget(letter string) {
	s.w.copies = slices.DeleteFunc(s.w.copies, func(k farCopy) bool { return k.id == letter })
}

func TestPlantedFaultsOfLettersToOthersAreFound_F2(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		plant func(*scene)
		want  string
	}{
		"delivered and not there":       {func(s *scene) { s.forget("plain") }, "lost"},
		"one of two recipients missing": {func(s *scene) { k := s.copyOf("plain", 0); k.to = k.to[:1] }, "lost"},
		"acknowledged and unknown to the API": {func(s *scene) {
			s.forget("plain")
			delete(s.w.emails, "eml_p")
		}, "lost"},
		"recipient forgotten": {func(s *scene) {
			e := s.w.emails["eml_p"]
			e.Recipients = e.Recipients[:1]
			s.w.emails["eml_p"] = e
			s.forget("plain")
			s.arrive("eml_p", "plain", "alice@demo.test", 10, one)
		}, "lost"},
		"given up":                {func(s *scene) { s.status("eml_p", 0, "failed"); s.forget("plain") }, "lost"},
		"still on its way":        {func(s *scene) { s.status("eml_p", 0, "sending") }, "unsettled"},
		"held by nobody":          {func(s *scene) { s.status("eml_p", 0, "held") }, "unsettled"},
		"other bytes":             {func(s *scene) { s.copyOf("plain", 0).tail = "tail:other" }, "corrupt"},
		"other envelope sender":   {func(s *scene) { s.copyOf("plain", 0).from = "bob@demo.test" }, "corrupt"},
		"twice for no reason":     {func(s *scene) { s.arrive("eml_p", "plain", "alice@demo.test", 50, one) }, "duplicate"},
		"a third copy":            {func(s *scene) { s.arrive("eml_d", "dropped", "alice@demo.test", 22, one) }, "duplicate"},
		"twice, long before kill": {func(s *scene) { s.copyOf("killed", 0).at = second(95.9) }, "duplicate"},
		"twice before the kill": {func(s *scene) {
			s.copyOf("killed", 1).at = second(99)
		}, "duplicate"},
		"twice after the kill":  {func(s *scene) { s.copyOf("killed", 0).at = second(104) }, "duplicate"},
		"twice around SIGTERM":  {func(s *scene) { s.d.kills, s.d.stops = nil, []span{{second(100), second(101)}} }, "duplicate"},
		"twice, another domain": {func(s *scene) { s.d.downs = map[string][]span{"far8.test": s.d.downs["far7.test"]} }, "duplicate"},
		"one email more than the client can have sent": {func(s *scene) {
			s.email(kindSubmission, "eml_p2", "plain", one, "delivered")
			s.email(kindSubmission, "eml_p2", "plain", two, "delivered")
			s.arrive("eml_p2", "plain", "alice@demo.test", 11, one, two)
		}, "duplicate"},
		"copy of an unknown email": {func(s *scene) { s.arrive("eml_x", "plain", "alice@demo.test", 50, one) }, "phantom"},
		"copy for a stranger":      {func(s *scene) { k := s.copyOf("plain", 0); k.to = append(k.to, "three@far1.test") }, "phantom"},
		"copy of an unknown letter": {func(s *scene) {
			s.arrive("eml_p", "stranger", "alice@demo.test", 50, one)
		}, "phantom"},
		"bounced without a reason": {func(s *scene) {
			s.status("eml_d", 0, "bounced")
			s.forget("dropped")
			s.tell(91, "eml_d", "dropped", one)
		}, "permanent"},
		"bounced although it is there": {func(s *scene) { s.arrive("eml_b", "bounce", "alice@demo.test", 13, never) }, "permanent"},
		"bounce without its notice":    {func(s *scene) { s.remove(alice("INBOX"), 90) }, "untold"},
		"two notices":                  {func(s *scene) { s.tell(91, "eml_b", "bounce", never) }, "duplicate"},
		"notice of another recipient": {func(s *scene) {
			s.tell(91, "eml_b", "bounce", one)
		}, "phantom"},
		"notice of another email": {func(s *scene) { s.message(alice("INBOX"), 90).notice.mark.email = "eml_p" }, "phantom untold"},
		"notice in a stranger's mailbox": {func(s *scene) {
			s.message(alice("INBOX"), 90).box.account = "bob"
			s.w.files[len(s.w.files)-1].account = "bob"
		}, "phantom untold"},
		"notice that cannot be read": {func(s *scene) { s.message(alice("INBOX"), 90).notice.fault = "no parts" }, "corrupt"},
		"notice of nothing":          {func(s *scene) { s.tell(91, "eml_x", "stranger", one) }, "phantom"},
		"notice for a program":       {func(s *scene) { s.tell(91, "eml_a", "program", never) }, "phantom"},
		"notice without a file":      {func(s *scene) { s.w.files = s.w.files[:len(s.w.files)-1] }, "lost"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := goodOutside()
			tc.plant(s)
			s.finish()
			h, c, classes := s.judge()
			if got := strings.Join(classes, " "); got != tc.want {
				t.Fatalf("classes %q, want %q: %v", got, tc.want, c.out)
			}
			r := newResult(&options{})
			r.tabulate(h, c)
			sum := r.SentTotal
			if sum.Accepted != sum.Once+sum.Repeated+sum.Bounced+sum.Waiting+sum.Lost && !strings.HasPrefix(name, "recipient") {
				t.Errorf("the table does not add up: %+v", sum)
			}
			if r.OK || strings.Contains(tc.want, classLost) && !strings.HasPrefix(name, "notice") && r.Total.Lost == 0 {
				t.Errorf("the report says that all is well: %+v", r.Total)
			}
		})
	}
}

func TestMailThatStandsStillAfterAKillIsNoticed(t *testing.T) {
	t.Parallel()
	letter := func(s *scene, id string, to string, at float64) {
		s.sent(id, "eml_"+id, to)
		s.arrive("eml_"+id, id, "alice@demo.test", at, to)
	}
	for name, tc := range map[string]struct {
		plant          func(*scene)
		first, slowest float64
		slow           bool
	}{
		"soon":                {func(s *scene) { letter(s, "a", one, 110) }, 10, 10, false},
		"at the last moment":  {func(s *scene) { letter(s, "a", one, 145) }, 45, 45, false},
		"too late":            {func(s *scene) { letter(s, "a", one, 146) }, 46, 46, true},
		"one domain too late": {func(s *scene) { letter(s, "a", one, 110); letter(s, "b", never, 150) }, 10, 50, true},
		"killed again":        {func(s *scene) { letter(s, "a", one, 110); letter(s, "b", never, 205) }, 10, 10, false},
		"stopped meanwhile": {func(s *scene) {
			s.d.stops = []span{{second(120), second(121)}}
			letter(s, "a", one, 110)
			letter(s, "b", never, 150)
		}, 10, 10, false},
		"stopped, and in time": {func(s *scene) { s.d.stops = []span{{second(120), second(121)}}; letter(s, "a", one, 140) }, 40, 40, false},
		"a domain that was away": {func(s *scene) {
			s.d.downs["far1.test"] = []span{{second(90), second(140)}}
			letter(s, "a", one, 150)
			letter(s, "b", never, 110)
		}, 10, 10, false},
		"only what came later":    {func(s *scene) { s.n = 110; letter(s, "a", one, 130) }, 0, 0, false},
		"only before the restart": {func(s *scene) { letter(s, "a", one, 102) }, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene()
			s.d.kills[1].at, s.d.kills[1].gone, s.d.kills[1].again = second(200), second(200), second(204)
			tc.plant(s)
			s.finish()
			_, c, _ := s.judge()
			c.out = nil
			got := c.recoveries()
			if len(got) != 2 || got[0].First != tc.first || got[0].Slowest != tc.slowest {
				t.Errorf("got %+v, want %v and %v", got, tc.first, tc.slowest)
			}
			if slow := len(c.out) > 0; slow != tc.slow {
				t.Errorf("too slow: %v, want %v: %v", slow, tc.slow, c.out)
			}
		})
	}
}
