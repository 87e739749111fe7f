package account

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Times of an access token (mail-rules §6.5, S-22).
const (
	accessLife   = 10 * time.Minute
	accessLeeway = 30 * time.Second
	accessFor    = "mailserver-api"
	// stateFor is how long the state of a session is believed (S-24), statesMost how many are.
	stateFor   = 5 * time.Second
	statesMost = 10_000
)

// claims are what an access token says. It does not say what the user may do: that is read when the token is used.
type claims struct {
	jwt.RegisteredClaims
	Session mail.SessionID `json:"sid"`
	Epoch   int            `json:"epoch"`
}

// issueAccess signs a token for a session (RFC 7519, RFC 8037 §3.1).
func (s *Service) issueAccess(ctx context.Context, user mail.UserID, session mail.SessionID, epoch int) (string, error) {
	keys, err := s.signers.all(ctx)
	if err != nil {
		return "", err
	}
	now := s.clk.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.cfg.Issuer,
			Audience:  jwt.ClaimStrings{accessFor},
			Subject:   user.String(),
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(accessLife)),
		},
		Session: session,
		Epoch:   epoch,
	})
	token.Header["kid"] = keys[0].kid
	return token.SignedString(keys[0].private)
}

// VerifyAccess finds the principal of an access token. Whatever is wrong with a token gives the same fault.Unauthenticated,
// except that an expired one has the code "token-expired". Role, status and session are those of the database, at most five
// seconds old (S-24). Refusals are counted; a token that is good was counted when its session began.
func (s *Service) VerifyAccess(ctx context.Context, access string, remote netip.Addr) (mail.Principal, error) {
	p, err := s.verifyAccess(ctx, access, remote)
	if err != nil {
		s.countAPI(err)
	}
	return p, err
}

func (s *Service) verifyAccess(ctx context.Context, access string, remote netip.Addr) (mail.Principal, error) {
	c, err := s.parseAccess(ctx, access)
	if err != nil {
		return mail.Principal{}, err
	}
	st, err := s.sessionState(ctx, c.Session)
	if err != nil {
		return mail.Principal{}, err
	}
	if !st.alive || st.user.ID.String() != c.Subject || st.epoch != c.Epoch {
		return mail.Principal{}, errUnauthenticated()
	}
	p := st.user.principal()
	p.Remote, p.Session = remote, c.Session
	return p, nil
}

// parseAccess checks the token itself: one algorithm, a key of ours, issuer, audience and both times required (RFC 8725 §3).
func (s *Service) parseAccess(ctx context.Context, access string) (claims, error) {
	var c claims
	var unavailable error
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(s.cfg.Issuer), jwt.WithAudience(accessFor),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(accessLeeway), jwt.WithTimeFunc(s.clk.Now),
	)
	_, err := parser.ParseWithClaims(access, &c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		k, ok, err := s.signers.find(ctx, kid)
		if err != nil {
			unavailable = err
			return nil, err
		}
		if !ok {
			return nil, errors.New("unknown key")
		}
		return k.public, nil
	})
	switch {
	case unavailable != nil:
		return c, unavailable
	case err != nil && errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return c, fault.New(fault.Unauthenticated, "token-expired", "the access token has expired; refresh it")
	case err != nil || c.IssuedAt == nil || c.Session.IsZero():
		return c, errUnauthenticated()
	}
	return c, nil
}

// state is what the database says about a session and its user.
type state struct {
	session mail.SessionID
	user    User
	epoch   int
	alive   bool
	until   time.Time
}

// states remembers sessions for a few seconds, so that a page with twenty requests asks once.
type states struct {
	mu      sync.Mutex
	entries map[mail.SessionID]*list.Element
	recent  *list.List // of *state, most recently read first
}

func newStates() *states {
	return &states{entries: make(map[mail.SessionID]*list.Element), recent: list.New()}
}

func stateOf(el *list.Element) *state {
	st, _ := el.Value.(*state) // nothing else is ever put in
	return st
}

func (c *states) get(now time.Time, id mail.SessionID) (state, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[id]
	if !ok || !now.Before(stateOf(el).until) {
		return state{}, false
	}
	return *stateOf(el), true
}

func (c *states) put(st state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[st.session]; ok {
		c.drop(el)
	}
	for c.recent.Len() >= statesMost {
		c.drop(c.recent.Back())
	}
	c.entries[st.session] = c.recent.PushFront(&st)
}

func (c *states) forget(id mail.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[id]; ok {
		c.drop(el)
	}
}

func (c *states) forgetUser(id mail.UserID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for el := c.recent.Front(); el != nil; {
		next := el.Next()
		if stateOf(el).user.ID == id {
			c.drop(el)
		}
		el = next
	}
}

func (c *states) drop(el *list.Element) {
	c.recent.Remove(el)
	delete(c.entries, stateOf(el).session)
}

// sessionState reads a session and its user, from the cache when it is fresh.
func (s *Service) sessionState(ctx context.Context, id mail.SessionID) (state, error) {
	now := s.clk.Now()
	if st, ok := s.states.get(now, id); ok {
		return st, nil
	}
	sess, found, err := getSession(ctx, s.pool, sqlGetSession, id)
	if err != nil {
		return state{}, pg.Fault(err)
	}
	st := state{session: id, until: now.Add(stateFor)}
	if found {
		r, ok, err := oneUser(ctx, s.pool, sqlGetUser, sess.account)
		if err != nil {
			return state{}, pg.Fault(err)
		}
		st.user, st.epoch = r.User, r.epoch
		st.alive = ok && r.Status == Active && sess.epoch == r.epoch && sess.usable(now)
	}
	s.states.put(st)
	return st, nil
}
