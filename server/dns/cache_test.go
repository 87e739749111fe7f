package dns

import (
	"strconv"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

func TestTheCacheIsBoundedAndDropsWhatWasUsedLeastRecently(t *testing.T) {
	t.Parallel()
	c := newCache(clock.NewFake(time.Unix(0, 0)))
	c.max = 3
	key := func(i int) question { return question{strconv.Itoa(i), 1} }
	for i := range 3 {
		c.put(key(i), answer{ttl: time.Minute})
	}
	c.put(key(2), answer{ttl: time.Minute})
	c.get(key(0))
	c.put(key(3), answer{ttl: time.Minute})
	for i, want := range []bool{true, false, true, true} {
		if _, ok := c.get(key(i)); ok != want {
			t.Errorf("entry %d: %v", i, ok)
		}
	}
	if c.recent.Len() != 3 || len(c.entries) != 3 {
		t.Errorf("%d and %d entries", c.recent.Len(), len(c.entries))
	}
	c.put(key(9), answer{})
	c.put(key(9), answer{ttl: time.Minute, outcome: ErrTimeout})
	if _, ok := c.get(key(9)); ok {
		t.Error("a fault or an answer without life was kept")
	}
}
