package outbound

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// What would become of a recipient's copy.
const (
	WouldDeliver = "deliver_local" // filed in a mailbox of this server
	WouldSend    = "send"          // handed to another server, or kept by the sink or the test network in its place
	WouldRefuse  = "refuse"        // it would bounce, or the email would not be accepted
)

// Forecast is what would become of one recipient.
type Forecast struct {
	Address     mail.Address
	Local       bool   // hosted here
	Destination string // where its mail would go: the recipient's domain, or a smart host as host:port
	Would       string // WouldDeliver, WouldSend or WouldRefuse
	Reason      string // why, when it is refused or does not leave this server
}

// Validation is what Accept would make of a draft. Without problems it would be accepted.
type Validation struct {
	Problems   []fault.Detail
	Recipients []Forecast // empty when the draft itself is not valid
	Size       int64      // octets of the message as it would be stored; 0 when it cannot be composed
	// SignedBy are the keys that would sign it, in the order of the signatures; those that are active now.
	SignedBy []domain.DKIMKey
}

// Validate says what Accept would do, and does nothing. What is wrong with the draft is in the result; an error is about the
// caller (fault.Forbidden as of Accept) or about us.
func (s *Service) Validate(ctx context.Context, p mail.Principal, d Draft) (Validation, error) {
	if err := scope(p, scopeSend); err != nil {
		return Validation{}, err
	}
	v := &validator{s: s, p: p, d: &d}
	if err := v.problem(d.check(s.cfg.RecipientsAPI)); err != nil || len(v.out.Problems) > 0 {
		return v.out, err
	}
	dom, err := s.senderDomain(ctx, p, d.From.Address)
	if err := v.problem(err); err != nil {
		return Validation{}, err
	}
	if err := v.signers(ctx, dom); err != nil {
		return Validation{}, err
	}
	v.e = d.email(p, dom, s.clock.Now().Truncate(time.Microsecond))
	if err := v.recipients(ctx); err != nil {
		return Validation{}, err
	}
	return v.out, v.measure(ctx)
}

// validator is a draft that is being looked at.
type validator struct {
	s   *Service
	p   mail.Principal
	d   *Draft
	e   *Email
	out Validation
}

// problem notes what is wrong with the draft, and gives back what is not about it.
func (v *validator) problem(err error) error {
	if err == nil {
		return nil
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Invalid && f.Kind != fault.TooLarge {
		return err
	}
	v.out.Problems = append(v.out.Problems, detailsOf(f)...)
	return nil
}

// recipients routes the email as if it were sent and looks at the end of each way.
func (v *validator) recipients(ctx context.Context) error {
	asked, hosted := slices.Clone(v.e.Recipients), map[string]bool{}
	routed := v.s.route(ctx, v.e)
	if err := v.problem(routed); err != nil {
		return err
	}
	if routed != nil { // the email is refused as a whole; where each would go is still told
		v.e.Recipients = asked
	}
	for _, r := range v.e.Recipients {
		if routed != nil {
			var err error
			if r.Local, err = v.s.isHosted(ctx, hosted, r.Address.Domain); err != nil {
				return err
			}
			r.Destination = r.Address.Domain
		}
		f, err := v.forecast(ctx, r)
		if err != nil {
			return err
		}
		v.out.Recipients = append(v.out.Recipients, f)
	}
	return nil
}

// measure composes the message and keeps nothing of it but the size.
func (v *validator) measure(ctx context.Context) error {
	if err := v.s.findBlobs(ctx, v.p, v.d); err != nil {
		return v.problem(err)
	}
	size := &counter{}
	if err := v.s.compose(size, v.d, v.e); err != nil {
		return v.problem(err)
	}
	v.out.Size = size.n
	return nil
}

// signers finds the active keys of the sender's domain, RSA first.
func (v *validator) signers(ctx context.Context, dom mail.DomainID) error {
	if dom.IsZero() {
		return nil
	}
	var rsa, others []domain.DKIMKey
	var after mail.DKIMKeyID
	for first := true; first || !after.IsZero(); first = false {
		page, next, err := v.s.domains.ListDKIMKeys(ctx, mail.System("validate"), dom, after, 0)
		if err != nil {
			return err
		}
		for _, k := range page {
			switch {
			case k.State != domain.KeyActive:
			case k.Algorithm.RSA():
				rsa = append(rsa, k)
			default:
				others = append(others, k)
			}
		}
		after = next
	}
	v.out.SignedBy = slices.Concat(rsa, others)
	return nil
}

func (v *validator) forecast(ctx context.Context, r Recipient) (Forecast, error) {
	out := Forecast{Address: r.Address, Local: r.Local, Destination: r.Destination, Would: WouldSend}
	if v.e.Test {
		out.Reason = "a test key's mail ends in the test network"
		return out, nil
	}
	err := v.s.Recipient(ctx, v.p, r.Address)
	var f *fault.Error
	switch {
	case errors.As(err, &f) && !f.Kind.Temporary():
		out.Would, out.Reason = WouldRefuse, f.Text
	case err != nil:
		return out, err
	case r.Local:
		out.Would = WouldDeliver
	case v.s.cfg.Mode == ModeSink:
		out.Reason = "this server keeps mail for other servers in its sink"
	}
	return out, nil
}

// counter counts what is written.
type counter struct{ n int64 }

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
