package outbound_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// A dashboard asks for these numbers every second or few. Their cost is that of what waits; what was sent long ago is not read.
func TestCountingTheQueueNeverReadsWhatWasSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.manyEmails(50_000)
	w.backlog(8000)
	w.exec(`INSERT INTO email (id, domain_id, actor, source, test, envelope_from, header_from, subject, message_id, file, size, sha256, status, tags,
			metadata, created_at, expires_at)
		SELECT gen_random_uuid(), $1, 'system:test', 'api', false, '', '', '', '', '', 1, '', 'delivered', '[]', '{}', now(), now()
		FROM generate_series(1, 60000)`, w.demo.ID)
	w.exec(`ANALYZE email, email_recipient, destination`)
	for name, sql := range map[string]string{"the queue": outbound.SQLCountQueue, "by domain": outbound.SQLCountQueueByDomain} {
		plan := w.explain(sql, time.Now())
		if strings.Contains(plan, "Seq Scan on email ") || strings.Contains(plan, "Seq Scan on email e") || strings.Contains(plan, "Seq Scan on email_recipient") {
			t.Errorf("%s scans:\n%s", name, plan)
		}
	}
}

func TestTheQueueIsCountedByStateAndDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.manyEmails(100)
	w.backlog(100) // 10 of them are of other.test
	w.exec(`UPDATE email_recipient SET destination = 'one.test' WHERE position = 0`)
	set := func(n int, change string) {
		w.exec(`UPDATE email_recipient SET `+change+` WHERE id IN (SELECT id FROM email_recipient
			WHERE position = 0 AND status = 'queued' AND lease = '' AND email_id <> '00000000-0000-0000-0000-000000000064' ORDER BY id LIMIT $1)`, n)
	}
	set(20, `status = 'deferred'`)
	set(30, `status = 'held'`)
	set(5, `lease = 'live'`)
	set(7, `lease = 'dead'`)
	w.exec(`INSERT INTO destination (name, lease, lease_until) VALUES ('one.test', 'live', now() + interval '1 hour') ON CONFLICT (name) DO UPDATE
		SET lease = EXCLUDED.lease, lease_until = EXCLUDED.lease_until`)
	w.exec(`INSERT INTO destination (name, held) VALUES ('held.test', true), ('idle.test', false)`)
	got, err := w.out.CountQueue(t.Context())
	if want := (outbound.QueueCounts{Queued: 45, Sending: 5, Deferred: 20, Held: 30, Paused: 1}); err != nil || got != want {
		t.Errorf("%+v (%v)", got, err)
	}
	// Only other.test has something for the destination that opens its breaker; nothing waits for the one that is held.
	w.exec(`UPDATE email_recipient SET destination = 'open.test' WHERE email_id = '00000000-0000-0000-0000-000000000064'`)
	w.exec(`INSERT INTO destination (name, next_at) VALUES ('open.test', $1)`, w.clk.Now().Add(time.Hour))
	list, err := w.out.CountQueueByDomain(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	var sum outbound.QueueCounts
	for id, paused := range map[mail.DomainID]int64{w.demo.ID: 0, w.other.ID: 1} {
		c := list[id]
		sum.Queued, sum.Sending, sum.Deferred, sum.Held = sum.Queued+c.Queued, sum.Sending+c.Sending, sum.Deferred+c.Deferred, sum.Held+c.Held
		if c.Paused != paused || len(c.PausedNames) != int(paused) {
			t.Errorf("%+v", c)
		}
	}
	if c := list[w.other.ID]; c.Queued+c.Sending+c.Deferred+c.Held != 10 || c.PausedNames[0] != "open.test" {
		t.Errorf("%+v", c)
	}
	if want := (outbound.QueueCounts{Queued: 45, Sending: 5, Deferred: 20, Held: 30}); sum != want {
		t.Errorf("%+v", sum)
	}
}

// Who follows the ledger is woken by each step of a letter, not by a clock.
func TestWatchersAreWokenByWhatBecomesOfALetter(t *testing.T) {
	t.Parallel()
	w, _ := direct(t)
	w.user("bob@d.test")
	sub := w.notices.Subscribe(bus.Events)
	defer sub.Close()
	select {
	case <-sub.C:
	default:
	}
	step := func(name string, do func()) {
		t.Helper()
		do()
		select {
		case <-sub.C:
		default:
			t.Errorf("%s wakes nobody", name)
		}
	}
	var e *outbound.Email
	manage := func(act outbound.Action) func() {
		return func() {
			if _, err := w.out.Manage(t.Context(), system(), e.Recipients[0].ID, act); err != nil {
				t.Fatal(err)
			}
		}
	}
	step("a letter for here", func() { e = w.accept("bob@d.test") })
	step("its delivery", func() { w.attempt(e.ID) })
	step("a letter for others", func() { e = w.accept("x@far.test") })
	step("holding it", manage(outbound.Hold))
	step("releasing it", manage(outbound.Release))
	step("its delivery", func() { w.drain("far.test") })
	step("a letter that is cancelled", func() { e = w.accept("x@far.test") })
	step("cancelling it", func() {
		if _, err := w.out.Cancel(t.Context(), system(), e.ID); err != nil {
			t.Fatal(err)
		}
	})
	step("holding a destination", func() {
		if _, err := w.out.ManageDestination(t.Context(), system(), "far.test", outbound.Hold); err != nil {
			t.Fatal(err)
		}
	})
}
