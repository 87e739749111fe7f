package audit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func TestAChangeAndItsRecordAreOneTransaction(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s, boom := audit.New(pool), errors.New("the change failed")
	p := mail.Principal{User: mail.UserID{}.New(noon()), Role: mail.RoleOwner, Remote: netip.MustParseAddr("::ffff:192.0.2.1")}
	record := func(action string, end error) error {
		ctx := audit.WithRequest(t.Context(), "req-12345678")
		return pg.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			e := audit.Entry{Action: action, Target: "dom_x", Data: map[string]any{"name": "a\x00b"}}
			if err := audit.Record(ctx, tx, noon(), p, e); err != nil {
				return err
			}
			return end
		})
	}
	if err := record("domain.create", nil); err != nil {
		t.Fatal(err)
	}
	if err := record("domain.delete", boom); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	page, err := s.List(t.Context(), p, audit.Query{})
	if err != nil || len(page.Items) != 1 || !page.Next.IsZero() {
		t.Fatalf("%d rows (%v), want the one whose change happened", len(page.Items), err)
	}
	r := page.Items[0]
	if r.Action != "domain.create" || r.Actor != p.User.String() || r.Remote != "192.0.2.1" || r.RequestID != "req-12345678" ||
		r.Target != "dom_x" || r.Data["name"] != "a\ufffdb" || !r.At.Equal(noon()) {
		t.Fatalf("read %+v", r)
	}
}

func TestTheRecordIsReadByWhomItConcernsOnly(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := audit.New(pool)
	one, two := mail.DomainID{}.New(noon()), mail.DomainID{}.New(noon())
	for target, d := range map[string]mail.DomainID{"one": one, "two": two, "server": {}} {
		if err := audit.Record(t.Context(), pool, noon(), mail.System("test"), audit.Entry{Action: "x.y", Target: target, Domain: d}); err != nil {
			t.Fatal(err)
		}
	}
	key, user := mail.KeyID{}.New(noon()), mail.UserID{}.New(noon())
	for _, c := range []struct {
		name string
		p    mail.Principal
		want int
		code string
	}{
		{"owner", mail.Principal{User: user, Role: mail.RoleOwner}, 3, ""},
		{"admin", mail.Principal{User: user, Role: mail.RoleAdmin, Domains: []mail.DomainID{one}}, 1, ""},
		{"user", mail.Principal{User: user, Role: mail.RoleUser}, 0, "forbidden"},
		{"nobody", mail.Principal{}, 0, "forbidden"},
		{"key", mail.Principal{Key: key, Scopes: []string{"audit:read"}}, 3, ""},
		{"key of two", mail.Principal{Key: key, Scopes: []string{"audit:read"}, Domains: []mail.DomainID{two}}, 1, ""},
		{"key without scope", mail.Principal{Key: key, Scopes: []string{"events:read"}}, 0, "scope-missing"},
	} {
		page, err := s.List(t.Context(), c.p, audit.Query{})
		if len(page.Items) != c.want || fault.CodeOf(err) != c.code {
			t.Errorf("%s: %d rows, %v", c.name, len(page.Items), err)
		}
	}
}

func TestTheRecordIsWalkedFromTheNewestWithoutAGap(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s, owner := audit.New(pool), mail.System("test")
	add := func(target string) {
		if err := audit.Record(t.Context(), pool, noon(), owner, audit.Entry{Action: "x.y", Target: target}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 25 {
		add(fmt.Sprint(i))
	}
	var got []string
	for q := (audit.Query{Limit: 7}); ; {
		page, err := s.List(t.Context(), owner, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Items {
			got = append(got, r.Target)
		}
		if page.Next.IsZero() {
			break
		}
		add("during the walk")
		if q.After, err = audit.ParseCursor(page.Next.String()); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for i := 24; i >= 0; i-- {
		want = append(want, fmt.Sprint(i))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("walked %v", got)
	}
	page, err := s.List(t.Context(), owner, audit.Query{Target: "7", Actor: "system:test", Action: "x.y"})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("narrowed to %d rows (%v)", len(page.Items), err)
	}
	for _, bad := range []string{"x", "dom_01h455vb4pex5vsknk084sn02q", strings.Repeat("_", 32)} {
		if _, err := audit.ParseCursor(bad); fault.CodeOf(err) != "invalid-cursor" {
			t.Errorf("%q is taken as a cursor: %v", bad, err)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("A", 32))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := audit.ParseCursor(text)
		if err == nil && c.String() != text && !c.IsZero() {
			t.Fatalf("%q becomes %q", text, c.String())
		}
	})
}
