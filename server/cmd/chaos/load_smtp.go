package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// letter is a parcel with its envelope, and how often it was tried.
type letter struct {
	parcel

	kind  string
	from  string
	to    []string
	key   string
	tries int
	due   time.Time // not before
}

// mostTries bounds how often a letter is sent again after a broken connection or a temporary refusal.
const mostTries = 8

// errAgain means: the letter is not through, try it again on a new connection.
var errAgain = errors.New("to be tried again")

// arrivals delivers mail from outside on port 25.
func (c *client) arrivals(ctx context.Context, _ int) {
	var left *letter // not through yet
	c.serve(ctx, func(ctx context.Context, t *target) error {
		s, err := dialSMTP(ctx, t.Listen["smtp"])
		if err != nil {
			return err
		}
		defer s.Close()
		return c.session(ctx, s, t, &left, func() *letter { return c.newArrival(t) })
	})
}

func (c *client) newArrival(t *target) *letter {
	from, to := fmt.Sprintf("sender%d@outside.test", c.IntN(20)), c.users(t)
	return &letter{parcel: compose(c.dice, c.nextID(), from, to), kind: kindSMTP, from: from, to: to}
}

// submissions sends mail as a signed-in user, by turns on port 465 and on port 587 with STARTTLS.
func (c *client) submissions(ctx context.Context, i int) {
	var left *letter
	c.serve(ctx, func(ctx context.Context, t *target) error {
		user := t.Users[i%2]
		s, err := c.dialSubmission(t, user)
		if err != nil {
			return err
		}
		defer s.Close()
		return c.session(ctx, s, t, &left, func() *letter { return c.newSubmission(t, user) })
	})
}

func (c *client) dialSubmission(t *target, user login) (*smtp.Client, error) {
	dial, port := smtp.DialTLS, "submissions"
	if c.chance(50) {
		dial, port = smtp.DialStartTLS, "submission"
	}
	s, err := dial(t.Listen[port], t.tls)
	if err != nil {
		return nil, c.heard(t, kindGreeting, err)
	}
	s.CommandTimeout, s.SubmissionTimeout = patience, patience
	if err := s.Auth(sasl.NewPlainClient("", user.Email, user.Password)); err != nil {
		s.Close()
		return nil, c.heard(t, kindAuth, err)
	}
	return s, nil
}

func (c *client) newSubmission(t *target, user login) *letter {
	id := c.nextID()
	to := c.users(t)
	switch c.IntN(10) {
	case 0, 1, 2, 3:
		to = c.strangers(id, 1)
	case 4:
		to = c.strangers(id, 2+c.IntN(4))
	case 5:
		to = append(to[:1:1], c.strangers(id, 1+c.IntN(2))...)
	}
	return &letter{parcel: compose(c.dice, id, user.Email, to), kind: kindSubmission, from: user.Email, to: to}
}

// heard notes the reply in an error, if it holds one, and gives the error back.
func (c *client) heard(t *target, kind string, err error) error {
	if event, reply := refusal(err, evUnsent); event == evRefused {
		c.told(t, kind, reply)
	}
	return err
}

func dialSMTP(ctx context.Context, address string) (*smtp.Client, error) {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := smtp.NewClient(conn)
	s.CommandTimeout, s.SubmissionTimeout = patience, patience
	return s, nil
}

// session sends some letters over one connection, first the one that is left from an earlier connection.
func (c *client) session(ctx context.Context, s *smtp.Client, t *target, left **letter, next func() *letter) error {
	for range 1 + c.IntN(20) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if *left == nil {
			*left = next()
		}
		if err := c.mail(s, t, *left); err != nil {
			if (*left).tries >= mostTries {
				*left = nil
			}
			return err
		}
		*left = nil
	}
	return s.Quit()
}

// mail makes one attempt. A nil error means that the server decided about the letter for good.
func (c *client) mail(s *smtp.Client, t *target, l *letter) error {
	l.tries++
	op := c.begin(t, entry{Kind: l.kind, ID: l.id, Sum: l.sum, From: l.from, Recipients: l.to, Try: l.tries})
	outcome, reply, step := transfer(s, l)
	op.end(outcome, reply, entry{Step: step})
	if outcome == evAck || outcome == evRefused && reply[0] == '5' {
		return nil
	}
	return errAgain
}

// The commands of SMTP, as steps of a letter.
const (
	stepMail = "mail"
	stepRcpt = "rcpt"
	stepData = "data"
	stepDot  = "dot"
)

// transfer sends the letter and gives the outcome with the reply or the error, and how far it came.
func transfer(s *smtp.Client, l *letter) (outcome, reply, step string) {
	if err := s.Mail(l.from, &smtp.MailOptions{Size: int64(len(l.raw))}); err != nil {
		outcome, reply = refusal(err, evUnsent)
		return outcome, reply, stepMail
	}
	for _, to := range l.to {
		if err := s.Rcpt(to, nil); err != nil {
			outcome, reply = refusal(err, evUnsent)
			return outcome, reply, stepRcpt
		}
	}
	w, err := s.Data()
	if err != nil {
		outcome, reply = refusal(err, evUnsent)
		return outcome, reply, stepData
	}
	// The writer holds back the last bytes and the final dot until it is closed.
	if _, err := w.Write(l.raw); err != nil {
		return evUnsent, err.Error(), stepData
	}
	resp, err := w.CloseWithResponse()
	if err != nil {
		outcome, reply = refusal(err, evUnknown)
		return outcome, reply, stepDot
	}
	return evAck, "250 " + resp.StatusText, stepDot
}

// refusal tells a reply of the server from a broken connection.
func refusal(err error, broken string) (outcome, reply string) {
	var no *smtp.SMTPError
	if errors.As(err, &no) && no.Code >= 400 && no.Code < 600 {
		return evRefused, fmt.Sprintf("%d %d.%d.%d %s", no.Code, no.EnhancedCode[0], no.EnhancedCode[1], no.EnhancedCode[2], no.Message)
	}
	return broken, err.Error()
}
