package main

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// resultWithin is how soon after the reply of the other server the result must be stored: a kill later than that explains no
// second copy.
const resultWithin = 3 * time.Second

// route names a recipient of an accepted email.
type route struct{ email, to string }

// sentRow is one line of the table about other servers. It counts recipients; accepted is the sum of once, repeated, bounced,
// waiting and lost.
type sentRow struct {
	Kind     string `json:"kind"`
	Accepted int    `json:"accepted"` // of emails that the server has, acknowledged or not
	Acked    int    `json:"acknowledged"`
	Once     int    `json:"delivered_once"`
	Repeated int    `json:"delivered_again"` // more than one copy
	Bounced  int    `json:"bounced"`
	Told     int    `json:"notices"` // of bounces, in the sender's mailbox
	Waiting  int    `json:"waiting"`
	Lost     int    `json:"lost"`
	// Second copies and their reasons: the other server kept its reply back, its connection was cut when it went down, the
	// server was killed before it had stored the result, it had no database to store it in, none.
	Dropped     int `json:"copies_reply_dropped"`
	Cut         int `json:"copies_connection_cut"`
	Killed      int `json:"copies_killed"`
	Untold      int `json:"copies_no_database"`
	Unexplained int `json:"copies_unexplained"`
	Corrupt     int `json:"corrupt"`
}

func (r *sentRow) add(o sentRow) {
	r.Accepted += o.Accepted
	r.Acked += o.Acked
	r.Once += o.Once
	r.Repeated += o.Repeated
	r.Bounced += o.Bounced
	r.Told += o.Told
	r.Waiting += o.Waiting
	r.Lost += o.Lost
	r.Dropped += o.Dropped
	r.Cut += o.Cut
	r.Killed += o.Killed
	r.Untold += o.Untold
	r.Unexplained += o.Unexplained
	r.Corrupt += o.Corrupt
}

// sentTable are the rows by kind.
type sentTable map[string]*sentRow

func newSentTable() sentTable {
	return sentTable{kindAPI: {Kind: kindAPI}, kindSubmission: {Kind: kindSubmission}}
}

// outside holds what the API says of every email against what the other servers and the senders' mailboxes have.
func (c *checker) outside() {
	emails := c.emailsByLetter()
	c.copies()
	c.notices()
	for _, id := range sortedKeys(c.h.mailings) {
		if m := c.h.mailings[id]; c.sent[m.kind] != nil {
			c.accepted(m, emails[id])
			for _, e := range emails[id] {
				c.settled(m, e)
			}
		}
	}
	for at, n := range c.told {
		c.say(classPhantom, "%d notices tell of %s, to whom the email %s has not bounced", n, at.to, at.email)
	}
}

// emailsByLetter sorts the emails of the API by the letter that they are of, which their subject names.
func (c *checker) emailsByLetter() map[string][]emailState {
	out := map[string][]emailState{}
	for _, id := range sortedKeys(c.w.emails) {
		e := c.w.emails[id]
		letter := strings.TrimPrefix(e.Subject, "chaos ")
		if m := c.h.mailings[letter]; m == nil || m.kind != e.Source {
			c.say(classPhantom, "the API shows the email %s with the subject %q, which no client sent over %s", id, e.Subject, e.Source)
			continue
		}
		out[letter] = append(out[letter], e)
	}
	return out
}

// messageIDs finds emails by what the server put into them. A submitted message keeps the field of its client, which all emails of
// one letter share; there the trace tells.
func (c *checker) messageIDs() map[string]string {
	out := map[string]string{}
	for id, e := range c.w.emails {
		if e.Source == kindAPI {
			out[e.MessageID] = id
		}
	}
	return out
}

// copies checks the bytes and the envelope of everything that the other servers took.
func (c *checker) copies() {
	ids := c.messageIDs()
	for i := range c.w.copies {
		k := &c.w.copies[i]
		k.email = cmp.Or(k.mark.email, ids[k.mark.messageID])
		m := c.h.mailings[k.id]
		switch _, known := c.w.emails[k.email]; {
		case m == nil:
			c.say(classPhantom, "%s has %q, which no client sent", k.domain, k.id)
			continue
		case !known:
			c.say(classPhantom, "%s has %s of an email %q that the API does not show", k.domain, k.id, k.mark)
		case k.from != m.from:
			c.say(classCorrupt, "%s has %s with the envelope sender %q instead of %q", k.domain, k.id, k.from, m.from)
		}
		if !k.holds(m.sum) {
			c.corrupt(m.id, "", "%s: %s has other bytes than were sent", k.domain, k.id)
			if row := c.sent[m.kind]; row != nil {
				row.Corrupt++
			}
		}
		for _, to := range k.to {
			if !slices.Contains(m.recipients, to) {
				c.say(classPhantom, "%s has %s for %s, who is no recipient of it", k.domain, k.id, to)
			}
			at := route{k.email, to}
			c.taken[at] = append(c.taken[at], k)
		}
	}
	for _, list := range c.taken {
		slices.SortFunc(list, func(a, b *farCopy) int { return a.at.Compare(b.at) })
	}
}

// notices checks the form and the place of every notice, and counts them by what they are about.
func (c *checker) notices() {
	ids := c.messageIDs()
	for i := range c.w.messages {
		m := &c.w.messages[i]
		n := m.notice
		if n == nil {
			continue
		}
		about := c.h.mailings[n.letter]
		switch {
		case n.fault != "":
			c.say(classCorrupt, "%s uid %d: a notice that cannot be read: %s", m.box, m.uid, n.fault)
		case about == nil:
			c.say(classPhantom, "%s uid %d: a notice about %q, which no client sent", m.box, m.uid, n.letter)
			continue
		case account(about.from) != m.box.account:
			c.say(classPhantom, "%s uid %d: a notice about %s, which %s sent", m.box, m.uid, n.letter, about.from)
			continue
		}
		email := cmp.Or(n.mark.email, ids[n.mark.messageID])
		for _, to := range n.failed {
			c.told[route{email, to}]++
		}
	}
}

// accepted holds the emails that the server has of a letter against the replies that its client got.
func (c *checker) accepted(m *mailing, emails []emailState) {
	if m.keyed && len(m.emailIDs) > 1 {
		c.say(classDuplicate, "%s: one Idempotency-Key made the emails %s", m.id, strings.Join(m.emailIDs, " and "))
	}
	for _, id := range m.emailIDs {
		if _, ok := c.w.emails[id]; !ok {
			c.say(classLost, "the API does not show the email %s (%s), which it accepted", id, m.id)
			mark(m.fates...)
		}
	}
	far := 0
	for _, to := range m.recipients {
		if isFar(to) {
			far++
		}
	}
	row, got := c.sent[m.kind], len(emails)
	switch most, least := m.arrival.most(m.keyed), m.arrival.least(); {
	case got < least:
		c.say(classLost, "%s was acknowledged over %s and the API shows no email of it", m.id, m.kind)
		mark(m.fates...)
		row.Accepted += far
		row.Acked += far
		row.Lost += far
	case got > most && most == 0:
		c.say(classPhantom, "%s: the API shows %d emails although no attempt over %s can have been accepted", m.id, got, m.kind)
	case got > most:
		c.say(classDuplicate, "%s: the API shows %d emails of it over %s, %d can be explained", m.id, got, m.kind, most)
	case got > 1:
		c.allowed[m.kind] += (got - 1) * far
	}
	if got > 0 && m.arrival.acked == 0 && far > 0 {
		c.surprise[m.kind]++
	}
}

// settled checks every recipient of an email that the server has.
func (c *checker) settled(m *mailing, e emailState) {
	states := map[string]recipientState{}
	for _, r := range e.Recipients {
		states[r.Email] = r
	}
	for _, to := range m.recipients {
		r, ok := states[to]
		switch {
		case !ok:
			c.say(classLost, "email %s (%s) has no recipient %s", e.ID, m.id, to)
			mark(m.fates...)
		case isFar(to):
			c.carried(m, e, r)
		case r.Status != "delivered":
			c.say(classUnsettled, "email %s (%s) to %s is %s: %s", e.ID, m.id, to, r.Status, r.Reply)
		}
	}
	if len(states) > len(m.recipients) {
		c.say(classPhantom, "email %s (%s) has %d recipients, %d were given", e.ID, m.id, len(states), len(m.recipients))
	}
}

// carried checks one recipient of an email who belongs to another server.
func (c *checker) carried(m *mailing, e emailState, r recipientState) {
	row, copies := c.sent[m.kind], c.taken[route{e.ID, r.Email}]
	row.Accepted++
	if m.arrival.acked > 0 {
		row.Acked++
	}
	switch r.Status {
	case "delivered":
		if len(copies) == 0 {
			c.gone(m, e, r)
			return
		}
		c.repeated(m, e, r, copies)
	case "bounced":
		row.Bounced++
		if len(copies) > 0 || !c.d.habit(r.Email).refuse {
			c.say(classPermanent, "email %s (%s) to %s has bounced although the other server takes it and has %d: %s", e.ID, m.id, r.Email, len(copies), r.Reply)
		}
		c.bounced(m, e, r)
	case "queued", "sending", "deferred", "held":
		row.Waiting++
		c.say(classUnsettled, "email %s (%s) to %s is %s after %d attempts: %s", e.ID, m.id, r.Email, r.Status, r.Attempts, r.Reply)
	default:
		c.gone(m, e, r)
	}
}

func (c *checker) gone(m *mailing, e emailState, r recipientState) {
	c.sent[m.kind].Lost++
	c.say(classLost, "email %s (%s) to %s is %s and the other server never got it: %s", e.ID, m.id, r.Email, r.Status, r.Reply)
	mark(m.fates...)
}

// repeated looks for the reason of every second copy: the result of the one before it was never stored.
func (c *checker) repeated(m *mailing, e emailState, r recipientState, copies []*farCopy) {
	row := c.sent[m.kind]
	if len(copies) == 1 {
		row.Once++
		return
	}
	row.Repeated++
	for i, k := range copies[:len(copies)-1] {
		switch c.excuse(k, copies[i+1].at) {
		case excuseDropped:
			row.Dropped++
		case excuseCut:
			row.Cut++
		case excuseKilled:
			row.Killed++
		case excuseDatabase:
			row.Untold++
		default:
			row.Unexplained++
			c.say(classDuplicate, "email %s (%s) reached %s again at %s; nothing befell copy %d of %s, taken by life %d of the server",
				e.ID, m.id, r.Email, copies[i+1].at.Format(clockForm), i+1, k.at.Format(clockForm), c.life(k.at))
		}
	}
}

// clockForm is how the time of a copy is shown.
const clockForm = "15:04:05.000"

// life is which start of the server was at work.
func (c *checker) life(at time.Time) int {
	n := 1
	for _, k := range c.d.kills {
		if !k.again.IsZero() && k.again.Before(at) {
			n++
		}
	}
	return n
}

// The reasons for a second copy.
const (
	excuseDropped  = "dropped"
	excuseCut      = "cut"
	excuseKilled   = "killed"
	excuseDatabase = "database"
)

// excuse says why the server did not know that a copy had been taken when it sent the next one; "" when it could have known.
func (c *checker) excuse(k *farCopy, next time.Time) string {
	if k.replyLost {
		return excuseDropped
	}
	for _, down := range c.d.downs[k.domain] {
		if k.pendingAt(down.from, down.from) && next.After(down.from) {
			return excuseCut
		}
	}
	for _, kill := range c.d.kills {
		if k.pendingAt(kill.at, kill.gone) && next.After(kill.gone) {
			c.latest = max(c.latest, kill.at.Sub(k.at.Add(k.delay)))
			return excuseKilled
		}
	}
	for _, t := range c.d.troubles {
		if t.what.database() && k.pendingAt(t.from, t.to) && next.After(t.from) {
			return excuseDatabase
		}
	}
	return ""
}

// pendingAt says that the copy had been taken and its result need not have been stored when something happened. The line in the
// ledger may be a little later than the end of the connection: the dot was on its way.
func (k *farCopy) pendingAt(from, to time.Time) bool {
	return !k.at.After(to.Add(time.Second)) && !k.at.Add(k.delay+resultWithin).Before(from)
}

// bounced checks that the sender was told once, if there is a mailbox to tell.
func (c *checker) bounced(m *mailing, e emailState, r recipientState) {
	at := route{e.ID, r.Email}
	got, want := c.told[at], 0
	if slices.ContainsFunc(c.w.mailboxes, func(b mailboxState) bool { return b.account == account(m.from) }) {
		want = 1
	}
	delete(c.told, at)
	c.sent[m.kind].Told += got
	switch {
	case got < want:
		c.say(classUntold, "email %s (%s) to %s has bounced and %s has no notice of it", e.ID, m.id, r.Email, m.from)
	case got > want:
		c.say(classDuplicate, "email %s (%s) to %s has bounced and %s has %d notices of it", e.ID, m.id, r.Email, m.from, got)
	}
}
