package imapd

import (
	"context"
	"errors"
	"log/slog"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// Response codes of RFC 5530 and others that go-imap does not name.
const (
	codeReadOnly      imap.ResponseCode = "READ-ONLY"
	codeReadWrite     imap.ResponseCode = "READ-WRITE"
	codeExpungeIssued imap.ResponseCode = "EXPUNGEISSUED"
	codeNotSaved      imap.ResponseCode = "NOTSAVED"
	codeUseAttr       imap.ResponseCode = "USEATTR"
	codeClosed        imap.ResponseCode = "CLOSED"
)

// answer is the tagged end of a command. Without a status there is none: the command has written its own, or nobody listens.
type answer struct {
	status imap.StatusResponseType
	code   imap.ResponseCode
	text   string
	last   bye // when set, the connection ends after the answer
}

func ok(text string) answer { return answer{status: imap.StatusResponseTypeOK, text: text} }

func okCode(code imap.ResponseCode, text string) answer {
	return answer{status: imap.StatusResponseTypeOK, code: code, text: text}
}

func no(code imap.ResponseCode, text string) answer {
	return answer{status: imap.StatusResponseTypeNo, code: code, text: text}
}

func bad(text string) answer { return answer{status: imap.StatusResponseTypeBad, text: text} }

func badCode(code imap.ResponseCode, text string) answer {
	return answer{status: imap.StatusResponseTypeBad, code: code, text: text}
}

// failed turns an error of a service into an answer, and writes our own faults into the log.
func (c *conn) failed(err error) answer {
	kind := fault.KindOf(err)
	if errors.Is(err, context.DeadlineExceeded) && kind == fault.Internal {
		kind = fault.Unavailable
		err = fault.Wrap(err, kind, "timeout", "this took too long; try again later")
	}
	switch command, _ := c.current.Load().(string); {
	case errors.Is(err, context.Canceled):
	case kind == fault.Internal:
		c.log.ErrorContext(c.ctx, "imap command failed", slog.String("command", command), slog.String("error", err.Error()))
	case kind == fault.Unavailable || kind == fault.Storage || kind == fault.Gone:
		c.log.WarnContext(c.ctx, "imap command failed", slog.String("command", command), slog.String("error", err.Error()))
	}
	return no(codeOf(kind, fault.CodeOf(err)), fault.Public(err))
}

// codeOf gives the response code of a kind of error (RFC 5530, RFC 9051 §7.1). Everything that is our own fault is temporary.
func codeOf(kind fault.Kind, word string) imap.ResponseCode {
	switch kind {
	case fault.Invalid, fault.Malformed:
		return imap.ResponseCodeCannot
	case fault.Unauthenticated:
		return imap.ResponseCodeAuthenticationFailed
	case fault.Forbidden:
		return imap.ResponseCodeNoPerm
	case fault.NotFound:
		return imap.ResponseCodeNonExistent
	case fault.Conflict:
		switch word {
		case "already-exists":
			return imap.ResponseCodeAlreadyExists
		case "role-taken":
			return codeUseAttr // RFC 6154 §3
		}
		return imap.ResponseCodeInUse
	case fault.Stale:
		return codeExpungeIssued
	case fault.TooLarge:
		return imap.ResponseCodeTooBig
	case fault.OverQuota:
		return imap.ResponseCodeOverQuota
	case fault.Limited:
		return imap.ResponseCodeLimit
	case fault.Storage, fault.Unavailable:
		return imap.ResponseCodeUnavailable
	case fault.Internal, fault.Gone:
	}
	return imap.ResponseCodeServerBug
}

// intoMissing is failed for commands with a target mailbox, whose absence the client may heal (RFC 9051 §6.3.12, §6.4.7).
func (c *conn) intoMissing(err error) answer {
	a := c.failed(err)
	if fault.Is(err, fault.NotFound) {
		a.code = imap.ResponseCodeTryCreate
	}
	return a
}

// ctxOver reports whether an error only says that the work was given up.
func ctxOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
