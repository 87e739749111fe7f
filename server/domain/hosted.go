package domain

import (
	"context"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	// hostedFor is how long a name that was found is believed; hostedMost bounds how many names are remembered.
	hostedFor  = 5 * time.Second
	hostedMost = 10_000
	// strangeFor is how long a name that was not found may be believed to be somebody else's, by who can wait (HostedLately).
	strangeFor = time.Second
)

// Hosted finds the domain of an address, in its stored form, for mail that comes in. What was found is believed for five
// seconds; what was not found is asked again each time: mail for a domain that another node has just made is not refused.
func (s *Service) Hosted(ctx context.Context, name string) (Domain, bool, error) {
	return s.lookUp(ctx, name, false)
}

// HostedLately is Hosted for mail on its way out, of which nearly every letter asks several times for a name that is not hosted. A
// name that was not found is asked for again after a second, or at once when this process makes the domain.
func (s *Service) HostedLately(ctx context.Context, name string) (Domain, bool, error) {
	return s.lookUp(ctx, name, true)
}

func (s *Service) lookUp(ctx context.Context, name string, lately bool) (Domain, bool, error) {
	now := s.clk.Now()
	e, epoch, ok := s.hosted.get(name, now)
	if ok && (e.found || lately) {
		return e.domain, e.found, nil
	}
	d, found, err := Find(ctx, s.pool, name)
	if err != nil {
		return Domain{}, false, pg.Fault(err)
	}
	e = hostedEntry{domain: d, found: found, until: now.Add(hostedFor)}
	if !found {
		e.until = now.Add(strangeFor)
	}
	s.hosted.put(name, e, epoch)
	return d, found, nil
}

// hostedNames remembers for a short time what names were found to be. What was read before a change is not remembered after it.
type hostedNames struct {
	mu    sync.Mutex
	epoch int64
	have  map[string]hostedEntry
}

type hostedEntry struct {
	domain Domain
	found  bool
	until  time.Time
}

func (h *hostedNames) get(name string, now time.Time) (e hostedEntry, epoch int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok = h.have[name]
	return e, h.epoch, ok && now.Before(e.until)
}

func (h *hostedNames) put(name string, e hostedEntry, epoch int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if epoch != h.epoch {
		return
	}
	if h.have == nil || len(h.have) >= hostedMost {
		h.have = make(map[string]hostedEntry)
	}
	h.have[name] = e
}

func (h *hostedNames) forget(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
	delete(h.have, name)
}
