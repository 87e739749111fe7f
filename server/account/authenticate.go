package account

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// failedWait is the least time after which a refused sign-in is answered, in every profile.
const failedWait = time.Second

// protocolAPI is the word under which API keys and access tokens are counted.
const protocolAPI = "api"

// The results of a sign-in, as counted.
const (
	resultOK      = "ok"
	resultFailed  = "failed"
	resultLimited = "limited"
	resultBusy    = "busy"
	resultError   = "error"
)

// Authenticate checks a user's name and password for a protocol ("imap", "smtp", "api"). The username is the whole address.
// Errors: fault.Unauthenticated "invalid-credentials", the same and after the same time for unknown users, wrong passwords and
// disabled users (S-21), never before a second has passed; fault.Limited after too many failures; fault.Unavailable "busy"
// when too many sign-ins run at once (S-20) or "unavailable" when the database is down.
func (s *Service) Authenticate(ctx context.Context, protocol, username, password string, remote netip.Addr) (mail.Principal, error) {
	r, err := s.signIn(ctx, protocol, username, password, remote)
	if err != nil {
		return mail.Principal{}, err
	}
	p := r.principal()
	p.Remote = remote
	return p, nil
}

// Recheck reads the user of a principal again: its role, domains and whether it may still come in. Long sessions ask when
// bus.Credentials wakes them and at intervals of their own. A user who is gone or disabled, or whose
// password, role or status has changed since the principal signed in, gives fault.Unauthenticated (S-24).
func (s *Service) Recheck(ctx context.Context, p mail.Principal) (mail.Principal, error) {
	r, found, err := oneUser(ctx, s.pool, sqlGetUser, p.User)
	if err != nil {
		return mail.Principal{}, pg.Fault(err)
	}
	if !found || r.Status != Active || p.Epoch != 0 && p.Epoch != r.epoch {
		return mail.Principal{}, errUnauthenticated()
	}
	now := r.principal()
	now.Remote = p.Remote
	return now, nil
}

// attempt is one try to sign in.
type attempt struct {
	protocol string
	login    string // the folded address, or what was typed instead of one
	remote   netip.Addr
	begun    time.Time
}

func (s *Service) signIn(ctx context.Context, protocol, username, password string, remote netip.Addr) (record, error) {
	a := attempt{protocol: protocol, login: loginName(username), remote: remote, begun: s.clk.Now()}
	delay, err := s.limiter.AuthCheck(ctx, remote, a.login)
	if fault.Is(err, fault.Limited) {
		s.count(resultLimited, protocol)
		return record{}, s.holdBack(ctx, a, failedWait, err)
	}
	if err == nil {
		err = s.clk.Sleep(ctx, delay)
	}
	if err != nil {
		return record{}, s.broken(ctx, a, err)
	}
	r, found, err := oneUser(ctx, s.pool, sqlUserByEmail, a.login)
	if err != nil {
		return record{}, s.broken(ctx, a, err)
	}
	proved, err := s.prove(ctx, &r, found, password)
	switch {
	case err != nil:
		return record{}, s.broken(ctx, a, err)
	case !proved:
		return record{}, s.refuse(ctx, a, r, found)
	}
	if err := s.limiter.AuthOK(ctx, remote, a.login); err != nil {
		return record{}, s.broken(ctx, a, err)
	}
	s.count(resultOK, protocol)
	return r, nil
}

// loginName folds what was typed as a username. What is no address finds no user, but is counted like one.
func loginName(username string) string {
	a, err := mail.ParseAddress(username)
	if err != nil {
		return "?" + strings.ReplaceAll(strings.ToValidUTF8(strings.ToLower(username), "?"), "\x00", "?")
	}
	return Fold(a)
}

// prove compares the password, from the cache or behind the gate. Unknown and disabled users cost a hash too.
func (s *Service) prove(ctx context.Context, r *record, found bool, password string) (bool, error) {
	active := found && r.Status == Active
	if active && s.verified.has(s.clk.Now(), r.ID, r.hash, password) {
		return true, nil
	}
	hash := s.dummy
	if found {
		stored, err := parseHash(r.hash)
		if err != nil {
			return false, err
		}
		hash = stored
	}
	tried, tooLong := password, len(password) > passwordTried
	if tooLong {
		tried = password[:passwordTried]
	}
	var matches bool
	var fresh string
	err := s.gate.do(ctx, func() {
		matches = hash.matches(tried) && active && !tooLong
		if matches && hash.outdated(s.cfg.Argon2) {
			fresh = s.cfg.Argon2.hash(tried)
		}
	})
	if err != nil || !matches {
		return false, err
	}
	if fresh != "" {
		replaced, err := rehash(ctx, s.pool, r.ID, r.hash, fresh)
		if err != nil {
			return false, err
		}
		if replaced {
			r.hash = fresh
		}
	}
	s.verified.add(s.clk.Now(), r.ID, r.hash, password)
	return true, nil
}

// refuse ends a failed attempt: it is recorded, held back, and answered with the one text that reveals nothing.
func (s *Service) refuse(ctx context.Context, a attempt, r record, found bool) error {
	s.count(resultFailed, a.protocol)
	s.log.WarnContext(ctx, "sign-in failed", slog.String("protocol", a.protocol), slog.String("remote", a.remote.String()))
	if found {
		e := event.Event{
			Type: event.LoginFailed, Domain: r.DomainID, Account: r.ID, Subject: r.ID.String(),
			Data: map[string]any{"protocol": a.protocol, "remote": a.remote.String()},
		}
		if err := event.Append(ctx, s.pool, s.clk.Now(), e); err != nil {
			s.log.ErrorContext(ctx, "failed sign-in not recorded", slog.Any("error", err))
		}
		s.bus.Publish(bus.Events)
	}
	wait, err := s.limiter.AuthFailed(ctx, a.remote, a.login)
	if err != nil {
		s.log.ErrorContext(ctx, "failed sign-in not counted", slog.Any("error", err))
	}
	return s.holdBack(ctx, a, max(wait, failedWait), errCredentials())
}

// holdBack gives the answer when the time since the attempt began has passed. Measured from the beginning, the wait hides how
// long the comparison took.
func (s *Service) holdBack(ctx context.Context, a attempt, wait time.Duration, answer error) error {
	if err := s.clk.Sleep(ctx, a.begun.Add(wait).Sub(s.clk.Now())); err != nil {
		return err
	}
	return answer
}

// broken ends an attempt that could not be decided. It does not count against the user.
func (s *Service) broken(ctx context.Context, a attempt, err error) error {
	result := resultError
	if fault.CodeOf(err) == "busy" {
		result = resultBusy
		if undo := s.limiter.AuthUndone(ctx, a.remote, a.login); undo != nil {
			s.log.ErrorContext(ctx, "unfinished sign-in stays counted", slog.Any("error", undo))
		}
	}
	s.count(result, a.protocol)
	return pg.Fault(err)
}

func (s *Service) count(result, protocol string) {
	if s.metrics != nil {
		s.metrics.AuthAttempt(result, protocol)
	}
}

func errCredentials() error {
	return fault.New(fault.Unauthenticated, "invalid-credentials", "the address or the password is wrong")
}

func errUnauthenticated() error {
	return fault.New(fault.Unauthenticated, "unauthenticated", "the credentials are missing, wrong or no longer valid")
}
