package mailserver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

func pageOf(cursor string, names ...string) step {
	items := make([]string, len(names))
	for i, name := range names {
		items[i] = strings.Replace(domainBody, "example.test", name, 1)
	}
	next := "null"
	if cursor != "" {
		next = `"` + cursor + `"`
	}
	return step{status: 200, body: fmt.Sprintf(`{"items":[%s],"next_cursor":%s}`, strings.Join(items, ","), next)}
}

func TestAllWalksThroughEveryPageAndNoFurtherThanAsked(t *testing.T) {
	t.Parallel()
	s := &script{steps: []step{pageOf("c1", "a.test", "b.test"), pageOf("c2", "c.test"), pageOf("", "d.test")}}
	var got []string
	for d, err := range client(t, s).Domains.All(t.Context(), mailserver.ListDomains{Status: mailserver.DomainStatusVerified, Limit: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Name)
	}
	if strings.Join(got, " ") != "a.test b.test c.test d.test" {
		t.Errorf("got %q", got)
	}
	for i, want := range []string{"limit=2&status=verified", "limit=2&cursor=c1&status=verified", "limit=2&cursor=c2&status=verified"} {
		if q := s.seen[i].URL.RawQuery; q != want {
			t.Errorf("page %d was asked for with %q, want %q", i, q, want)
		}
	}
	s.seen = nil
	for _, err := range client(t, s).Domains.All(t.Context(), mailserver.ListDomains{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if len(s.seen) != 1 || s.seen[0].URL.RawQuery != "" {
		t.Errorf("after a break %d pages were fetched; the first with the query %q", len(s.seen), s.seen[0].URL.RawQuery)
	}
}

// A walk that is kept begins at its beginning each time, also while another one is under way.
func TestAWalkCanBeTakenAgain(t *testing.T) {
	t.Parallel()
	page := pageOf("c1", "a.test")
	s := &script{steps: []step{page, pageOf("", "b.test"), page, page, pageOf("", "b.test")}}
	all := client(t, s).Domains.All(t.Context(), mailserver.ListDomains{})
	names := func() (got []string) {
		for d, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d.Name)
		}
		return got
	}
	if got := names(); strings.Join(got, " ") != "a.test b.test" {
		t.Errorf("the first walk gave %q", got)
	}
	for _, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		if got := names(); strings.Join(got, " ") != "a.test b.test" {
			t.Errorf("the walk within a walk gave %q", got)
		}
		break
	}
	for i, want := range []string{"", "cursor=c1", "", "", "cursor=c1"} {
		if got := s.seen[i].URL.RawQuery; got != want {
			t.Errorf("request %d asked for %q, want %q", i, got, want)
		}
	}
}

func TestAnErrorEndsAWalk(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]step{
		"a problem on the second page":  {pageOf("c1", "a.test"), {status: 403, body: exists}},
		"a server that turns in circle": {pageOf("c1", "a.test"), pageOf("c1", "a.test")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{steps: steps}
			errs := 0
			for d, err := range client(t, s).Domains.All(t.Context(), mailserver.ListDomains{}) {
				if err != nil {
					errs++
					if d.Name != "" {
						t.Error("an error came with an item")
					}
				}
			}
			if errs != 1 || len(s.seen) != 2 {
				t.Errorf("%d errors, %d requests", errs, len(s.seen))
			}
		})
	}
}

func TestALookUpByNameThatFindsNothingIsNotFound(t *testing.T) {
	t.Parallel()
	s := &script{steps: []step{pageOf("")}}
	if _, err := client(t, s).Domains.GetByName(t.Context(), "a.test"); !mailserver.IsCode(err, mailserver.CodeNotFound) {
		t.Errorf("got %v", err)
	}
	if q := s.seen[0].URL.RawQuery; q != "limit=1&name=a.test" {
		t.Errorf("asked with %q", q)
	}
}

// A slip with an id must not become a request for something else.
func TestAnIDCannotLeaveItsPlaceInThePath(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"": "/v1/users/-", ".": "/v1/users/-", "..": "/v1/users/-", "../domains": "/v1/users/..%2Fdomains", "a?b#c": "/v1/users/a%3Fb%23c",
	} {
		s := &script{steps: []step{{status: 204}}}
		if err := client(t, s).Users.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if got := s.seen[0].URL.EscapedPath(); got != want || s.seen[0].URL.RawQuery != "" {
			t.Errorf("%q asked for %s", id, s.seen[0].URL)
		}
	}
}

func TestAnUpdateSendsWhatWasSetAndNothingElse(t *testing.T) {
	t.Parallel()
	for want, update := range map[string]any{
		`{}`:                               mailserver.MessageUpdate{},
		`{"seen":false}`:                   mailserver.MessageUpdate{Seen: new(false)},
		`{"flags":[]}`:                     mailserver.MessageUpdate{Flags: &[]string{}},
		`{"name":null}`:                    mailserver.UserUpdate{Name: mailserver.Null[string]()},
		`{"name":"","quota_bytes":0}`:      mailserver.UserUpdate{Name: mailserver.Value(""), QuotaBytes: new(int64(0))},
		`{"status":"disabled"}`:            mailserver.DomainUpdate{Status: new(mailserver.DomainStatusDisabled)},
		`{"email":"a@b","quota_bytes":0}`:  mailserver.UserCreate{Email: "a@b", QuotaBytes: new(int64(0))},
		`{"email":"a@b","password":"pw1"}`: mailserver.UserCreate{Email: "a@b", Password: "pw1"},
	} {
		got, err := json.Marshal(update)
		if err != nil || string(got) != want {
			t.Errorf("%#v became %s (%v), want %s", update, got, err, want)
		}
	}
}

// EmailSend and Attachment are written by hand. They must have each field of the contract, under its name.
func TestWhatIsWrittenByHandHasEveryFieldOfTheContract(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[mailserver.EmailSend](), reflect.TypeFor[api.EmailSend]()},
		{reflect.TypeFor[mailserver.Attachment](), reflect.TypeFor[api.AttachmentInput]()},
	} {
		hand, contract := tags(pair[0]), tags(pair[1])
		if !reflect.DeepEqual(hand, contract) {
			t.Errorf("%s has %v, the contract has %v", pair[0], hand, contract)
		}
	}
	whole := mailserver.EmailSend{
		From: mailserver.NameAddress(`The "Shop"`, "shop@example.test"), To: []string{"a@example.test"}, Headers: map[string]string{"X-Order": "42"},
		Attachments: []mailserver.Attachment{{Filename: "a.txt", Content: []byte("hi")}}, Tags: []mailserver.Tag{{Name: "kind", Value: "receipt"}},
	}
	raw, err := json.Marshal(whole)
	want := `{"from":"\"The \\\"Shop\\\"\" \u003cshop@example.test\u003e","to":["a@example.test"],"headers":{"X-Order":"42"},` +
		`"attachments":[{"filename":"a.txt","content":"aGk="}],"tags":[{"name":"kind","value":"receipt"}]}`
	if err != nil || string(raw) != want {
		t.Errorf("got %s (%v)\nwant %s", raw, err, want)
	}
}

// tags maps the JSON names of a type's fields to whether they may be absent.
func tags(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = options == "omitempty" || options == "omitzero"
	}
	return out
}

func emailStep(status, recipient string) step {
	return step{status: 200, body: fmt.Sprintf(`{"id":"eml_1","domain_id":"dom_1","status":%q,"source":"api","test":false,"from":"a@b.test","subject":"","message_id":"",
		"size_bytes":1,"tags":[],"metadata":{},"created_at":"2026-11-25T15:00:00Z","recipients":[{"delivery_id":"dlv_1","email":"x@y.test","kind":"to",
		"status":%q,"attempts":1,"transport":"","last_reply":"550 5.1.1 no","next_attempt_at":null,"updated_at":"2026-11-25T15:00:00Z"}]}`, status, recipient)}
}

func TestWaitEndsWhenTheEmailHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{emailStep("queued", "queued"), emailStep("deferred", "deferred"), emailStep("delivered", "delivered")}}
		email, err := client(t, s).Emails.Wait(t.Context(), "eml_1")
		if err != nil || email.Status != mailserver.EmailStatusDelivered || len(s.seen) != 3 {
			t.Errorf("%+v, %v after %d looks", email, err, len(s.seen))
		}
		s = &script{steps: []step{emailStep("queued", "queued"), emailStep("deferred", "deferred")}}
		if email, err = client(t, s).Emails.Wait(t.Context(), "eml_1", mailserver.EmailStatusDeferred); err != nil || email.Status != "deferred" {
			t.Errorf("%+v, %v", email, err)
		}
		s = &script{steps: []step{emailStep("bounced", "bounced")}}
		email, err = client(t, s).Emails.Wait(t.Context(), "eml_1", mailserver.EmailStatusDelivered)
		var other *mailserver.StatusError
		if !errors.As(err, &other) || email == nil || err.Error() != "the email eml_1 is bounced; x@y.test: bounced, 550 5.1.1 no" {
			t.Errorf("got %v", err)
		}
	})
}

func TestStatsAreAskedForAsTheContractSays(t *testing.T) {
	t.Parallel()
	s := &script{steps: []step{
		{status: 200, body: `{"at":"2026-11-25T15:00:00Z","domains":2,"last_minute":{"delivered":7,"rejected":null},"queue":{"queued":3}}`},
		{status: 200, body: `{"step":"hour","series":[{"metric":"delivered","kind":"count","unit":"recipients","points":[{"at":"2026-11-25T15:00:00Z","value":null}]}]}`},
		{status: 200, body: `{"step":"minute","series":[]}`},
	}}
	c := client(t, s)
	overview, err := c.Stats.Overview(t.Context(), "")
	if err != nil || overview.Domains != 2 || overview.LastMinute.Delivered != 7 || !overview.LastMinute.Rejected.IsNull() || overview.Queue.Queued != 3 || overview.Server != nil {
		t.Errorf("%+v, %v", overview, err)
	}
	series, err := c.Stats.Timeseries(t.Context(), mailserver.Timeseries{
		Metrics: []mailserver.StatsSeriesMetric{mailserver.StatsSeriesMetricDelivered, mailserver.StatsSeriesMetricQueueDepth}, Step: mailserver.StatsTimeseriesStepHour,
		From: time.Date(2026, 11, 24, 16, 0, 0, 0, time.FixedZone("", 3600)), To: time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC), DomainID: "dom_1",
	})
	if err != nil || len(series.Series) != 1 || series.Series[0].Unit != mailserver.StatsSeriesUnitRecipients || !series.Series[0].Points[0].Value.IsNull() {
		t.Errorf("%+v, %v", series, err)
	}
	if _, err := c.Stats.Timeseries(t.Context(), mailserver.Timeseries{}); err != nil {
		t.Error(err)
	}
	for i, want := range []string{
		"/v1/stats/overview",
		"/v1/stats/timeseries?domain_id=dom_1&from=2026-11-24T16%3A00%3A00%2B01%3A00&metric=delivered&metric=queue_depth&step=hour&to=2026-11-25T15%3A00%3A00Z",
		"/v1/stats/timeseries",
	} {
		u := *s.seen[i].URL
		u.RawQuery = u.Query().Encode() // in the order of names
		if got := u.RequestURI(); got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
}

// A program must not have to leave the SDK for one operation. Browser sessions are not for programs.
func TestEveryOperationOfTheContractHasAMethod(t *testing.T) {
	t.Parallel()
	var hand strings.Builder
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") {
			hand.Write(text)
		}
	}
	operations := 0
	for m := range reflect.TypeFor[api.ClientWithResponsesInterface]().Methods() {
		name, ok := strings.CutSuffix(m.Name, "WithResponse")
		if !ok || strings.HasSuffix(name, "WithBody") || strings.HasSuffix(name, "Session") {
			continue
		}
		operations++
		if !regexp.MustCompile(`\.api\.` + name + `(WithBody)?(WithResponse)?\(`).MatchString(hand.String()) {
			t.Errorf("no method of the SDK calls %s", name)
		}
	}
	if operations < 30 {
		t.Errorf("only %d operations were found", operations)
	}
}
