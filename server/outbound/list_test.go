package outbound_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// S-43: who sees which of the emails of two domains, in a list, by id, as bytes, and in the sink.
func TestNobodySeesTheMailOfAForeignDomain_S43(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	admin := func(ids ...mail.DomainID) func(*account.Create) {
		return func(c *account.Create) { c.Role, c.Domains = mail.RoleAdmin, ids }
	}
	ann, bob := w.user("ann@d.test"), w.user("bob@d.test")
	owner := w.user("owner@other.test", func(c *account.Create) { c.Role = mail.RoleOwner })
	here, there := w.user("here@d.test", admin(w.demo.ID)), w.user("there@d.test", admin(w.other.ID))
	send := func(name string, p mail.Principal, from string) *outbound.Email {
		d := w.draft("x@far.test")
		d.From.Address, d.Subject = address(t, from), name
		e, err := w.out.Accept(t.Context(), p, d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.attempt(e.ID)
		return e
	}
	emails := []*outbound.Email{
		send("ann", principal(ann), "ann@d.test"), send("there", principal(there), "there@d.test"),
		send("d", system(), "shop@d.test"), send("other", system(), "shop@other.test"),
	}
	key := func(ids ...mail.DomainID) mail.Principal {
		return mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:read", "sink:read"}, Domains: ids}
	}
	for name, tc := range map[string]struct {
		p             mail.Principal
		wish          mail.DomainID
		emails        string
		sink          string
		listed, sinks bool // allowed at all
	}{
		"owner":                         {principal(owner), mail.DomainID{}, "ann d other there", "ann d other there", true, true},
		"owner, one domain":             {principal(owner), w.other.ID, "other", "", true, true},
		"system":                        {system(), mail.DomainID{}, "ann d other there", "ann d other there", true, true},
		"user":                          {principal(ann), mail.DomainID{}, "ann", "", true, false},
		"user, own domain":              {principal(ann), w.demo.ID, "ann", "", true, false},
		"user, foreign domain":          {principal(ann), w.other.ID, "", "", true, false},
		"user who sent nothing":         {principal(bob), mail.DomainID{}, "", "", true, false},
		"admin of d":                    {principal(here), mail.DomainID{}, "ann d there", "ann d there", true, true},
		"admin of other, user of d":     {principal(there), mail.DomainID{}, "other there", "other", true, true},
		"admin of other, wish d":        {principal(there), w.demo.ID, "there", "", true, true},
		"key of all":                    {key(), mail.DomainID{}, "ann d other there", "ann d other there", true, true},
		"key of d":                      {key(w.demo.ID), mail.DomainID{}, "ann d there", "ann d there", true, true},
		"key of d, wish other":          {key(w.demo.ID), w.other.ID, "", "", true, true},
		"key of both":                   {key(w.demo.ID, w.other.ID), mail.DomainID{}, "ann d other there", "ann d other there", true, true},
		"key without scopes":            {mail.Principal{Key: mail.KeyID{1}}, mail.DomainID{}, "", "", false, false},
		"nobody":                        {mail.Principal{}, mail.DomainID{}, "", "", false, false},
		"admin who has no domain":       {mail.Principal{User: bob.ID, Role: mail.RoleAdmin}, mail.DomainID{}, "", "", true, true},
		"key that carries a user's id":  {mail.Principal{Key: mail.KeyID{1}, User: ann.ID, Scopes: []string{"emails:read"}, Domains: []mail.DomainID{w.other.ID}}, mail.DomainID{}, "other", "", true, false},
		"key that may send and no more": {mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:send"}, Domains: []mail.DomainID{w.demo.ID}}, mail.DomainID{}, "", "", false, false},
	} {
		list, more, err := w.out.List(t.Context(), tc.p, outbound.ListQuery{Domain: tc.wish})
		var names []string
		for _, e := range list {
			names = append(names, e.Subject)
		}
		slices.Sort(names)
		if (err == nil) != tc.listed || more || strings.Join(names, " ") != tc.emails {
			t.Errorf("%s: list %q, %v; want %q", name, names, err, tc.emails)
		}
		for _, e := range emails {
			_, err := w.out.Get(t.Context(), tc.p, e.ID)
			file, rawErr := w.out.Raw(t.Context(), tc.p, e.ID)
			if rawErr == nil {
				file.Close()
			}
			if !tc.listed || !tc.wish.IsZero() {
				continue
			}
			if may := slices.Contains(names, e.Subject); may != (err == nil) || may != (rawErr == nil) || !may && !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %s: get %v, raw %v", name, e.Subject, err, rawErr)
			}
		}
		w.checkSink(name, tc.p, tc.sink, tc.sinks, tc.wish.IsZero())
	}
}

func (w *world) checkSink(name string, p mail.Principal, want string, allowed, check bool) {
	w.t.Helper()
	if !check {
		return
	}
	all, _, err := w.out.ListSink(w.t.Context(), system(), outbound.SinkQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	list, _, err := w.out.ListSink(w.t.Context(), p, outbound.SinkQuery{})
	var names []string
	for _, m := range list {
		names = append(names, m.Subject)
	}
	slices.Sort(names)
	if (err == nil) != allowed || strings.Join(names, " ") != want {
		w.t.Errorf("%s: sink %q, %v; want %q", name, names, err, want)
	}
	for _, m := range all {
		_, err := w.out.GetSink(w.t.Context(), p, m.ID)
		file, rawErr := w.out.RawSink(w.t.Context(), p, m.ID)
		if rawErr == nil {
			file.Close()
		}
		if may := slices.Contains(names, m.Subject); may != (err == nil) || may != (rawErr == nil) || !may && allowed && !fault.Is(err, fault.NotFound) {
			w.t.Errorf("%s: sink message %s: get %v, raw %v", name, m.Subject, err, rawErr)
		}
	}
}

func TestFiltersFindWhatTheyName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.user("ann@d.test")
	a, b := w.accept("ann@d.test", "x@bücher.test"), w.accept("nobody@d.test", "Ann@d.test")
	w.attempt(b.ID)
	for name, tc := range map[string]struct {
		q    outbound.ListQuery
		want []mail.EmailID
	}{
		"all, newest first":        {outbound.ListQuery{}, []mail.EmailID{b.ID, a.ID}},
		"queued":                   {outbound.ListQuery{Status: outbound.Queued}, []mail.EmailID{a.ID}},
		"bounced":                  {outbound.ListQuery{Status: outbound.Bounced}, []mail.EmailID{b.ID}},
		"delivered":                {outbound.ListQuery{Status: outbound.Delivered}, nil},
		"recipient":                {outbound.ListQuery{Recipient: "ann@D.TEST"}, []mail.EmailID{a.ID}},
		"recipient, domain folded": {outbound.ListQuery{Recipient: "x@Bücher.test"}, []mail.EmailID{a.ID}},
		"recipient and status":     {outbound.ListQuery{Recipient: "x@xn--bcher-kva.test", Status: outbound.Bounced}, nil},
		"no address":               {outbound.ListQuery{Recipient: "x"}, nil},
		"page":                     {outbound.ListQuery{Before: b.ID}, []mail.EmailID{a.ID}},
	} {
		list, _, err := w.out.List(t.Context(), system(), tc.q)
		var got []mail.EmailID
		for _, e := range list {
			got = append(got, e.ID)
			if len(e.Recipients) != 2 {
				t.Errorf("%s: recipients %v", name, e.Recipients)
			}
		}
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, tc.want)
		}
	}
	if list, more, err := w.out.List(t.Context(), system(), outbound.ListQuery{Limit: 1}); err != nil || !more || len(list) != 1 {
		t.Errorf("a page of one: %d, %v, %v", len(list), more, err)
	}
}

// manyEmails inserts n delivered emails with two recipients each: a tenth belongs to other.test, every hundredth bounced.
func (w *world) manyEmails(n int) {
	w.t.Helper()
	w.exec(`INSERT INTO email (id, domain_id, account_id, actor, source, test, envelope_from, header_from, subject, message_id, file, size,
			sha256, status, tags, metadata, created_at, expires_at)
		SELECT lpad(to_hex(i), 32, '0')::uuid, CASE WHEN i % 10 = 0 THEN $2::uuid ELSE $1::uuid END, CASE WHEN i % 1000 = 7 THEN $3::uuid END,
			'system:test', 'api', false, 'shop@d.test', 'Shop', 's', '<1@d.test>', 'f', 1, ''::bytea,
			CASE WHEN i % 100 = 5 THEN 'bounced' ELSE 'delivered' END, '[]', '{}', now(), now()
		FROM generate_series(1, $4::int) i`, w.demo.ID, w.other.ID, mail.UserID{7}, n)
	w.exec(`INSERT INTO email_recipient (id, email_id, position, address, kind, destination, local, status, next_at, wake_at, updated_at)
		SELECT gen_random_uuid(), e.id, p, CASE WHEN p = 0 THEN 'u' || substr(e.id::text, 33) ELSE 'x@far.test' END, 'to', 'far.test', false, e.status, now(), now(), now()
		FROM email e, generate_series(0, 1) p`)
	w.exec(`INSERT INTO sink_message (id, email_id, recipient_id, envelope_from, envelope_to, subject, file, size, created_at)
		SELECT r.id, r.email_id, r.id, 'shop@d.test', r.address, 's', 'f', 1, now() FROM email_recipient r WHERE position = 0`)
	w.exec(`ANALYZE email, email_recipient, sink_message`)
}

var (
	touched = regexp.MustCompile(`shared hit=(\d+)`)
	removed = regexp.MustCompile(`Rows Removed.*: (\d+)`)
)

// A page costs the rows of the page, in a table of any size.
func TestPagesOfALongListAreReadFromIndexes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.manyEmails(10_000)
	demo, both := []string{w.demo.ID.UUID()}, []string{w.demo.ID.UUID(), w.other.ID.UUID()}
	sender, foreign := mail.UserID{7}.UUID(), mail.UserID{8}.UUID()
	middle := fmt.Sprintf("%032x", 5000)
	for name, tc := range map[string]struct {
		to   bool
		args []any // all, domains, sender, wish, before, status, limit
	}{
		"everything":                  {false, []any{true, nil, nil, nil, nil, nil, 51}},
		"from the middle":             {false, []any{true, nil, nil, nil, middle, nil, 51}},
		"one domain":                  {false, []any{true, nil, nil, w.other.ID.UUID(), nil, nil, 51}},
		"key of one domain":           {false, []any{false, demo, nil, nil, middle, nil, 51}},
		"key of two domains":          {false, []any{false, both, nil, nil, middle, nil, 51}},
		"a user's own":                {false, []any{false, nil, sender, nil, nil, nil, 51}},
		"a user who sent nothing":     {false, []any{false, nil, foreign, nil, nil, nil, 51}},
		"an admin's":                  {false, []any{false, demo, sender, nil, middle, nil, 51}},
		"a rare state":                {false, []any{true, nil, nil, nil, nil, "bounced", 51}},
		"a state that nothing has":    {false, []any{true, nil, nil, nil, nil, "failed", 51}},
		"a rare state in one domain":  {false, []any{false, demo, nil, nil, middle, "bounced", 51}},
		"a common state":              {false, []any{true, nil, nil, nil, middle, "delivered", 51}},
		"one recipient":               {true, []any{true, nil, nil, nil, nil, nil, 51, "u1234"}},
		"a recipient of nothing":      {true, []any{true, nil, nil, nil, nil, nil, 51, "nobody@far.test"}},
		"a recipient in one domain":   {true, []any{false, demo, nil, nil, nil, nil, 51, "u1234"}},
		"a recipient of everything":   {true, []any{true, nil, nil, nil, middle, nil, 51, "x@far.test"}},
		"a recipient and a state":     {true, []any{true, nil, nil, nil, nil, "bounced", 51, "u1235"}},
		"a recipient, for a user":     {true, []any{false, nil, sender, nil, nil, nil, 51, "x@far.test"}},
		"a state, for a user":         {false, []any{false, nil, sender, nil, nil, "bounced", 51}},
		"a foreign domain for a user": {false, []any{false, nil, sender, w.other.ID.UUID(), nil, nil, 51}},
	} {
		sql := outbound.SQLListEmails
		if tc.to {
			sql = outbound.SQLListEmailsTo
		}
		w.cheap(name, w.explain(sql, tc.args...))
	}
	for name, args := range map[string][]any{ // all, domains, before, to, limit
		"sink, everything":           {true, nil, nil, nil, 51},
		"sink of one domain":         {false, demo, middle, nil, 51},
		"sink, to one address":       {true, nil, nil, "u1234", 51},
		"sink, to nobody":            {true, nil, nil, "nobody@far.test", 51},
		"sink of one domain, to one": {false, demo, nil, "u1234", 51},
	} {
		w.cheap(name, w.explain(outbound.SQLListSink, args...))
	}
}

// A statement that stays prepared would after some calls be planned without its values, and then find no index.
func TestListsArePlannedWithTheirValues(t *testing.T) {
	t.Parallel()
	pool, err := pg.Open(t.Context(), pg.Config{DSN: pgtest.DSN(t), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := newWorld(t, settings{pool: pool})
	w.attempt(w.accept("x@far.test").ID)
	for range 10 {
		for _, q := range []outbound.ListQuery{{}, {Recipient: "x@far.test", Status: outbound.Delivered}} {
			if list, _, err := w.out.List(t.Context(), system(), q); err != nil || len(list) != 1 {
				t.Fatalf("%d emails, %v", len(list), err)
			}
		}
		if list, _, err := w.out.ListSink(t.Context(), system(), outbound.SinkQuery{To: "x@far.test"}); err != nil || len(list) != 1 {
			t.Fatalf("%d messages, %v", len(list), err)
		}
	}
	if n := query[int](w, `SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE $1`, "%DESC%LIMIT%"); n != 0 {
		t.Errorf("%d lists stay prepared", n)
	}
}

// cheap fails for a plan that reads a table through or touches far more than a page needs.
func (w *world) cheap(name, plan string) {
	w.t.Helper()
	pages := 0
	for _, m := range touched.FindAllStringSubmatch(plan, 1) {
		pages, _ = strconv.Atoi(m[1])
	}
	thrown := 0
	for _, m := range removed.FindAllStringSubmatch(plan, -1) {
		n, _ := strconv.Atoi(m[1])
		thrown = max(thrown, n)
	}
	if strings.Contains(plan, "Seq Scan") || pages > 300 || thrown > 600 {
		w.t.Errorf("%s: %d pages, %d rows thrown away\n%s", name, pages, thrown, plan)
	}
}
