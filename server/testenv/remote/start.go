package remote

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for something that must happen soon; it is generous because machines are shared.
const Patience = 30 * time.Second

// Option changes the configuration of a server before it starts.
type Option func(*Config)

// Start starts a server that ends with the test. When the test fails, the newest transcripts are in its log.
func Start(t testing.TB, options ...Option) *MX {
	t.Helper()
	var cfg Config
	for _, option := range options {
		option(&cfg)
	}
	m, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			m.show(t)
		}
		if err := m.Close(); err != nil {
			t.Errorf("close the remote server: %v", err)
		}
	})
	return m
}

// show writes the last transcripts into the test's log.
func (m *MX) show(t testing.TB) {
	t.Helper()
	const most = 10
	sessions := m.Sessions()
	for _, s := range sessions[max(0, len(sessions)-most):] {
		t.Logf("session %d of %s, faults %q:\n%s", s.Number, m.cfg.Hostname, s.Faults, s.Transcript)
	}
}

// WaitFor returns the accepted messages when there are at least n; with Config.Discard it only waits.
func (m *MX) WaitFor(t testing.TB, n int) []Delivery {
	t.Helper()
	m.waitUntil(t, func() bool { return m.Count() >= n }, "%d messages", n)
	return m.Received()
}

// WaitForRecipient returns the accepted messages for an address when there are at least n of them.
func (m *MX) WaitForRecipient(t testing.TB, address string, n int) []Delivery {
	t.Helper()
	var found []Delivery
	m.waitUntil(t, func() bool {
		found = slices.DeleteFunc(m.Received(), func(d Delivery) bool {
			return !slices.ContainsFunc(d.To, func(to string) bool { return strings.EqualFold(to, address) })
		})
		return len(found) >= n
	}, "%d messages for %s", n, address)
	return found
}

// WaitForAttempts returns when there have been at least n RCPT for an address.
func (m *MX) WaitForAttempts(t testing.TB, address string, n int) {
	t.Helper()
	m.waitUntil(t, func() bool { return m.Attempts(address) >= n }, "%d attempts for %s", n, address)
}

// WaitForConnections returns when at least n connections have been made.
func (m *MX) WaitForConnections(t testing.TB, n int) {
	t.Helper()
	m.waitUntil(t, func() bool { return m.Connections() >= n }, "%d connections", n)
}

// WaitForIdle returns when no connection is left.
func (m *MX) WaitForIdle(t testing.TB) {
	t.Helper()
	m.waitUntil(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.open) == 0
	}, "the last connection to end")
}

func (m *MX) waitUntil(t testing.TB, done func() bool, format string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if m.Await(ctx, done) != nil {
		t.Logf("%d messages, %d connections", m.Count(), m.Connections())
		t.Fatalf("waited in vain for "+format, args...)
	}
}
