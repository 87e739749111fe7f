package bus_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/mail"
)

func woken(s *bus.Sub) bool {
	select {
	case <-s.C:
		return true
	default:
		return false
	}
}

func TestASubscriberIsWokenByItsOwnTopicOnly(t *testing.T) {
	t.Parallel()
	b := bus.New()
	mine, other := b.Subscribe(bus.Mailbox(1)), b.Subscribe(bus.Mailbox(2))
	defer mine.Close()
	defer other.Close()
	b.Publish(bus.Mailbox(1))
	if !woken(mine) {
		t.Fatal("the watcher of mailbox 1 slept through its change")
	}
	if woken(other) {
		t.Fatal("the watcher of mailbox 2 was woken by mailbox 1")
	}
}

func TestManyNoticesBecomeOneWakeUpAndNeverBlockThePublisher(t *testing.T) {
	t.Parallel()
	b := bus.New()
	s := b.Subscribe(bus.Events)
	defer s.Close()
	for range 1000 {
		b.Publish(bus.Events)
	}
	if !woken(s) || woken(s) {
		t.Fatal("want exactly one wake-up for a thousand notices")
	}
	b.Publish(bus.Events)
	if !woken(s) {
		t.Fatal("a notice after the wake-up was taken must wake again")
	}
}

func TestAClosedSubscriptionHearsNothingMore(t *testing.T) {
	t.Parallel()
	b := bus.New()
	s, stays := b.Subscribe("x"), b.Subscribe("x")
	defer stays.Close()
	s.Close()
	s.Close()
	b.Publish("x", "y")
	if woken(s) {
		t.Fatal("a closed subscription was woken")
	}
	if !woken(stays) {
		t.Fatal("closing one subscription deafened the other")
	}
}

func TestTopicsOfDifferentThingsNeverCollide(t *testing.T) {
	t.Parallel()
	id := mail.UserID{}.New(time.Unix(1, 0))
	seen := map[string]bool{}
	for _, topic := range []string{bus.Events, bus.Mailbox(1), bus.Mailbox(11), bus.Account(id), bus.Credentials(id), bus.Key(mail.KeyID(id))} {
		if seen[topic] {
			t.Fatalf("topic %q names two things", topic)
		}
		seen[topic] = true
	}
}

// A watcher that re-reads the state after each wake-up must end with the final state, however the publishers race.
func TestNobodyEndsWithAnOldState_D41(t *testing.T) {
	t.Parallel()
	const writers, rounds = 8, 500
	b := bus.New()
	var state atomic.Int64
	var watchers, publishers sync.WaitGroup
	for range 4 {
		s := b.Subscribe(bus.Mailbox(7))
		watchers.Go(func() {
			defer s.Close()
			for state.Load() < writers*rounds {
				<-s.C
			}
		})
	}
	for range writers {
		publishers.Go(func() {
			for range rounds {
				state.Add(1)
				b.Publish(bus.Mailbox(7))
			}
		})
	}
	publishers.Wait()
	watchers.Wait()
}
