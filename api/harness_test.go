package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/inbound"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/seal"
	"github.com/mailserver-dev/mailserver/server/stats"
)

const (
	requestID    = "req_of_this_test"
	goodPassword = "correct-horse-battery"
)

// env is the API over real services and a database of its own.
type env struct {
	t         *testing.T
	url       string
	stop      func() // ends the server when all requests have ended
	pool      *pg.Pool
	api       *api.API
	idem      *idem.Keys
	accounts  *account.Service
	domains   *domain.Service
	mailboxes *mailbox.Service
	outbound  *outbound.Service
	stats     *stats.Service
	events    *event.Service
	bus       *bus.Bus
	log       *lockedBuffer
	key       string // a key with every scope
	owner     string // an access token of the owner
	ownerID   string
	refused   atomic.Int64
	mu        sync.Mutex
	signIns   map[string]int // by result and protocol
}

// AuthAttempt implements account.Metrics.
func (e *env) AuthAttempt(result, protocol string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.signIns[result+" "+protocol]++
}

// reading is what the node measures of itself.
func (e *env) reading() stats.Reading {
	return stats.Reading{Memory: 64 << 20, SMTP: 1, Submission: 2, IMAP: 3, HTTP: 4, Rejected: e.refused.Load()}
}

func (e *env) counted(what string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.signIns[what]
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// option changes what the API is made of.
type option func(*api.Deps)

func newEnv(t *testing.T, options ...option) *env {
	t.Helper()
	return newEnvWith(t, pgtest.DB(t), options...)
}

func newEnvWith(t *testing.T, pool *pg.Pool, options ...option) *env {
	t.Helper()
	e := &env{t: t, pool: pool, log: &lockedBuffer{}, signIns: map[string]int{}}
	log := slog.New(slog.NewJSONHandler(e.log, nil))
	deps := e.services(log)
	for _, o := range options {
		o(&deps)
	}
	e.serve(deps)
	if _, _, err := e.accounts.Bootstrap(t.Context(), "owner@a.test", goodPassword); err != nil {
		t.Fatal(err)
	}
	var session api.Session
	e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: goodPassword}).want(201).into(&session)
	e.owner, e.ownerID = session.AccessToken, session.User.ID
	e.key = e.newKey(account.AllScopes())
	return e
}

// services builds what the server builds, with cheap password hashes.
func (e *env) services(log *slog.Logger) api.Deps {
	t, clk, b, metrics := e.t, clock.System(), bus.New(), obs.NewMetrics()
	bodies, err := body.Open(body.Options{Dir: t.TempDir(), LowWater: func(int64) int64 { return 0 }}, clk, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bodies.Close() })
	limiter := limit.New(e.pool, clk, limit.ProfileNone)
	events := event.New(e.pool, clk, b, log)
	if err := events.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.idem = idem.New(e.pool, clk)
	box, err := seal.New(seal.Key{1})
	if err != nil {
		t.Fatal(err)
	}
	// Ed25519 keys are made in no time.
	e.domains = domain.New(e.pool, clk, b, log, domain.Config{AutoVerify: true, Hostname: "mx.a.test", Box: box, DefaultKeys: domain.KeysEd25519})
	e.accounts = account.New(account.Deps{Pool: e.pool, Clock: clk, Log: log, Bus: b, Limiter: limiter, Domains: e.domains, Box: box, Metrics: e},
		account.Config{Argon2: account.Argon2{Time: 1, MemoryKiB: 64, Threads: 1}})
	e.mailboxes = mailbox.New(e.pool, bodies, b, clk, log, mailbox.Options{})
	e.mailboxes.Attach(e.accounts)
	e.mailboxes.Start(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.mailboxes.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	in := inbound.New(inbound.Config{Hostname: "mx.a.test", MaxHops: 50}, inbound.Deps{
		Clock: clk, Log: log, Bodies: bodies, Domains: e.domains, Accounts: e.accounts, Mailboxes: e.mailboxes, Metrics: metrics,
	})
	e.outbound = outbound.New(outbound.Config{Hostname: "mx.a.test", Mode: outbound.ModeSink, MaxBytes: 35 << 20, RecipientsAPI: 100}, outbound.Deps{
		Pool: e.pool, Clock: clk, Log: log, Bodies: bodies, Domains: e.domains, Accounts: e.accounts, Local: in, Metrics: metrics, Bus: b,
	})
	e.bus, e.events = b, events
	e.stats = stats.New(stats.Config{Node: "one", Version: "1.0.0", StartedAt: clk.Now(), Read: e.reading}, stats.Deps{
		Pool: e.pool, Clock: clk, Log: log, Bus: b, Domains: e.domains, Accounts: e.accounts, Mailboxes: e.mailboxes, Outbound: e.outbound,
	})
	limits := config.Default(config.Dev).Limits
	return api.Deps{
		Clock: clk, Log: log, Limits: limits, Accounts: e.accounts, Domains: e.domains, Events: events, Mailboxes: e.mailboxes,
		Outbound: e.outbound, Idem: e.idem, Limiter: limiter, Stats: e.stats, Bus: b,
	}
}

// serve mounts the API as the server does: below a router that names requests and catches panics.
func (e *env) serve(deps api.Deps) {
	surface, err := api.New(deps)
	if err != nil {
		e.t.Fatal(err)
	}
	e.api = surface
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Request-Id", requestID)
			r = r.WithContext(obs.WithRequestID(r.Context(), requestID))
			defer func() {
				if recover() != nil {
					surface.Problem(w, r, http.StatusInternalServerError, "internal")
				}
			}()
			next.ServeHTTP(w, r)
		})
	})
	if err := surface.Mount(r); err != nil {
		e.t.Fatal(err)
	}
	server := httptest.NewServer(r)
	e.stop = sync.OnceFunc(server.Close)
	e.t.Cleanup(e.stop)
	e.url = server.URL
}

// answer is what came back.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   []byte
}

// raw is a body that is sent as it is.
type raw string

// call sends a request; headers are name, value, name, value.
func (e *env) call(token, method, path string, in any, headers ...string) *answer {
	e.t.Helper()
	var reader io.Reader
	switch v := in.(type) {
	case nil:
	case raw:
		reader = strings.NewReader(string(v))
	case io.Reader:
		reader = v
	default:
		text, err := json.Marshal(v)
		if err != nil {
			e.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, reader)
	if err != nil {
		e.t.Fatal(err)
	}
	if reader != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	return e.send(req)
}

func (e *env) send(req *http.Request) *answer {
	e.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	var content []byte
	if res.Header.Get("Content-Type") == "text/event-stream" && req.Method == http.MethodGet {
		content = firstFrame(e.t, res.Body) // it goes on for ever
	} else if content, err = io.ReadAll(res.Body); err != nil {
		e.t.Fatal(err)
	}
	return &answer{t: e.t, what: req.Method + " " + req.URL.Path, status: res.StatusCode, header: res.Header, body: content}
}

// want checks the status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.what, a.status, status, a.body)
	}
	return a
}

// into reads the body.
func (a *answer) into(v any) *answer {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %v in %s", a.what, err, a.body)
	}
	return a
}

// problem checks that the answer is a whole problem with this status and code.
func (a *answer) problem(status int, code string) api.Problem {
	a.t.Helper()
	a.want(status)
	var p api.Problem
	a.into(&p)
	if p.Code != code || p.Status != status || p.Type != "/problems/"+code || p.Title == "" || p.Detail == "" || p.RequestID != requestID ||
		p.Instance == "" || a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Errorf("%s: not the problem %q with everything that a problem has: %s %s", a.what, code, a.header.Get("Content-Type"), a.body)
	}
	return p
}

// upload keeps a file as a blob.
func (e *env) upload(token, content, contentType string) api.Blob {
	e.t.Helper()
	var b api.Blob
	e.call(token, "POST", "/v1/blobs", raw(content), "Content-Type", contentType).want(201).into(&b)
	return b
}

func (e *env) newKey(scopes []string, domains ...string) string {
	e.t.Helper()
	var made api.APIKeyCreated
	e.call(e.owner, "POST", "/v1/api-keys", api.APIKeyCreate{Name: "test", Scopes: scopes, DomainIDs: domains}).want(201).into(&made)
	return made.Key
}

func (e *env) newDomain(name string) api.Domain {
	e.t.Helper()
	var d api.Domain
	e.call(e.key, "POST", "/v1/domains", api.DomainCreate{Name: name}).want(201).into(&d)
	return d
}

func (e *env) newUser(email, role string, domains ...string) api.User {
	e.t.Helper()
	var u api.User
	e.call(e.owner, "POST", "/v1/users", api.UserCreate{Email: email, Password: goodPassword, Role: role, AdminIDs: domains}).want(201).into(&u)
	return u
}

func (e *env) signIn(email string) string {
	e.t.Helper()
	var s api.Session
	e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: email, Password: goodPassword}).want(201).into(&s)
	return s.AccessToken
}

// mail sends an email and delivers it. It gives the email's id.
func (e *env) mail(token, from, to, subject, text string) string {
	e.t.Helper()
	var accepted api.EmailAccepted
	e.call(token, "POST", "/v1/emails", map[string]any{"from": from, "to": to, "subject": subject, "text": text}).want(202).into(&accepted)
	e.deliver(accepted.ID)
	return accepted.ID
}

// deliver does what the worker does.
func (e *env) deliver(id string) {
	e.t.Helper()
	var email mail.EmailID
	if err := email.UnmarshalText([]byte(id)); err != nil {
		e.t.Fatal(err)
	}
	if err := e.outbound.Attempt(e.t.Context(), email); err != nil {
		e.t.Fatal(err)
	}
}

// mailboxNamed finds a user's mailbox.
func (e *env) mailboxNamed(user, name string) api.Mailbox {
	e.t.Helper()
	var page api.MailboxPage
	e.call(e.key, "GET", "/v1/users/"+user+"/mailboxes", nil).want(200).into(&page)
	for _, m := range page.Items {
		if m.Name == name {
			return m
		}
	}
	e.t.Fatalf("no mailbox %s in %+v", name, page.Items)
	return api.Mailbox{}
}

// messages lists a mailbox.
func (e *env) messages(mailboxID string) []api.MessageSummary {
	e.t.Helper()
	var page api.MessageSummaryPage
	e.call(e.key, "GET", "/v1/mailboxes/"+mailboxID+"/messages", nil).want(200).into(&page)
	return page.Items
}

func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	return "?" + q.Encode()
}
