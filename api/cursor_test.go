package api_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/api"
)

// bulkDomains makes domains in the database itself: ten thousand requests are not what is tested.
func (e *env) bulkDomains(prefix string, n int) {
	e.t.Helper()
	_, err := e.pool.Exec(e.t.Context(), `
INSERT INTO domain (id, name, status, version, created_at, updated_at)
SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + i), 12, '0') || '7000' || '8000' || lpad(to_hex(i), 12, '0'))::uuid,
	$1 || i || '.test', 'verified', 1, now(), now() FROM generate_series(1, $2) i`, prefix, n)
	if err != nil {
		e.t.Fatal(err)
	}
}

func TestAWalkOverTenThousandRowsMissesNoneAndRepeatsNone(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	const rows = 10_000
	e.bulkDomains("row", rows)
	deleted := map[string]bool{}
	seen := map[string]bool{}
	random := rand.New(rand.NewPCG(1, 2))
	cursor, pages := "", 0
	for {
		var page api.DomainPage
		path := "/v1/domains" + query("limit", "200")
		if cursor != "" {
			path = "/v1/domains" + query("limit", "200", "cursor", cursor)
		}
		e.call(e.key, "GET", path, nil).want(200).into(&page)
		for _, d := range page.Items {
			if seen[d.Name] {
				t.Fatalf("%s is shown twice", d.Name)
			}
			seen[d.Name] = true
		}
		pages++
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
		// Between the pages others insert and delete, also the row that the cursor stands on.
		e.newDomain(fmt.Sprintf("new%d.test", pages))
		victims := []string{page.Items[len(page.Items)-1].Name, fmt.Sprintf("row%d.test", 1+random.IntN(rows))}
		for _, name := range victims {
			deleted[name] = true
			if _, err := e.pool.Exec(t.Context(), `DELETE FROM domain WHERE name = $1`, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := 1; i <= rows; i++ {
		if name := fmt.Sprintf("row%d.test", i); !seen[name] && !deleted[name] {
			t.Errorf("%s was there throughout and is missed", name)
		}
	}
	if pages < rows/200 {
		t.Errorf("%d pages", pages)
	}
}

func TestACursorBelongsToItsListAndFilters(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.newDomain("b.test")
	e.newDomain("c.test")
	var page api.DomainPage
	e.call(e.key, "GET", "/v1/domains?limit=1", nil).want(200).into(&page)
	if page.NextCursor == nil || len(page.Items) != 1 {
		t.Fatalf("%+v", page)
	}
	e.call(e.key, "GET", "/v1/domains"+query("limit", "2", "cursor", *page.NextCursor), nil).want(200).into(&page)
	for _, path := range []string{"/v1/domains?status=verified&", "/v1/users?", "/v1/api-keys?", "/v1/emails?", "/v1/events?", "/v1/sink/messages?"} {
		var first api.DomainPage
		e.call(e.key, "GET", "/v1/domains?limit=1", nil).want(200).into(&first)
		e.call(e.key, "GET", path+query("cursor", *first.NextCursor)[1:], nil).problem(400, "invalid-cursor")
	}
	// More than the largest page is the largest page.
	e.call(e.key, "GET", "/v1/domains?limit=100000", nil).want(200).into(&page)
	if len(page.Items) != 3 || page.NextCursor != nil {
		t.Errorf("%+v", page)
	}
	empty := e.call(e.key, "GET", "/v1/domains?name=nothing.test", nil).want(200)
	if string(empty.body) != `{"items":[],"next_cursor":null}`+"\n" {
		t.Errorf("%s", empty.body)
	}
}

func TestTheLedgerIsWalkedToItsEnd(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for i := range 5 {
		e.newDomain(fmt.Sprintf("d%d.test", i))
	}
	// An event shows when no transaction of the whole cluster, which other tests use too, can precede it.
	for until := time.Now().Add(10 * time.Second); ; {
		if types := e.walkLedger(); len(types) == 7 {
			return
		} else if time.Now().After(until) {
			t.Fatalf("%q", types)
		}
	}
}

func (e *env) walkLedger() (types []string) {
	e.t.Helper()
	for cursor := ""; ; {
		path := "/v1/events?limit=3&type=domain.created&type=user.created"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		var page api.EventPage
		e.call(e.key, "GET", path, nil).want(200).into(&page)
		for _, one := range page.Items {
			types = append(types, one.Type)
			if one.At.IsZero() || one.At.After(time.Now().Add(time.Minute)) || one.DomainID == nil {
				e.t.Errorf("%+v", one)
			}
		}
		if page.NextCursor == nil {
			return types
		}
		cursor = *page.NextCursor
	}
}
