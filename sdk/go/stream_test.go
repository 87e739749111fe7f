package mailserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

// flow is one connection of a scripted server of streams.
type flow struct {
	step
	pieces []string
	every  time.Duration // between the pieces
	hangs  bool          // it stays open after the last piece
	cut    error         // it ends with this rather than in order
}

// feed is a server of streams: one flow per request, the last one again and again.
type feed struct {
	flows []flow
	seen  []*http.Request
	at    []time.Time
	open  atomic.Int32 // bodies that nobody closed
}

// RoundTrip implements http.RoundTripper.
func (f *feed) RoundTrip(req *http.Request) (*http.Response, error) {
	now := f.flows[min(len(f.seen), len(f.flows)-1)]
	f.seen, f.at = append(f.seen, req), append(f.at, time.Now())
	if now.status == 0 && now.err == nil {
		now.step = step{status: 200, header: map[string]string{"Content-Type": "text/event-stream; charset=utf-8"}, delay: now.delay}
	}
	s := script{steps: []step{now.step}}
	res, err := s.RoundTrip(req)
	if err == nil && len(now.pieces) > 0 {
		f.open.Add(1)
		res.Body = &flowBody{req: req, flow: now, rest: slices.Clone(now.pieces), close: func() { f.open.Add(-1) }}
	}
	return res, err
}

type flowBody struct {
	req   *http.Request
	flow  flow
	rest  []string
	close func()
}

func (b *flowBody) Read(p []byte) (int, error) {
	if b.req.Context().Err() != nil {
		return 0, b.req.Context().Err()
	}
	if len(b.rest) == 0 && b.flow.hangs {
		<-b.req.Context().Done()
		return 0, b.req.Context().Err()
	}
	if len(b.rest) == 0 {
		return 0, errors.Join(b.flow.cut, map[bool]error{true: io.EOF}[b.flow.cut == nil])
	}
	select {
	case <-time.After(b.flow.every):
	case <-b.req.Context().Done():
		return 0, b.req.Context().Err()
	}
	n := copy(p, b.rest[0])
	if b.rest[0] = b.rest[0][n:]; b.rest[0] == "" {
		b.rest = b.rest[1:]
	}
	return n, nil
}

func (b *flowBody) Close() error {
	if b.close != nil {
		b.close()
	}
	b.close = nil
	return nil
}

func (f *feed) client(t *testing.T, options ...mailserver.Option) *mailserver.Client {
	t.Helper()
	return client(t, nil, append([]mailserver.Option{mailserver.WithHTTPClient(&http.Client{Transport: f})}, options...)...)
}

const opening = "retry: 1000\nevent: stream.open\nid: c0\ndata: {}\n\n"

func happened(n int) string {
	return fmt.Sprintf("id: c%d\nevent: email.delivered\ndata: {\"id\":\"evt_%d\",\"type\":\"email.delivered\",\"subject\":\"eml_1\",\"domain_id\":null,\"at\":\"2026-11-25T15:00:00Z\",\"data\":{\"recipient\":\"ü\"}}\n\n", n, n)
}

func ending(code string) string {
	return fmt.Sprintf("event: stream.end\ndata: {\"code\":%q}\n\n", code)
}

// some takes so many events of a stream and leaves it; the error is that of the stream.
func some(ctx context.Context, c *mailserver.Client, n int, f mailserver.StreamEvents) (ids []string, err error) {
	for e, err := range c.Events.Stream(ctx, f) {
		if err != nil {
			return ids, err
		}
		if ids = append(ids, e.ID); len(ids) == n {
			break
		}
	}
	return ids, nil
}

func closed(t *testing.T, f *feed) {
	t.Helper()
	if n := f.open.Load(); n != 0 {
		t.Errorf("%d connections were left open", n)
	}
	for i, req := range f.seen {
		if req.Context().Err() == nil {
			t.Errorf("the context of request %d goes on", i)
		}
	}
}

func TestAStreamIsAskedForAsTheContractSaysAndGivesItsEvents(t *testing.T) {
	t.Parallel()
	tick := "event: stats.tick\ndata: {\"domains\":3,\"queue\":{\"queued\":2}}\n\n"
	reset := "id: c7\nevent: stream.reset\ndata: {}\n\n"
	f := &feed{flows: []flow{{pieces: []string{opening, happened(1), ": ping\n\n", tick, "event: stream.tomorrow\ndata: x\n\n", reset}, hangs: true}}}
	var got []mailserver.StreamEvent
	query := mailserver.StreamEvents{Types: []string{"email.*", "stats.tick"}, Subject: "eml_1", DomainID: "dom_1"}
	for e, err := range f.client(t).Events.Stream(t.Context(), query, mailserver.RequestID("my_request")) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e); len(got) == 3 {
			break
		}
	}
	if e := got[0]; e.ID != "c1" || e.Type != "email.delivered" || e.Event.ID != "evt_1" || e.Event.Data["recipient"] != "ü" || e.Stats != nil {
		t.Errorf("the event is %+v", e)
	}
	if e := got[1]; e.ID != "" || e.Type != mailserver.StreamTick || e.Event != nil || e.Stats.Domains != 3 || e.Stats.Queue.Queued != 2 {
		t.Errorf("the tick is %+v", e)
	}
	if want := (mailserver.StreamEvent{ID: "c7", Type: mailserver.StreamReset}); got[2] != want {
		t.Errorf("the reset is %+v", got[2])
	}
	req := f.seen[0]
	if req.Method != http.MethodGet || req.URL.String() != "http://server.test/v1/events/stream?type=email.%2A&type=stats.tick&subject=eml_1&domain_id=dom_1" {
		t.Errorf("%s %s", req.Method, req.URL)
	}
	for name, want := range map[string]string{
		"Accept": "text/event-stream", "Authorization": "Bearer ms_live_secret", "Accept-Encoding": "identity", "Last-Event-Id": "", "Idempotency-Key": "", "Request-Id": "my_request",
	} {
		if got := req.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	closed(t, f)
}

func TestAStreamGoesOnAfterItsLastEventWhateverEndsAConnection(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]flow{
		"in order": {}, "by a reset": {cut: errors.New("connection reset by peer")}, "by a proxy": {cut: io.ErrUnexpectedEOF}, "by silence": {hangs: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first, second := end, end
				first.pieces = []string{opening, happened(1), strings.TrimSuffix(happened(2), "\n")}
				second.pieces = []string{happened(2)}
				f := &feed{flows: []flow{first, second, {pieces: []string{happened(3)}, hangs: true}}}
				var states []string
				ids, err := some(t.Context(), f.client(t), 3, mailserver.StreamEvents{After: "oldest", Types: []string{"email.*"}, OnState: func(s mailserver.StreamState) {
					states = append(states, map[bool]string{true: "open", false: "lost"}[s.Open])
					if s.Open == (s.Err != nil) || s.Open == (s.Pause > 0) {
						t.Errorf("the state %+v", s)
					}
				}})
				if err != nil || strings.Join(ids, " ") != "c1 c2 c3" || strings.Join(states, " ") != "open lost open lost open" {
					t.Errorf("%v, %v, %v", ids, err, states)
				}
				for i, want := range []string{"", "c1", "c2"} {
					if got := f.seen[i].Header.Get("Last-Event-Id"); got != want {
						t.Errorf("request %d goes on after %q, want %q", i, got, want)
					}
					if query := f.seen[i].URL.RawQuery; query != map[bool]string{true: "type=email.%2A&after=oldest", false: "type=email.%2A"}[i == 0] {
						t.Errorf("request %d asks for %s", i, query)
					}
				}
				closed(t, f)
			})
		})
	}
}

// The place where the stream began counts, or what happens before its first event would be missed.
func TestWhatHappensBeforeTheFirstEventOfAStreamIsNotMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reset := step{err: errors.New("connection reset by peer")}
		// A place without an event is one too.
		f := &feed{flows: []flow{{step: reset}, {pieces: []string{opening + "id: c0b\n\n"}}, {pieces: []string{happened(1)}, hangs: true}}}
		if _, err := some(t.Context(), f.client(t), 1, mailserver.StreamEvents{After: "c-1"}); err != nil {
			t.Fatal(err)
		}
		if f.seen[0].URL.RawQuery != "after=c-1" || f.seen[1].URL.RawQuery != "after=c-1" || f.seen[2].URL.RawQuery != "" || f.seen[2].Header.Get("Last-Event-Id") != "c0b" {
			t.Errorf("%s, %s, %s", f.seen[0].URL, f.seen[1].URL, f.seen[2].URL)
		}
	})
}

func TestAWalkAlongAStreamCanBeTakenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &feed{flows: []flow{{pieces: []string{opening, happened(1)}, hangs: true}}}
		all := f.client(t).Events.Stream(t.Context(), mailserver.StreamEvents{})
		for range 2 {
			for e, err := range all {
				if err != nil || e.ID != "c1" {
					t.Errorf("%+v, %v", e, err)
				}
				break
			}
		}
		if len(f.seen) != 2 || f.seen[1].Header.Get("Last-Event-Id") != "" {
			t.Errorf("%d requests", len(f.seen))
		}
		closed(t, f)
	})
}

// A proxy that forgets a connection tells nobody. Pings every 15 s show that it lives.
func TestASilentConnectionIsMadeAnewAndOneWithPingsIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pings := strings.Split(opening+"|"+strings.Repeat(": ping\n\n|", 240)+happened(1), "|")
		f := &feed{flows: []flow{{pieces: []string{opening}, hangs: true}, {step: step{delay: time.Hour}}, {pieces: pings, every: 15 * time.Second, hangs: true}}}
		begin := time.Now()
		if _, err := some(t.Context(), f.client(t, mailserver.WithTimeout(time.Minute)), 1, mailserver.StreamEvents{}); err != nil {
			t.Fatal(err)
		}
		if len(f.seen) != 3 || f.at[1].Sub(begin) < 45*time.Second || f.at[2].Sub(begin) > 100*time.Second || time.Since(begin) < time.Hour {
			t.Errorf("%d requests, at %v", len(f.seen), f.at)
		}
		closed(t, f)
		f = &feed{flows: []flow{{pieces: []string{opening, happened(1)}, every: 24 * time.Hour, hangs: true}}}
		if _, err := some(t.Context(), f.client(t), 1, mailserver.StreamEvents{Silence: -1}); err != nil || len(f.seen) != 1 {
			t.Errorf("%d requests, %v", len(f.seen), err)
		}
	})
}

// The time of a loop's body is the caller's own.
func TestASlowLoopIsNotTakenForASilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &feed{flows: []flow{{pieces: []string{opening, happened(1), happened(2)}, hangs: true}}}
		n := 0
		for _, err := range f.client(t).Events.Stream(t.Context(), mailserver.StreamEvents{}) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 2 {
				break
			}
			<-time.After(time.Hour)
		}
		if len(f.seen) != 1 {
			t.Errorf("%d requests", len(f.seen))
		}
	})
}

func TestNoTimeoutOfTheClientCutsAStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &feed{flows: []flow{{pieces: []string{opening, happened(1)}, every: 30 * time.Second, hangs: true}}}
		limited := &http.Client{Transport: f, Timeout: time.Second}
		if _, err := some(t.Context(), f.client(t, mailserver.WithHTTPClient(limited), mailserver.WithTimeout(time.Second)), 1, mailserver.StreamEvents{}); err != nil || len(f.seen) != 1 {
			t.Errorf("%d requests, %v", len(f.seen), err)
		}
	})
}

func problemStep(status int, code string, header map[string]string) step {
	return step{status: status, header: header, body: fmt.Sprintf(`{"type":"x","title":"x","status":%d,"detail":"no","code":%q}`, status, code)}
}

func TestAStreamGivesUpOnWhatWaitingDoesNotSolveAndOnNothingElse(t *testing.T) {
	t.Parallel()
	open := flow{pieces: []string{opening}}
	good := flow{pieces: []string{happened(1)}, hangs: true}
	page := step{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<h1>sign in</h1>"}
	for name, c := range map[string]struct {
		step     step
		atFirst  bool // it outlasts this as the first answer
		whenOpen bool // and after it was open
	}{
		"a key that is not known":      {problemStep(401, "unauthenticated", nil), false, false},
		"a token that has expired":     {problemStep(401, "token-expired", nil), false, false},
		"a scope that is missing":      {problemStep(403, "scope-missing", nil), false, false},
		"a domain that is not there":   {problemStep(404, "not-found", nil), false, false},
		"a filter that is wrong":       {problemStep(422, "validation-failed", nil), false, false},
		"a place that is none":         {problemStep(400, "invalid-cursor", nil), false, false},
		"too many streams":             {problemStep(429, "too-many-streams", map[string]string{"Retry-After": "5"}), true, true},
		"a server that is busy":        {problemStep(503, "unavailable", nil), true, true},
		"a server that fails":          {problemStep(500, "internal", nil), true, true},
		"a proxy without a server":     {step{status: 502, body: "no"}, true, true},
		"nobody":                       {step{err: errors.New("connection refused")}, true, true},
		"a proxy that does not know":   {step{status: 404, body: "no"}, false, true},
		"a page with a sign-in":        {page, false, true},
		"a redirect":                   {step{status: 302, header: map[string]string{"Location": "https://other.test/"}}, false, true},
		"a success without anything":   {step{status: 204}, false, true},
		"a certificate of nobody":      {step{err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}}, false, false},
		"a server that does not begin": {step{status: 200, delay: time.Hour}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, before := range [][]flow{nil, {open}} {
				outlasts := map[bool]bool{true: c.atFirst, false: c.whenOpen}[before == nil]
				synctest.Test(t, func(t *testing.T) {
					f := &feed{flows: append(append(before, flow{step: c.step}), good)}
					ids, err := some(t.Context(), f.client(t), 1, mailserver.StreamEvents{})
					if want := len(before) + 1; outlasts && (err != nil || len(ids) != 1) || !outlasts && (err == nil || len(f.seen) != want) {
						t.Errorf("%v, %v after %d requests; it was open before: %t", ids, err, len(f.seen), before != nil)
					}
					closed(t, f)
				})
			}
		})
	}
}

func TestAnEventThatCannotBeReadEndsAStreamInsteadOfBeingAskedForAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{
		"data that is no JSON": "id: c1\nevent: email.delivered\ndata: {\n\n",
		"numbers of a kind":    "event: stats.tick\ndata: {\"domains\":\"x\"}\n\n",
		"a line without end":   strings.Repeat("x", mailserver.MaxBlock+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &feed{flows: []flow{{pieces: []string{opening, bad}, hangs: true}}}
				if ids, err := some(t.Context(), f.client(t), 1, mailserver.StreamEvents{}); err == nil || len(f.seen) != 1 {
					t.Errorf("%v, %v, %d requests", ids, err, len(f.seen))
				}
				closed(t, f)
			})
		})
	}
}

// pauses gives what a stream waited before each new connection.
func pauses(t *testing.T, f *feed) (out []time.Duration) {
	t.Helper()
	ids, err := some(t.Context(), f.client(t), 1, mailserver.StreamEvents{OnState: func(s mailserver.StreamState) {
		if !s.Open {
			out = append(out, s.Pause)
		}
	}})
	if err != nil {
		t.Errorf("%v, %v", ids, err)
	}
	return out
}

func TestThePausesOfAStreamGrowAndAreNeverThoseOfAStorm(t *testing.T) {
	t.Parallel()
	good := flow{pieces: []string{happened(1)}, hangs: true}
	asking := func(retry string) flow { return flow{pieces: []string{"retry: " + retry + "\n\n"}} }
	steady := flow{pieces: []string{"retry: 1000\n", ": ping\n\n"}, every: 6 * time.Second}
	nobody := flow{step: step{err: errors.New("connection refused")}}
	slow := flow{step: problemStep(429, "too-many-streams", map[string]string{"Retry-After": "90"})}
	for name, c := range map[string]struct {
		flows []flow
		want  []int // least milliseconds; half as much again is the most
	}{
		"a server that names none":           {[]flow{nobody, nobody, nobody, nobody, nobody, nobody, good}, []int{2000, 4000, 8000, 16000, 20000, 20000}},
		"one that names a pause":             {[]flow{asking("1000"), asking("1000"), nobody, good}, []int{1000, 2000, 4000}},
		"one that names none at all":         {[]flow{asking("0"), asking("0"), good}, []int{100, 200}},
		"one that wants long ones":           {[]flow{asking("60000"), asking("60000"), good}, []int{60000, 60000}},
		"one that wants to be left for good": {[]flow{asking(strings.Repeat("9", 400)), good}, []int{86_400_000}},
		"a good connection between":          {[]flow{asking("1000"), asking("1000"), steady, asking("1000"), good}, []int{1000, 2000, 1000, 2000}},
		"one that says when":                 {[]flow{asking("1000"), slow, good}, []int{1000, 90_000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &feed{flows: c.flows}
				got := pauses(t, f)
				for i, want := range c.want {
					least := time.Duration(want) * time.Millisecond
					if len(got) != len(c.want) || got[i] < least || got[i] > least*3/2 {
						t.Fatalf("got %v, want %v ms", got, c.want)
					}
				}
				for i, pause := range got {
					if gap := f.at[i+1].Sub(f.at[i]); gap < pause {
						t.Errorf("connection %d came after %v, not %v", i+1, gap, pause)
					}
				}
			})
		})
	}
}

func TestTheServersReasonToEndAStreamDecidesWhenTheNextOneComes(t *testing.T) {
	t.Parallel()
	good := flow{pieces: []string{happened(2)}, hangs: true}
	end := func(code string) flow {
		return flow{pieces: []string{opening, ending(code), happened(99)}, hangs: true}
	}
	for name, c := range map[string]struct {
		flows []flow
		lost  int
	}{
		"its time is over":         {[]flow{end("lifetime"), good}, 0},
		"a token ends":             {[]flow{end("token-expired"), good}, 0},
		"it does so again at once": {[]flow{end("lifetime"), end("lifetime"), end("lifetime"), good}, 2},
		"the server goes down":     {[]flow{end("shutdown"), good}, 1},
		"it has no database":       {[]flow{end("unavailable"), good}, 1},
		"it says none":             {[]flow{{pieces: []string{"event: stream.end\ndata: x\n\n"}}, good}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &feed{flows: c.flows}
				if got := pauses(t, f); len(got) != c.lost || len(f.seen) != len(c.flows) {
					t.Errorf("%d pauses, %d requests", len(got), len(f.seen))
				}
				closed(t, f)
			})
		})
	}
}

func TestTheContextEndsAStreamWhereverItIs(t *testing.T) {
	t.Parallel()
	reason := errors.New("the user left")
	for name, first := range map[string]flow{
		"while it waits for an event":   {pieces: []string{opening, happened(1)}, hangs: true},
		"while it waits to reconnect":   {pieces: []string{"retry: 3600000\n\n", happened(1)}},
		"while it waits for the server": {step: step{status: 200, delay: time.Hour}},
		"after a problem":               {step: problemStep(429, "too-many-streams", map[string]string{"Retry-After": "3600"})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &feed{flows: []flow{first}}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(20*time.Second, func() { cancel(reason) })
				begin := time.Now()
				_, err := some(ctx, f.client(t), 2, mailserver.StreamEvents{})
				if !errors.Is(err, context.Canceled) || time.Since(begin) != 20*time.Second {
					t.Errorf("%v after %v", err, time.Since(begin))
				}
				closed(t, f)
				requests := len(f.seen)
				if _, err := some(ctx, f.client(t), 1, mailserver.StreamEvents{}); !errors.Is(err, context.Canceled) || f.open.Load() != 0 {
					t.Errorf("afterwards %v, %d more requests", err, len(f.seen)-requests)
				}
			})
		})
	}
}

func TestAnOptionThatCannotBeSentEndsAStreamAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &feed{flows: []flow{{pieces: []string{happened(1)}, hangs: true}}}
		for _, err := range f.client(t).Events.Stream(t.Context(), mailserver.StreamEvents{}, mailserver.RequestID("a\nb")) {
			if err == nil || len(f.seen) != 0 {
				t.Errorf("%v, %d requests", err, len(f.seen))
			}
		}
	})
}

// Over a real connection: a server that a program leaves sees it go, and one that goes is come back to.
func TestAStreamOverARealConnection(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 3)
	requests := make(chan string, 3)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { gone <- struct{}{} }()
		requests <- r.Header.Get("Last-Event-Id")
		w.Header().Set("Content-Type", "text/event-stream")
		for n, from := 1, r.Header.Get("Last-Event-Id"); n <= 3; n++ {
			if fmt.Sprintf("c%d", n) <= from {
				continue
			}
			for _, b := range []byte("retry: 1\n" + happened(n)) {
				_, _ = w.Write([]byte{b})
				_ = http.NewResponseController(w).Flush()
			}
			if from == "" && n == 2 {
				panic(http.ErrAbortHandler)
			}
		}
		<-r.Context().Done()
	}))
	defer s.Close()
	c, err := mailserver.New(s.URL, mailserver.WithHTTPClient(s.Client()))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := some(t.Context(), c, 3, mailserver.StreamEvents{})
	if err != nil || !reflect.DeepEqual(ids, []string{"c1", "c2", "c3"}) {
		t.Errorf("%v, %v", ids, err)
	}
	for _, want := range []string{"", "c2"} {
		if got := <-requests; got != want {
			t.Errorf("it went on after %q, want %q", got, want)
		}
		<-gone
	}
}

// Whatever a server sends, a program gets events and errors, and never a panic or a stream that does not end.
func FuzzStream(f *testing.F) {
	for _, stream := range []string{opening + happened(1) + ending("shutdown"), "event: stats.tick\ndata: null\n\n", "id: \x01\ndata: {}\n\n", "data\n\n", ending("x"), "event: stream.reset\ndata\n\n"} {
		f.Add(stream)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		flowing := flow{pieces: []string{stream + "\n"}}
		s := &feed{flows: []flow{flowing, {step: problemStep(403, "scope-missing", nil)}}}
		synctest.Test(t, func(t *testing.T) {
			errs := 0
			for e, err := range s.client(t).Events.Stream(t.Context(), mailserver.StreamEvents{}) {
				if err != nil {
					errs++
				}
				if err != nil && e != (mailserver.StreamEvent{}) {
					t.Errorf("%+v came with %v", e, err)
				}
			}
			if errs != 1 {
				t.Errorf("%d errors", errs)
			}
			closed(t, s)
		})
	})
}
