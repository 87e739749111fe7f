package limit

import (
	"context"
	"net/netip"
	"sort"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/pg"
)

// The counts of S-16. A wider network may fail more often: three times for the middle mask, nine times for the widest.
const (
	perMinute     = 10
	perDay        = 50
	accountWindow = 120 * time.Second
	accountFree   = 12
	delayFirst    = time.Second
	delayMost     = 16 * time.Second
	day           = 24 * time.Hour
	goodFor       = 30 * day
)

// count is one counter of failures: a key, the window that now lies in, and how many are free.
type count struct {
	key    string
	window time.Duration
	most   int
}

// AuthCheck counts an attempt to sign in before its password is looked at, so that parallel attempts cannot slip through
// together (S-18). It gives fault.Limited when the address or its network failed too often; then nothing may be hashed.
// delay is how long the attempt must wait before it is looked at, because the account failed too often from elsewhere: an
// attacker slows strangers down, but locks nobody out. Addresses from which the account has signed in within 30 days are not
// delayed. The account is the folded login name, known or not. Every attempt that passes ends in AuthOK, AuthFailed or AuthUndone.
func (l *Limiter) AuthCheck(ctx context.Context, ip netip.Addr, account string) (delay time.Duration, err error) {
	if l.free(ip) {
		return 0, nil
	}
	now := l.clk.Now()
	counts := counters(ip, account)
	have, err := addFailures(ctx, l.pool, now, counts, 1)
	if err != nil {
		return 0, pg.Fault(err)
	}
	for _, c := range counts {
		if c.most > 0 && have[c.key] > c.most {
			wait := now.Truncate(c.window).Add(c.window).Sub(now)
			return 0, limited(wait, "too many failed sign-ins from this network; try again in %s", wait.Round(time.Second))
		}
	}
	tries := have[accountKey(account)]
	if tries <= accountFree {
		return 0, nil
	}
	good, err := hasGood(ctx, l.pool, goodKey(ip, account), now.Add(-goodFor))
	if err != nil || good {
		return 0, pg.Fault(err)
	}
	return backoff(tries - accountFree), nil
}

// AuthFailed says how long the refusal must be held back: one second, doubled with each failure of the account in the last two
// minutes, at most 16. The attempt stays counted.
func (l *Limiter) AuthFailed(ctx context.Context, ip netip.Addr, account string) (time.Duration, error) {
	if l.free(ip) {
		return delayFirst, nil
	}
	have, err := addFailures(ctx, l.pool, l.clk.Now(), []count{{accountKey(account), accountWindow, 0}}, 0)
	if err != nil {
		return delayFirst, pg.Fault(err)
	}
	return backoff(have[accountKey(account)]), nil
}

// AuthUndone takes an attempt back out of the counts whose password was never looked at.
func (l *Limiter) AuthUndone(ctx context.Context, ip netip.Addr, account string) error {
	if l.free(ip) {
		return nil
	}
	_, err := addFailures(ctx, l.pool, l.clk.Now(), counters(ip, account), -1)
	return pg.Fault(err)
}

// AuthOK takes the attempt back out of the counts and remembers the address as one of the account's own.
func (l *Limiter) AuthOK(ctx context.Context, ip netip.Addr, account string) error {
	if l.free(ip) {
		return nil
	}
	if err := l.AuthUndone(ctx, ip, account); err != nil {
		return err
	}
	return pg.Fault(markGood(ctx, l.pool, goodKey(ip, account), l.clk.Now().Truncate(day)))
}

// Sweep deletes counts whose windows have passed. A maintenance job calls it every few minutes.
func (l *Limiter) Sweep(ctx context.Context) (deleted int64, err error) {
	deleted, err = sweepFailures(ctx, l.pool, l.clk.Now())
	return deleted, pg.Fault(err)
}

func (l *Limiter) free(ip netip.Addr) bool {
	if l.lifted {
		return true
	}
	for _, prefix := range l.exempt {
		if prefix.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// backoff is one second doubled with each try after the first, at most 16.
func backoff(tries int) time.Duration {
	d := delayFirst
	for ; tries > 1 && d < delayMost; tries-- {
		d *= 2
	}
	return d
}

// counters lists what an attempt counts towards, in the order of the keys, so that parallel attempts lock rows in one order.
// An attempt without an address (a unix socket) counts for its account only.
func counters(ip netip.Addr, account string) []count {
	out := []count{{accountKey(account), accountWindow, 0}}
	for i, network := range networks(ip) {
		factor := [3]int{1, 3, 9}[i]
		out = append(
			out,
			count{"net-minute " + network, time.Minute, factor * perMinute},
			count{"net-day " + network, day, factor * perDay},
		)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].key < out[j].key })
	return out
}

// networks gives the address with the three masks: one host, its neighbours, its provider. An IPv6 host has a /64.
func networks(ip netip.Addr) []string {
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() {
		return nil
	}
	masks := [3]int{32, 24, 16}
	if ip.Is6() {
		masks = [3]int{64, 48, 32}
	}
	out := make([]string, 0, len(masks))
	for _, bits := range masks {
		prefix, err := ip.Prefix(bits)
		if err != nil {
			return nil
		}
		out = append(out, prefix.String())
	}
	return out
}

func accountKey(account string) string { return "account " + clip(account) }

func goodKey(ip netip.Addr, account string) string {
	return "good " + ip.Unmap().WithZone("").String() + " " + clip(account)
}

// clip bounds what a stranger can make us store, and leaves only what a text column takes.
func clip(s string) string {
	if len(s) > 254 {
		s = s[:254]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
}
