package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

const (
	tickType = "stats.tick"
	// pingEvery is how often a comment is sent, and the credential looked at (S-24).
	pingEvery = 15 * time.Second
	// streamLife is how long a stream goes on.
	streamLife = time.Hour
	// tickGap is the least time between two ticks, tickMost the greatest.
	tickGap, tickMost = time.Second, 15 * time.Second
)

// follower is one client that follows the ledger, the numbers, or both. One goroutine serves it.
type follower struct {
	api   *API
	p     mail.Principal
	query event.Query
	// ledger and ticks say what is wanted.
	ledger, ticks bool
	feed          *event.Feed
	leave         func()

	authorization string
	out           *frames

	// numbers is the last tick without what changes by itself; ticked when it was sent, tried when it was looked for last, and
	// noticed when something changed since, zero for nothing.
	numbers                string
	ticked, tried, noticed time.Time
}

// want reads what the client asked for.
func (s *follower) want(in *streamInput) error {
	if err := optionalID(in.DomainID, "query.domain_id", &s.query.Domain); err != nil {
		return err
	}
	s.query.Subject, s.query.Types = in.Subject, slices.Clone(in.Type)
	s.ticks = slices.Contains(in.Type, tickType)
	s.query.Types = slices.DeleteFunc(s.query.Types, func(t string) bool { return t == tickType })
	s.ledger = len(s.query.Types) > 0 || !s.ticks
	return s.mayGoOn(s.p)
}

// mayGoOn holds the scopes of a key against what is wanted. What a user may see follows from the role.
func (s *follower) mayGoOn(p mail.Principal) error {
	needed := []string{"events:read"}
	if s.ticks {
		needed = append(needed, "stats:read")
	}
	for _, scope := range needed {
		if !p.HasScope(scope) {
			problem := newProblem(http.StatusForbidden, "scope-missing", "this key lacks the scope "+scope)
			problem.RequiredScopes = []string{scope}
			return problem
		}
	}
	return nil
}

// serve answers the request until the stream ends.
func (s *follower) serve(c huma.Context, begin place) {
	defer s.leave()
	defer s.feed.Close()
	c.SetHeader("Content-Type", eventStream)
	c.SetHeader("Cache-Control", "no-store")
	c.SetHeader("X-Accel-Buffering", "no") // a proxy that collects what it passes on would keep the stream back
	c.SetStatus(http.StatusOK)
	if c.Method() == http.MethodHead {
		return
	}
	s.authorization = c.Header("Authorization")
	s.out = newFrames(c.BodyWriter())
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	ending := s.api.streams.ending
	defer context.AfterFunc(ending, func() {
		s.out.hurry()
		cancel()
	})()
	s.out.frame("stream.open", begin.id(), struct{}{}, "retry: 2000")
	if begin.reset {
		s.out.frame("stream.reset", begin.id(), struct{}{})
	}
	err := s.run(ctx)
	switch {
	case ending.Err() != nil:
		err = errEnd("shutdown")
	case s.out.err != nil || ctx.Err() != nil:
		return // the client has gone
	}
	code := endCode(err)
	if code == "unavailable" {
		s.api.Log.LogAttrs(c.Context(), slog.LevelWarn, "an event stream was ended", slog.Any("error", err))
	}
	s.out.frame("stream.end", "", StreamEnd{Code: code})
	_ = s.out.flush()
	s.out.done()
}

// StreamEnd is the data of stream.end.
type StreamEnd struct {
	Code string `json:"code"`
}

// errEnd ends a stream with a code.
func errEnd(code string) error { return &Problem{Code: code} }

// endCode tells the client in a word why its stream ends.
func endCode(err error) string {
	var p *Problem
	var f *fault.Error
	switch {
	case errors.As(err, &p):
		return p.Code
	case errors.As(err, &f) && f.Kind != fault.Internal && f.Code != "":
		return f.Code
	}
	return "unavailable"
}

// run sends what comes until the stream has to end, and gives why.
func (s *follower) run(ctx context.Context) error {
	a := s.api
	credential := a.Bus.Subscribe(bus.Credentials(s.p.User))
	if s.p.IsKey() {
		credential.Close()
		credential = a.Bus.Subscribe(bus.Key(s.p.Key))
	}
	defer credential.Close()
	changed := a.Stats.Changed()
	defer changed.Close()
	ping := a.Clock.NewTicker(pingEvery)
	defer ping.Stop()
	life := a.Clock.NewTimer(streamLife)
	defer life.Stop()
	tick := a.Clock.NewTimer(0)
	defer tick.Stop()
	for {
		ready, err := s.sendEvents(ctx)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ready:
		case <-life.C():
			return errEnd("lifetime")
		case <-credential.C:
			err = s.checkCredential(ctx)
		case <-ping.C():
			s.out.comment("ping")
			err = s.checkCredential(ctx)
		case <-changed.C:
			s.noticed = a.Clock.Now()
			tick.Reset(s.untilTick())
		case <-tick.C():
			err = s.sendTick(ctx)
			tick.Reset(s.untilTick())
		}
		if err == nil {
			err = s.out.flush()
		}
		if err != nil {
			return err
		}
	}
}

// always is ready.
func always() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// sendEvents sends the next events of the ledger and tells when to come again.
func (s *follower) sendEvents(ctx context.Context) (ready <-chan struct{}, err error) {
	if !s.ledger {
		return nil, s.out.flush()
	}
	step, cancel := context.WithTimeout(ctx, s.api.patience())
	defer cancel()
	items, more, err := s.feed.Next(step, s.p, s.query)
	if errors.Is(err, event.ErrDropped) {
		s.out.frame("stream.reset", place{cursor: s.feed.After()}.id(), struct{}{})
		return always(), s.out.flush()
	}
	if err != nil {
		return nil, err
	}
	for _, e := range items {
		s.out.frame(e.Type, e.Cursor.String(), eventOf(e))
	}
	if ready = s.feed.Ready(); more {
		ready = always()
	}
	return ready, s.out.flush()
}

// checkCredential asks whether the client may go on, and sees from now on what it may see now.
func (s *follower) checkCredential(ctx context.Context) error {
	p, err := s.api.principal(ctx, s.authorization, s.p.Remote)
	if err != nil {
		return err
	}
	p.Remote, s.p = s.p.Remote, p
	return s.mayGoOn(p)
}

// untilTick is when the numbers are looked at next: soon after something changed, now and then in any case.
func (s *follower) untilTick() time.Duration {
	if !s.ticks {
		return streamLife
	}
	at := s.ticked.Add(tickMost)
	if !s.noticed.IsZero() {
		at = s.tried.Add(tickGap)
	}
	return clock.Until(s.api.Clock, at)
}

// sendTick sends the numbers when they have changed or were not sent for long. Several dashboards share them, so they may be a
// little older than the change; then they are looked at again.
func (s *follower) sendTick(ctx context.Context) error {
	if !s.ticks {
		return nil
	}
	step, cancel := context.WithTimeout(ctx, s.api.patience())
	defer cancel()
	now := s.api.Clock.Now()
	found, err := s.api.Stats.Overview(step, s.p, s.query.Domain)
	if err != nil {
		return err
	}
	s.tried = now
	if !found.At.Before(s.noticed) {
		s.noticed = time.Time{}
	}
	o := overviewOf(found)
	shown := o
	shown.At, shown.Server = time.Time{}, nil
	numbers, err := json.Marshal(shown)
	if err != nil {
		return err
	}
	if string(numbers) != s.numbers || now.Sub(s.ticked) >= tickMost {
		s.numbers, s.ticked = string(numbers), now
		s.out.frame(tickType, "", o)
	}
	return nil
}
