package api_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/api"
)

// stall sends the beginning of a body and no more, and gives what ends it.
func (e *env) stall(token, path, beginning string) (end func() *answer) {
	e.t.Helper()
	slow, feed := io.Pipe()
	done := make(chan *answer, 1)
	go func() { done <- e.call(token, "POST", path, slow) }()
	go func() { _, _ = io.WriteString(feed, beginning) }() // ends with the reader
	return func() *answer {
		feed.Close()
		return <-done
	}
}

func TestStalledBodiesOfOneKeyShutOutNobody(t *testing.T) {
	t.Parallel()
	const room = 8 << 20
	e := newEnv(t, func(d *api.Deps) {
		d.Limits.API.BodyBudgetBytes, d.Limits.API.BatchBytes, d.Limits.API.BodyBytes = room, 2<<20, 2<<20
	})
	test := e.newKey([]string{"emails:send"})
	var ends []func() *answer
	for range 2 {
		ends = append(ends, e.stall(test, "/v1/emails/batch", `["`+strings.Repeat("x", 1<<20-2)))
	}
	await(t, "both are held", func() bool { return e.api.Room() == room-2<<20 })
	large := raw(`{"from":"app@a.test","to":"owner@a.test","text":"` + strings.Repeat("x", 3<<19) + `"}`)
	a := e.call(test, "POST", "/v1/emails", large)
	a.problem(429, "rate-limited")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	e.call(e.key, "POST", "/v1/emails", large).want(202)
	// Several keys together take what large bodies may have; small ones have room still.
	for range 2 {
		other := e.newKey([]string{"emails:send"})
		for range 2 {
			ends = append(ends, e.stall(other, "/v1/emails/batch", `["`+strings.Repeat("x", 1<<20-2)))
		}
	}
	await(t, "all six are held", func() bool { return e.api.Room() == room-6<<20 })
	e.call(e.key, "POST", "/v1/emails", large).problem(503, "unavailable")
	e.call(e.key, "POST", "/v1/emails", raw(letter)).want(202)
	e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: goodPassword}).want(201)
	for _, end := range ends {
		end().problem(400, "bad-json")
	}
	await(t, "all room is given back", func() bool { return e.api.Room() == room })
	e.call(test, "POST", "/v1/emails", large).want(202)
}

func TestTheLastRoomIsForSmallBodies(t *testing.T) {
	t.Parallel()
	b := api.NewBudget(64<<20, 40<<20)
	for i, c := range []struct {
		owner   string
		held, n int64
		taken   bool
	}{
		{"a", 0, 40 << 20, true},
		{"a", 0, 1, false}, // its share
		{"b", 0, 16<<20 + 1, false},
		{"b", 0, 16 << 20, true},   // an eighth is left
		{"c", 1 << 20, 1, false},   // for bodies of no more than a megabyte
		{"c", 0, 1 << 20, true},    //
		{"d", 0, 6 << 20, false},   //
		{"d", 0, 6<<20 - 1, false}, //
		{"e", 1<<20 - 1, 1, true},  //
		{"e", 16 << 10, 6 << 20, false},
	} {
		if err := b.Take(c.owner, c.held, c.n); (err == nil) != c.taken {
			t.Errorf("step %d: %v", i, err)
		}
	}
	for range 5 {
		_ = b.Take("f", 0, 1<<20) // what is left to middling bodies
	}
	if b.Take("g", 16<<10, 1<<20) == nil || b.Take("sign-in", 0, 16<<10) != nil {
		t.Error("a sign-in has no room")
	}
}

func TestABodyIsWaitedForNoLongerThanItsRequest(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if err := api.ReadUntil(now.Add(-time.Second)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the end: %v", err)
	}
	if err := api.ReadUntil(now.Add(time.Hour)); err != nil {
		t.Errorf("before it: %v", err)
	}
	if err := api.ReadUntil(time.Time{}); err != nil {
		t.Errorf("without an end: %v", err)
	}
}
