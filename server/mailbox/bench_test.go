package mailbox

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// BenchmarkDeliver files letters of 4 KiB into twenty accounts, from so many deliverers at once: scan, file, sync, commit.
func BenchmarkDeliver(b *testing.B) {
	text := sample + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789\r\n", 63)
	for _, c := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("C=%d", c), func(b *testing.B) {
			e := newEnv(b)
			folk := make([]*person, 20)
			for i := range folk {
				folk[i] = e.person()
				folk[i].deliver(1)
			}
			work := make(chan int)
			var wg sync.WaitGroup
			for range c {
				wg.Go(func() {
					for i := range work {
						w := folk[i%len(folk)]
						l, err := w.try(e.bodies, text)
						if err == nil {
							_, err = e.Deliver(context.Background(), []Letter{l})
						}
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "letters/s")
		})
	}
}

func BenchmarkCatchUp(b *testing.B) {
	e := newEnv(b)
	w := e.person()
	e.seed(w, w.inbox, 100_000)
	b.Run("first load", func(b *testing.B) {
		for b.Loop() {
			e.views.drop(w.inbox)
			w.view(w.inbox)
		}
	})
	b.Run("current", func(b *testing.B) {
		for b.Loop() {
			w.view(w.inbox)
		}
	})
	b.Run("one change", func(b *testing.B) {
		add := true
		for b.Loop() {
			c := FlagChange{Add: []mail.Flag{mail.Seen}}
			if !add {
				c = FlagChange{Remove: []mail.Flag{mail.Seen}}
			}
			add = !add
			b.StopTimer()
			if _, err := e.Store(b.Context(), w.p, w.inbox, UIDs(50_000), c); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			w.view(w.inbox)
		}
	})
}

func BenchmarkStore(b *testing.B) {
	e := newEnv(b)
	w := e.person()
	e.seed(w, w.inbox, 50_000)
	e.exec(`VACUUM ANALYZE mailbox_message`)
	for name, uids := range map[string]UIDRanges{"1:* of 50000": AllUIDs(), "one": UIDs(40_000)} {
		b.Run(name, func(b *testing.B) {
			c := FlagChange{Add: []mail.Flag{mail.Seen}}
			for b.Loop() {
				if _, err := e.Store(b.Context(), w.p, w.inbox, uids, c); err != nil {
					b.Fatal(err)
				}
				c.Add, c.Remove = c.Remove, c.Add
			}
		})
	}
}

func BenchmarkRows(b *testing.B) {
	e := newEnv(b)
	w := e.person()
	e.seed(w, w.inbox, 50_000)
	e.exec(`VACUUM ANALYZE mailbox_message`)
	n := 0
	for b.Loop() {
		err := e.Rows(b.Context(), w.p, w.inbox, AllUIDs(), WantList, func(r *Row) error {
			l, err := ParseList(r.List)
			n += len(l.Envelope)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	m, err := mime.Scan(strings.NewReader(multipart), int64(len(multipart)))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.Encode(); err != nil {
			b.Fatal(err)
		}
		renderList(m, 1, time.Unix(1e9, 0))
	}
}
