package main

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// outage is the plan for the domain whose server is away for a while. The server under test opens its breaker for longer than
// the run lasts, so an operator closes it as soon as the other server is back.
type outage struct {
	host  int
	after time.Duration
	down  time.Duration
}

// outageResult is what came of it.
type outageResult struct {
	Domain  string  `json:"domain"`
	After   float64 `json:"after_seconds"`
	Seconds float64 `json:"seconds"`
	// Paused says that the server had stopped trying; Retries is how often the operator had to ask until it sent again.
	Paused  bool   `json:"paused"`
	Retries int    `json:"retries"`
	Failure string `json:"failure,omitempty"`
}

// planOutage draws one that begins in the first third of the run and has ended before the last.
func planOutage(seed uint64, lasting time.Duration) outage {
	d := newDice(seed, streamAway)
	return outage{
		host:  d.IntN(farDomains),
		after: time.Duration((0.1 + 0.2*d.Float64()) * float64(lasting)),
		down:  min(45*time.Second, lasting/4),
	}
}

// carryOut shuts the server of a domain, opens it again and has its mail retried. It ends with ctx, but never leaves the domain
// shut.
func (o outage) carryOut(ctx context.Context, f *far, g *gate) outageResult {
	h := f.hosts[o.host]
	res := outageResult{Domain: h.domain, After: round(o.after)}
	if !pause(ctx, o.after) {
		return res
	}
	begin := time.Now()
	err := h.shut()
	pause(ctx, o.down)
	res.Seconds = round(time.Since(begin))
	if err = errors.Join(err, h.open()); err != nil {
		res.Failure = err.Error()
		return res
	}
	for ctx.Err() == nil {
		t := g.pass(ctx)
		if t == nil {
			break
		}
		c := newHTTP(t)
		done := res.ask(ctx, c)
		c.CloseIdleConnections()
		if done || !pause(ctx, time.Second) {
			break
		}
	}
	return res
}

// ask looks at the destination and retries it while it is paused. It is done when nothing holds the mail back.
func (r *outageResult) ask(ctx context.Context, h *caller) bool {
	var d destination
	err := h.get(ctx, "/queue/destinations/"+r.Domain, &d)
	var status *statusError
	switch {
	case asStatus(err, &status) && status.code == http.StatusNotFound:
		return true
	case err != nil:
		return false // the server is being killed; once more with the next one
	case d.PausedUntil == "" && d.Failures == 0:
		return true
	}
	r.Paused = r.Paused || d.PausedUntil != ""
	if h.post(ctx, "/queue/destinations/"+r.Domain+"/retry") == nil {
		r.Retries++
	}
	return false
}
