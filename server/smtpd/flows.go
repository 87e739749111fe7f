package smtpd

import (
	"context"
	"io"
	"net/netip"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// Authenticator checks the password of a mail user. Errors: fault.Unauthenticated for a wrong user or password (told apart by
// nothing), fault.Limited and fault.Unavailable for "later". Every other kind than these counts as refused when it is
// permanent and as "later" when it is temporary.
type Authenticator interface {
	Authenticate(ctx context.Context, protocol, username, password string, remote netip.Addr) (mail.Principal, error)
}

// Arrivals takes what port 25 brings. The codes of its errors that have a reply of their own are listed at wordReply.
// A reading error of body must come back wrapped in Deliver's error; a nil error means that every recipient has the whole
// message on stable storage (mail-rules D-1). The receipt is one short word, shown to the sender.
type Arrivals interface {
	Recipient(ctx context.Context, peer mail.Peer, from, to mail.Address) error
	Ready(ctx context.Context) error
	Deliver(ctx context.Context, peer mail.Peer, env mail.Envelope, body io.Reader) (receipt string, err error)
}

// Departures takes what a signed-in user sends. Errors and body as for Arrivals. Sender decides whether the user may use the
// envelope sender; it may be the null address.
type Departures interface {
	Sender(ctx context.Context, p mail.Principal, from mail.Address) error
	Recipient(ctx context.Context, p mail.Principal, to mail.Address) error
	Ready(ctx context.Context) error
	Submit(ctx context.Context, p mail.Principal, peer mail.Peer, env mail.Envelope, body io.Reader) (receipt string, err error)
}

// lane is where the messages of one session go, so that the two flows share one dialogue.
type lane interface {
	sender(ctx context.Context, from mail.Address) error
	recipient(ctx context.Context, from, to mail.Address) error
	ready(ctx context.Context) error
	store(ctx context.Context, env mail.Envelope, body io.Reader) (string, error)
}

type arrivalLane struct {
	flow Arrivals
	peer mail.Peer
}

func (arrivalLane) sender(context.Context, mail.Address) error { return nil }

func (l arrivalLane) recipient(ctx context.Context, from, to mail.Address) error {
	return l.flow.Recipient(ctx, l.peer, from, to)
}

func (l arrivalLane) ready(ctx context.Context) error { return l.flow.Ready(ctx) }

func (l arrivalLane) store(ctx context.Context, env mail.Envelope, body io.Reader) (string, error) {
	return l.flow.Deliver(ctx, l.peer, env, body)
}

type departureLane struct {
	flow Departures
	user mail.Principal
	peer mail.Peer
}

func (l departureLane) sender(ctx context.Context, from mail.Address) error {
	return l.flow.Sender(ctx, l.user, from)
}

func (l departureLane) recipient(ctx context.Context, _, to mail.Address) error {
	return l.flow.Recipient(ctx, l.user, to)
}

func (l departureLane) ready(ctx context.Context) error { return l.flow.Ready(ctx) }

func (l departureLane) store(ctx context.Context, env mail.Envelope, body io.Reader) (string, error) {
	return l.flow.Submit(ctx, l.user, l.peer, env, body)
}
