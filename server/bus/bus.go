package bus

import (
	"hash/maphash"
	"strconv"
	"sync"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// Events is the topic of the ledger: rows were appended and committed.
const Events = "events"

// shards keep deliveries to different mailboxes from waiting for each other.
const shards = 32

// Mailbox names the topic of one mailbox: its messages or flags changed.
func Mailbox(key int64) string { return "mailbox:" + strconv.FormatInt(key, 10) }

// Account names the topic of a user's list of mailboxes and subscriptions.
func Account(id mail.UserID) string { return "account:" + id.UUID() }

// Credentials names the topic of a user's password, role and status: open sessions ask again whether they may go on (S-24).
func Credentials(id mail.UserID) string { return "credentials:" + id.UUID() }

// Key names the topic of an API key: it was revoked, and streams that it opened ask again whether they may go on.
func Key(id mail.KeyID) string { return "key:" + id.UUID() }

// Bus hands notices from publishers to subscribers of one process. All methods may be called from many goroutines at once.
type Bus struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu     sync.RWMutex
	topics map[string]map[*Sub]struct{}
}

// Sub is one subscription. Close it when nobody reads it any more.
type Sub struct {
	// C delivers a value after one or more notices since the last value was taken. It is never closed.
	C     <-chan struct{}
	c     chan struct{}
	topic string
	bus   *Bus
	once  sync.Once
}

// New returns a bus without subscribers.
func New() *Bus {
	b := &Bus{seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i].topics = make(map[string]map[*Sub]struct{})
	}
	return b
}

// Subscribe begins to watch a topic. To miss nothing, subscribe first and read the state after.
func (b *Bus) Subscribe(topic string) *Sub {
	c := make(chan struct{}, 1)
	s := &Sub{C: c, c: c, topic: topic, bus: b}
	sh := b.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.topics[topic] == nil {
		sh.topics[topic] = make(map[*Sub]struct{})
	}
	sh.topics[topic][s] = struct{}{}
	return s
}

// Publish wakes the subscribers of each topic. It never blocks: a subscriber that was woken and has not looked yet is woken
// once for all notices in between.
func (b *Bus) Publish(topics ...string) {
	for _, topic := range topics {
		b.shard(topic).publish(topic)
	}
}

// Close ends the subscription. Closing twice does no harm.
func (s *Sub) Close() {
	s.once.Do(func() {
		sh := s.bus.shard(s.topic)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		delete(sh.topics[s.topic], s)
		if len(sh.topics[s.topic]) == 0 {
			delete(sh.topics, s.topic)
		}
	})
}

func (b *Bus) shard(topic string) *shard {
	return &b.shards[maphash.String(b.seed, topic)%shards]
}

func (sh *shard) publish(topic string) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for s := range sh.topics[topic] {
		select {
		case s.c <- struct{}{}:
		default:
		}
	}
}
