package mailbox

import (
	"container/list"
	"sync"
	"time"
)

// viewCache holds the current views of mailboxes, up to a number of messages in all; the ones used longest ago go first. A view
// that a session holds stays alive whether it is cached or not.
type viewCache struct {
	mu    sync.Mutex
	max   int
	used  int
	slots map[int64]*list.Element // of *viewSlot
	order *list.List              // most recently used first
}

// viewSlot is the place of one mailbox's view. catchUp is held while a newer view is made, so that one of many who need it does
// the work; it is never held for reading.
type viewSlot struct {
	catchUp sync.Mutex

	key    int64
	view   *View     // under viewCache.mu
	loaded time.Time // when view was last known to be current; under viewCache.mu
}

// slotCost is what an empty view counts, in messages.
const slotCost = 16

func newViewCache(limit int) *viewCache {
	return &viewCache{max: limit, slots: make(map[int64]*list.Element), order: list.New()}
}

// slot gives the place of a mailbox and marks it as used.
func (c *viewCache) slot(key int64) *viewSlot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.slots[key]; ok {
		c.order.MoveToFront(e)
		return slotOf(e)
	}
	s := &viewSlot{key: key}
	c.slots[key] = c.order.PushFront(s)
	c.used += slotCost
	return s
}

func (c *viewCache) get(s *viewSlot) (*View, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.view, s.loaded
}

// put makes v the view of the slot, unless a newer one is there, and evicts what is too much.
func (c *viewCache) put(s *viewSlot, v *View, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[s.key] == nil || slotOf(c.slots[s.key]) != s {
		return // evicted meanwhile
	}
	if s.view != nil {
		c.used -= s.view.Len()
	}
	s.view, s.loaded = v, now
	c.used += v.Len()
	for c.used > c.max && c.order.Len() > 1 {
		c.evict(c.order.Back())
	}
}

func (c *viewCache) drop(key int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.slots[key]; ok {
		c.evict(e)
	}
}

func (c *viewCache) evict(e *list.Element) {
	s := slotOf(e)
	c.order.Remove(e)
	delete(c.slots, s.key)
	c.used -= slotCost
	if s.view != nil {
		c.used -= s.view.Len()
	}
}

func slotOf(e *list.Element) *viewSlot { return e.Value.(*viewSlot) } //nolint:forcetypeassert // the list holds nothing else
