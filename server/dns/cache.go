package dns

import (
	"container/list"
	"sync"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/mailserver-dev/mailserver/server/clock"
)

const (
	// maxTTL and maxNegativeTTL bound how long an answer is kept, whatever it says.
	maxTTL         = time.Hour
	maxNegativeTTL = 5 * time.Minute
	// maxEntries bounds the cache; the answer that was used least recently goes.
	maxEntries = 10_000
)

// question is a name with its last dot, in lower case, and a type.
type question struct {
	name  string
	qtype uint16
}

// answer is what a question got: records, or an outcome.
type answer struct {
	records []mdns.RR
	outcome error
	cause   error
	// ttl is how long it holds; 0 is not kept.
	ttl time.Duration
}

// cache keeps answers until they end.
type cache struct {
	clk clock.Clock
	max int

	mu sync.Mutex
	// recent has the entries with the last used in front.
	recent  *list.List
	entries map[question]*list.Element
}

type entry struct {
	key    question
	answer answer
	until  time.Time
}

func newCache(clk clock.Clock) *cache {
	return &cache{clk: clk, max: maxEntries, recent: list.New(), entries: map[question]*list.Element{}}
}

func (c *cache) get(key question) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return answer{}, false
	}
	kept, ok := e.Value.(*entry)
	if !ok || !c.clk.Now().Before(kept.until) {
		c.remove(e, key)
		return answer{}, false
	}
	c.recent.MoveToFront(e)
	return kept.answer, true
}

// put keeps an answer. Faults of servers and of the network are not kept.
func (c *cache) put(key question, a answer) {
	if a.ttl <= 0 || Temporary(a.outcome) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		c.remove(e, key)
	}
	c.entries[key] = c.recent.PushFront(&entry{key, a, c.clk.Now().Add(a.ttl)})
	for c.recent.Len() > c.max {
		oldest := c.recent.Back()
		if kept, ok := oldest.Value.(*entry); ok {
			c.remove(oldest, kept.key)
		}
	}
}

func (c *cache) remove(e *list.Element, key question) {
	c.recent.Remove(e)
	delete(c.entries, key)
}
