package main

import (
	"fmt"
	"slices"
	"time"
)

// movesWithin is how soon after a kill mail moves again that was waiting or on its way when it came.
const movesWithin = 45 * time.Second

// recovery is how mail moved again after one kill.
type recovery struct {
	Kill int    `json:"kill"`
	How  string `json:"how"`
	// Waiting counts copies that came after the kill of letters acknowledged before it, Halfway those that the other servers had
	// taken and not yet answered.
	Waiting int `json:"waiting"`
	Halfway int `json:"halfway"`
	// First is the time from the kill to the first of the waiting; 0 when nothing waited.
	First float64 `json:"first_seconds"`
	// Slowest is the longest such time of a domain. One that took too long does not count when something else disturbed it.
	Slowest   float64 `json:"slowest_domain_seconds"`
	Measured  int     `json:"domains"`
	Disturbed int     `json:"domains_disturbed"`
}

// ends are the kills of the server and of its database alone. After the latter mail moves when the database is back.
func (d *deeds) ends() []killing {
	all := slices.Clone(d.kills)
	for _, t := range d.troubles {
		if t.what == lackDatabase {
			all = append(all, killing{how: "SIGKILL of the database", at: t.from, gone: t.from, again: t.to})
		}
	}
	slices.SortFunc(all, func(a, b killing) int { return a.at.Compare(b.at) })
	return all
}

// recoveries measures every kill, and says which was too slow.
func (c *checker) recoveries() []recovery {
	ends := c.d.ends()
	out := make([]recovery, 0, len(ends))
	for i, k := range ends {
		if k.again.IsZero() {
			continue
		}
		r := recovery{Kill: i + 1, How: k.how}
		byDomain := c.movedAfter(k, &r)
		var first time.Time
		for _, domain := range sortedKeys(byDomain) {
			at := byDomain[domain]
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if took := at.Sub(k.at); took <= movesWithin || !c.disturbed(domain, k, at) {
				r.Measured++
				r.Slowest = max(r.Slowest, round(took))
			} else {
				r.Disturbed++
			}
		}
		if !first.IsZero() {
			r.First = round(first.Sub(k.at))
		}
		for what, took := range map[string]float64{"mail moved again": r.First, "the slowest domain got mail again": r.Slowest} {
			if took > movesWithin.Seconds() {
				c.say(classSlow, "%s %.2f s after kill %d (%s), more than %s", what, took, i+1, k.how, movesWithin)
			}
		}
		out = append(out, r)
	}
	return out
}

// movedAfter gives the time of the first copy for each domain after a kill, of letters that were acknowledged before it.
func (c *checker) movedAfter(k killing, r *recovery) map[string]time.Time {
	first := map[string]time.Time{}
	for i := range c.w.copies {
		cp := &c.w.copies[i]
		if !cp.at.After(k.gone) && !cp.at.Add(cp.delay).Before(k.at) {
			r.Halfway++
		}
		m := c.h.mailings[cp.id]
		if m == nil || m.acked.IsZero() || m.acked.After(k.at) || cp.at.Before(k.again) {
			continue
		}
		r.Waiting++
		if at, ok := first[cp.domain]; !ok || cp.at.Before(at) {
			first[cp.domain] = cp.at
		}
	}
	return first
}

// disturbed says that the time from a kill to the first copy of a domain says nothing about that kill: the server ended once more
// meanwhile, or the domain refused connections.
func (c *checker) disturbed(domain string, k killing, moved time.Time) bool {
	var ends []time.Time
	for _, stop := range c.d.stops {
		ends = append(ends, stop.from)
	}
	for _, other := range c.d.ends() {
		ends = append(ends, other.at)
	}
	if slices.ContainsFunc(ends, func(at time.Time) bool { return at.After(k.at) && at.Before(moved) }) {
		return true
	}
	return slices.ContainsFunc(c.d.downs[domain], func(s span) bool {
		return s.from.Before(moved) && (s.to.IsZero() || s.to.After(k.at))
	})
}

// movement sums the recoveries up.
type movement struct {
	Kills   int     `json:"kills"` // after which something moved
	Median  float64 `json:"median_seconds"`
	Most    float64 `json:"most_seconds"`
	Domain  float64 `json:"slowest_domain_seconds"`
	Domains int     `json:"domains_measured"`
	Apart   int     `json:"domains_disturbed"`
	Halfway int     `json:"halfway"`   // copies that a kill cut off from their reply
	Hits    int     `json:"kills_hit"` // kills that did so
}

func summarise(list []recovery) movement {
	var m movement
	var firsts []float64
	for _, r := range list {
		if r.First > 0 {
			firsts = append(firsts, r.First)
		}
		if r.Halfway > 0 {
			m.Hits++
		}
		m.Halfway += r.Halfway
		m.Domain = max(m.Domain, r.Slowest)
		m.Domains += r.Measured
		m.Apart += r.Disturbed
	}
	if m.Kills = len(firsts); m.Kills > 0 {
		slices.Sort(firsts)
		m.Median, m.Most = firsts[len(firsts)/2], firsts[len(firsts)-1]
	}
	return m
}

func (m movement) String() string {
	return fmt.Sprintf("%d kills came between a message and its reply (%d messages); mail moved again after %d kills: %.2f s median, %.2f s most; "+
		"each domain by itself: %.2f s most of %d (%d more met another kill meanwhile)",
		m.Hits, m.Halfway, m.Kills, m.Median, m.Most, m.Domain, m.Domains, m.Apart)
}
