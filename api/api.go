package api

import (
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/stats"
)

// Deps are the services that the API offers.
type Deps struct {
	Clock     clock.Clock
	Log       *slog.Logger
	Limits    config.Limits
	Accounts  *account.Service
	Domains   *domain.Service
	Events    *event.Service
	Mailboxes *mailbox.Service
	Outbound  *outbound.Service
	Idem      *idem.Keys
	Limiter   *limit.Limiter
	Stats     *stats.Service
	Bus       *bus.Bus
}

// API is the REST surface.
type API struct {
	Deps
	huma    huma.API
	router  chi.Router
	budget  *budget
	effects map[string]render
	streams *streams
}

// New registers every operation. Without services it serves only to make the document.
func New(d Deps) (*API, error) {
	useProblems()
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{Deps: d, effects: map[string]render{}, streams: newStreams(d.Limits.API)}
	a.budget = newBudget(int64(d.Limits.API.BodyBudgetBytes), max(a.maxBody(), a.maxBatch()))
	a.router = a.newRouter()
	a.huma = humachi.New(a.router, settings())
	a.huma.UseMiddleware(a.timed, a.authenticate, a.limitRate, a.negotiate, a.receive, a.idempotent)
	for _, register := range []func(){
		a.registerAuth, a.registerDomains, a.registerDKIM, a.registerDNSRecords, a.registerUsers, a.registerKeys, a.registerEmails, a.registerBatch, a.registerBlobs, a.registerMailboxes, a.registerMessages,
		a.registerEvents, a.registerStream, a.registerStats, a.registerRelay, a.registerQueue, a.registerSink,
	} {
		register()
	}
	return a, nil
}

// settings is huma's configuration: our problems, no schema links, no pages of its own, unknown parameters refused.
func settings() huma.Config {
	cfg := huma.DefaultConfig("mailserver", "1.0.0")
	cfg.CreateHooks = nil
	cfg.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	cfg.Formats = formats()
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.RejectUnknownQueryParameters = true
	cfg.Info.Description = "Provisioning, sending and mailboxes of a mail server, as one contract. Answers may grow: a program must bear new fields, " +
		"and new words where x-extensible-enum lists those of today."
	cfg.Info.License = &huma.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"}
	cfg.Servers = []*huma.Server{{URL: "http://127.0.0.1:8080", Description: "mailserver dev"}}
	cfg.Tags = tags()
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearer: {
			Type: "http", Scheme: "bearer",
			Description: "An API key (ms_live_… or ms_test_…) or the access token of a browser session. What a user may do follows from the role; " +
				"a key has scopes, of which resource:write includes resource:read. A test key sends into the test network, uploads what it " +
				"sends, and reads; whatever else it asks for gets 403 test-key:\n",
		},
	}
	cfg.Security = []map[string][]string{{bearer: {}}}
	return cfg
}

const bearer = "bearer"

func tags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "auth", Description: "Browser sessions: a short access token and a rotating refresh cookie."},
		{Name: "domains", Description: "The mail domains that this server hosts."},
		{Name: "dkim-keys", Description: "The keys with which mail of a domain is signed."},
		{Name: "users", Description: "People with a mailbox, and who may administer what."},
		{Name: "api-keys", Description: "Credentials of programs, with scopes and domains."},
		{Name: "emails", Description: "Sending: accepted emails, their recipients and what became of them."},
		{Name: "blobs", Description: "Files that are uploaded once, to be attached to emails."},
		{Name: "mailboxes", Description: "The mailboxes (folders) of a user."},
		{Name: "messages", Description: "The messages in a mailbox."},
		{Name: "events", Description: "The ledger: everything that happened, in order."},
		{Name: "stats", Description: "How the server does: counts, gauges and what waits."},
		{Name: "queue", Description: "Mail that waits to be sent, and where it goes."},
		{Name: "sink", Description: "What development mode kept instead of sending it to the internet."},
	}
}

// Mount puts the API and its pages on a router.
func (a *API) Mount(r chi.Router) error {
	r.Handle("/v1", a.bounded(a.router))
	r.Handle("/v1/*", a.bounded(a.router))
	return a.mountPages(r)
}

// newRouter routes by the whole path. HEAD is answered like GET (RFC 9110 §9.3.2).
func (a *API) newRouter() chi.Router {
	r := chi.NewRouter()
	r.Use(a.forgetRoute, middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, req *http.Request) { a.Problem(w, req, http.StatusNotFound, "not-found") })
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		p := newProblem(http.StatusMethodNotAllowed, "method-not-allowed", "this path does not have the method; see the Allow header")
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if r.Match(chi.NewRouteContext(), method, req.URL.Path) {
				p.allow = append(p.allow, method)
			}
		}
		writeProblem(w, req, p)
	})
	return r
}

// forgetRoute drops what the outer router found, so that logs show the operation's pattern alone.
func (a *API) forgetRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rc := chi.RouteContext(r.Context()); rc != nil {
			rc.Routes, rc.RoutePath, rc.RoutePatterns, rc.URLParams = a.router, "", nil, chi.RouteParams{}
		}
		next.ServeHTTP(w, r)
	})
}

// MayReadMetrics reports whether a request carries a credential with metrics:read.
func (a *API) MayReadMetrics(r *http.Request) bool {
	p, err := a.principal(r.Context(), r.Header.Get("Authorization"), remoteOf(r.RemoteAddr))
	return err == nil && (p.IsOwner() || p.IsKey() && p.HasScope("metrics:read"))
}
