package outbound_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/outbound"
)

// backlog makes n of the inserted emails wait: their first recipient, spread over 500 destinations.
func (w *world) backlog(n int) {
	w.t.Helper()
	w.exec(`UPDATE email_recipient r SET status = 'queued', next_at = now() - interval '1 minute', wake_at = now() + interval '1 hour',
			destination = 'd' || (('x' || right(replace(r.email_id::text, '-', ''), 6))::bit(24)::int % 500) || '.test'
		WHERE r.position = 0 AND r.email_id IN (SELECT id FROM email ORDER BY id DESC LIMIT $1)`, n)
	w.exec(`INSERT INTO destination (name) SELECT DISTINCT destination FROM email_recipient ON CONFLICT DO NOTHING`)
	w.exec(`ANALYZE email_recipient, email, destination`)
}

// What runs for each wake-up and each letter reads the rows of its destination and no others, however long the queue and
// however much has been delivered before.
func TestTheQueueIsReadFromItsIndexes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.manyEmails(50_000)
	w.backlog(20_000)
	now := time.Now().Add(time.Minute)
	some := query[string](w, `SELECT email_id::text FROM email_recipient WHERE status = 'queued' LIMIT 1`)
	for name, tc := range map[string]struct {
		sql  string
		args []any
		most int // buffers
	}{
		"is anything due":           {outbound.SQLHasDue, []any{"d7.test", now}, 20},
		"nothing is due":            {outbound.SQLHasDue, []any{"nowhere.test", now}, 20},
		"claim":                     {outbound.SQLClaimDue, []any{"d7.test", now, "token", 100, now}, 3000},
		"nothing to claim":          {outbound.SQLClaimDue, []any{"nowhere.test", now, "token", 100, now}, 20},
		"give back":                 {outbound.SQLUnclaim, []any{[]string{some}, "token", now}, 20},
		"when to look again":        {outbound.SQLNextWake, nil, 20},
		"entries of an email":       {outbound.SQLOpenEntries, []any{some}, 40},
		"a page of the queue":       {outbound.SQLListQueue, []any{true, nil, nil, nil, nil, nil, nil, 51}, 1000},
		"a page of a destination":   {outbound.SQLListQueue, []any{true, nil, nil, nil, nil, "d7.test", nil, 51}, 1500},
		"a page of an email":        {outbound.SQLListQueue, []any{true, nil, nil, nil, some, nil, nil, 51}, 60},
		"one destination":           {outbound.SQLListDestinations, []any{true, nil, nil, nil, "d7.test", now, 2}, 1500},
		"a destination of an admin": {outbound.SQLListDestinations, []any{false, []string{w.demo.ID.UUID()}, nil, nil, "d7.test", now, 2}, 1500},
	} {
		plan := w.explain(tc.sql, tc.args...)
		if strings.Contains(plan, "Seq Scan on email") || strings.Contains(plan, "Seq Scan on email_recipient") {
			t.Errorf("%s scans:\n%s", name, plan)
		}
		pages := 0
		if m := touched.FindStringSubmatch(plan); m != nil {
			pages, _ = strconv.Atoi(m[1])
		}
		if pages == 0 || pages > tc.most {
			t.Errorf("%s reads %d pages, at most %d are expected:\n%s", name, pages, tc.most, plan)
		}
	}
}
