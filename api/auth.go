package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/fault"
)

// refreshCookie is the name of the cookie that holds the refresh token.
const refreshCookie = "mailserver_refresh"

// SessionCreate is a sign-in.
type SessionCreate struct {
	Email    string `json:"email" example:"admin@demo.test" maxLength:"320" doc:"The user's address."`
	Password string `json:"password" example:"correct-horse-battery" maxLength:"1024" doc:"The user's password."`
}

// Session is a signed-in browser session.
type Session struct {
	AccessToken string `json:"access_token" example:"eyJhbGciOiJFZERTQSJ9.e30.c2ln" doc:"Sent as Authorization: Bearer; keep it in memory only."`
	TokenType   string `json:"token_type" enum:"Bearer" example:"Bearer" doc:"Always Bearer."`
	ExpiresIn   int    `json:"expires_in" example:"600" doc:"Seconds until the access token ends."`
	User        User   `json:"user" doc:"Who is signed in."`
}

type sessionOutput struct {
	Status       int
	SetCookie    http.Cookie `header:"Set-Cookie"`
	CacheControl string      `header:"Cache-Control"`
	Body         Session
}

// OriginInput is what the operations with the cookie know of the browser. It is exported for the library, which passes over
// embedded types that are not.
type OriginInput struct {
	Origin string `header:"Origin" example:"http://127.0.0.1:8080" doc:"Sent by browsers; must be the API's own."`

	remote        netip.Addr
	agent         string
	host          string
	authorization string
	secure        bool
}

// Resolve implements huma.Resolver: it keeps what the handlers need of the request.
func (in *OriginInput) Resolve(ctx huma.Context) []error {
	in.remote, in.agent, in.host, in.authorization = remoteOf(ctx.RemoteAddr()), ctx.Header("User-Agent"), ctx.Host(), ctx.Header("Authorization")
	in.secure = ctx.TLS() != nil || !isLoopback(in.host)
	return nil
}

// isLoopback reports whether a Host is this machine's name for itself.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// checkOrigin refuses pages of other origins (mail-rules S-40).
func (in *OriginInput) checkOrigin() error {
	if in.Origin == "" {
		return nil
	}
	u, err := url.Parse(in.Origin)
	if err != nil || u.Host != in.host {
		return fault.New(fault.Forbidden, "origin-forbidden", "the request came from a page of another origin")
	}
	return nil
}

func (in *OriginInput) info() account.SessionInfo {
	return account.SessionInfo{UserAgent: in.agent, Remote: in.remote, Protocol: "console"}
}

// cookie makes the refresh cookie: for this server's sign-in paths only, out of reach of scripts, never sent by other sites.
// Only on loopback without TLS is it not Secure, because a browser would not keep it there.
func (in *OriginInput) cookie(value string, until time.Time) http.Cookie {
	c := http.Cookie{ //nolint:gosec // Secure wherever a browser keeps it so
		Name: refreshCookie, Value: value, Path: "/v1/auth", Expires: until, HttpOnly: true, Secure: in.secure, SameSite: http.SameSiteStrictMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

func (a *API) registerAuth() {
	register(a, patient(answers(with(public(http.MethodPost, "/v1/auth/sessions", "createSession", "auth", "Sign in",
		"Begins a browser session with an address and a password. The answer sets the refresh cookie. Unknown addresses and wrong "+
			"passwords get the same answer."), http.StatusUnauthorized, http.StatusForbidden), http.StatusCreated), holdTime), a.createSession)
	refresh := with(public(http.MethodPost, "/v1/auth/sessions/refresh", "refreshSession", "auth", "Get a new access token",
		"Exchanges the refresh cookie for a new access token and a new cookie. Without a cookie the answer is 204, so that a page may ask "+
			"whether somebody is signed in."), http.StatusUnauthorized, http.StatusForbidden)
	refresh.Responses = map[string]*huma.Response{"204": {Description: "There is no cookie: nobody is signed in."}}
	register(a, refresh, a.refreshSession)
	register(a, answers(with(public(http.MethodDelete, "/v1/auth/sessions/current", "deleteSession", "auth", "Sign out",
		"Ends the session of the refresh cookie, or of the access token when there is no cookie."), http.StatusForbidden), http.StatusNoContent),
		a.deleteSession)
	register(a, scoped(http.MethodGet, "/v1/me", "getMe", "auth", "", "Read who is asking",
		"Gives the user of the credential. An API key has no user and gets 404."), a.getMe)
}

type createSessionInput struct {
	OriginInput
	Body SessionCreate
}

func (a *API) createSession(ctx context.Context, in *createSessionInput) (*sessionOutput, error) {
	if err := in.checkOrigin(); err != nil {
		return nil, err
	}
	tokens, user, err := a.Accounts.SignIn(ctx, in.Body.Email, in.Body.Password, in.info())
	if err != nil {
		return nil, err
	}
	return in.session(http.StatusCreated, tokens, user), nil
}

func (in *OriginInput) session(status int, tokens account.Tokens, user account.User) *sessionOutput {
	return &sessionOutput{
		Status: status, SetCookie: in.cookie(tokens.Refresh, tokens.RefreshUntil), CacheControl: "no-store",
		Body: Session{AccessToken: tokens.Access, TokenType: "Bearer", ExpiresIn: int(tokens.ExpiresIn / time.Second), User: userOf(user)},
	}
}

type refreshInput struct {
	OriginInput
	Refresh string `cookie:"mailserver_refresh" doc:"The refresh token."`
}

type refreshOutput struct {
	Status       int
	SetCookie    http.Cookie `header:"Set-Cookie"`
	CacheControl string      `header:"Cache-Control"`
	Body         *Session
}

func (a *API) refreshSession(ctx context.Context, in *refreshInput) (*refreshOutput, error) {
	if err := in.checkOrigin(); err != nil {
		return nil, err
	}
	if in.Refresh == "" {
		return &refreshOutput{Status: http.StatusNoContent, CacheControl: "no-store", SetCookie: in.cookie("", time.Time{})}, nil
	}
	tokens, err := a.Accounts.Refresh(ctx, in.Refresh, in.info())
	if err != nil {
		return nil, err
	}
	p, err := a.Accounts.VerifyAccess(ctx, tokens.Access, in.remote)
	if err != nil {
		return nil, err
	}
	user, err := a.Accounts.Get(ctx, p, p.User)
	if err != nil {
		return nil, err
	}
	out := in.session(http.StatusOK, tokens, user)
	return &refreshOutput{Status: out.Status, SetCookie: out.SetCookie, CacheControl: out.CacheControl, Body: &out.Body}, nil
}

type signOutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (a *API) deleteSession(ctx context.Context, in *refreshInput) (*signOutOutput, error) {
	if err := in.checkOrigin(); err != nil {
		return nil, err
	}
	var err error
	if in.Refresh != "" {
		err = a.Accounts.SignOut(ctx, in.Refresh, in.remote)
	} else if scheme, access, _ := strings.Cut(in.authorization, " "); strings.EqualFold(scheme, "bearer") {
		err = a.Accounts.SignOutAccess(ctx, strings.TrimSpace(access), in.remote)
	}
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		return nil, err
	}
	return &signOutOutput{SetCookie: in.cookie("", time.Time{})}, nil
}

type userOutput struct {
	Versioned
	Body User
}

func (a *API) getMe(ctx context.Context, _ *struct{}) (*userOutput, error) {
	p := principalOf(ctx)
	if p.User.IsZero() {
		return nil, fault.New(fault.NotFound, "not-found", "an API key has no user")
	}
	u, err := a.Accounts.Get(ctx, p, p.User)
	if err != nil {
		return nil, err
	}
	return userAnswer(u), nil
}
