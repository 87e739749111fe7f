package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/obs"
)

type principalKey struct{}

// principalOf gives who asks. Operations that are not public always have one.
func principalOf(ctx context.Context) mail.Principal {
	p, _ := ctx.Value(principalKey{}).(mail.Principal)
	return p
}

// remoteOf gives the client's address.
func remoteOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// principal finds who sent an Authorization header. Whatever follows, this alone takes no longer than an ordinary operation.
func (a *API) principal(ctx context.Context, authorization string, remote netip.Addr) (mail.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		return mail.Principal{}, fault.New(fault.Unauthenticated, "unauthenticated", "send Authorization: Bearer with an API key or an access token")
	}
	if strings.HasPrefix(token, "ms_") {
		return a.Accounts.AuthenticateKey(ctx, token, remote)
	}
	return a.Accounts.VerifyAccess(ctx, token, remote)
}

// authenticate finds the principal and holds a key's scopes against the operation. What a user may do follows from the role, and
// is decided by the services.
func (a *API) authenticate(ctx huma.Context, next func(huma.Context)) {
	inner := context.WithValue(ctx.Context(), pathKey{}, ctx.URL().Path)
	inner = audit.WithRequest(inner, obs.RequestID(inner))
	remote := remoteOf(ctx.RemoteAddr())
	if open, _ := ctx.Operation().Metadata[metaOpen].(bool); open {
		p := mail.Principal{Remote: remote}
		charge(inner, remote.String())
		next(huma.WithContext(ctx, context.WithValue(inner, principalKey{}, p)))
		return
	}
	p, err := a.principal(inner, ctx.Header("Authorization"), remote)
	if err != nil {
		a.refuse(ctx, err)
		return
	}
	p.Remote = remote
	if p.Test && !mayTest(ctx.Operation()) {
		a.refuse(ctx, newProblem(http.StatusForbidden, "test-key",
			"this is a test key: it sends into the test network and reads; use a live key to change things"))
		return
	}
	scope, _ := ctx.Operation().Metadata[metaScope].(string)
	if p.IsKey() && scope != "" && !p.HasScope(scope) {
		problem := newProblem(http.StatusForbidden, "scope-missing", "this key lacks the scope "+scope)
		problem.RequiredScopes = []string{scope}
		a.refuse(ctx, problem)
		return
	}
	charge(inner, p.Actor())
	next(huma.WithContext(ctx, context.WithValue(inner, principalKey{}, p)))
}

// mayTest reports whether an operation changes nothing that is real when a test key asks for it.
func mayTest(op *huma.Operation) bool {
	return op.Method == http.MethodGet || op.Method == http.MethodHead || op.Metadata[metaTest] == true
}

// refuse ends a request in a middleware.
func (a *API) refuse(ctx huma.Context, err error) {
	p := problemOf(ctx.Context(), a.Log, err)
	p.complete(ctx.Context(), ctx.URL().Path)
	for name, values := range p.GetHeaders() {
		for _, v := range values {
			ctx.SetHeader(name, v)
		}
	}
	ctx.SetHeader("Content-Type", p.ContentType(""))
	ctx.SetStatus(p.Status)
	if err := a.huma.Marshal(ctx.BodyWriter(), "application/json", p); err != nil {
		a.Log.DebugContext(ctx.Context(), "the client left before the answer")
	}
}

// limitRate bounds the requests of one credential (L-38).
func (a *API) limitRate(ctx huma.Context, next func(huma.Context)) {
	p := principalOf(ctx.Context())
	policy := limit.Policy{Name: "api", Count: a.Limits.API.RequestsPerMinute, Per: time.Minute}
	key := p.Actor()
	if key == "anonymous" {
		policy = limit.Policy{Name: "login", Count: a.Limits.API.LoginsPerMinute, Per: time.Minute}
		key = p.Remote.String()
	}
	if policy.Count > 0 {
		if err := a.Limiter.Check(ctx.Context(), policy, key); err != nil {
			a.refuse(ctx, err)
			return
		}
	}
	next(ctx)
}

// withScope gives the principal a scope that what it asks for includes.
func withScope(p mail.Principal, scope string) mail.Principal {
	if p.IsKey() {
		p.Scopes = append(slices.Clone(p.Scopes), scope)
	}
	return p
}
