package smtpout

import (
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

// maxMemory bounds what is remembered of hosts.
const maxMemory = 10_000

// memory remembers names until a moment. It may be used from many goroutines.
type memory struct {
	clk clock.Clock
	max int

	mu    sync.Mutex
	until map[string]time.Time
}

func newMemory(clk clock.Clock) *memory {
	return &memory{clk: clk, max: maxMemory, until: map[string]time.Time{}}
}

func (m *memory) remember(name string, d time.Duration) {
	now := m.clk.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.until[name]; !known && len(m.until) >= m.max {
		m.shrink(now)
	}
	m.until[name] = now.Add(d)
}

// shrink forgets what has ended, and an eighth of the rest when that is not enough: to forget costs one more try.
func (m *memory) shrink(now time.Time) {
	for name, until := range m.until {
		if !now.Before(until) {
			delete(m.until, name)
		}
	}
	for name := range m.until {
		if len(m.until) <= m.max-max(m.max/8, 1) {
			return
		}
		delete(m.until, name)
	}
}

func (m *memory) knows(name string) bool {
	now := m.clk.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until[name])
}

func (m *memory) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.until, name)
}
