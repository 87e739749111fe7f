package smtpd

import (
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// reasonOf is the word under which an error is logged: its code, or its kind when it has none.
func reasonOf(err error) string {
	if word := fault.CodeOf(err); word != "" {
		return word
	}
	return fault.KindOf(err).String()
}

// metricReason is the reason under which an error is counted.
func metricReason(err error) obs.Reason {
	switch fault.CodeOf(err) {
	case "relaying-denied":
		return obs.ReasonRelayDenied
	case "mailbox-disabled", "domain-disabled":
		return obs.ReasonRecipientDisabled
	case "too-many-recipients":
		return obs.ReasonTooManyRecipients
	case "mail-loop":
		return obs.ReasonLoop
	case "sender-domain-missing", "sender-domain-no-mail", "sender-not-owned":
		return obs.ReasonSenderRefused
	case "tls-required":
		return obs.ReasonAuthRequired
	case "greylisted":
		return obs.ReasonGreylisted
	case "spf-failed", "spf-unavailable", "dmarc-rejected", "authentication-checks-failed", "not-accepted", "sieve-rejected", "content-rejected":
		return obs.ReasonPolicy
	}
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Gone:
		return obs.ReasonUnknownUser
	case fault.OverQuota:
		return obs.ReasonOverQuota
	case fault.TooLarge:
		return obs.ReasonTooLarge
	case fault.Limited:
		return obs.ReasonRateLimited
	case fault.Invalid, fault.Malformed:
		return obs.ReasonMalformed
	case fault.Unauthenticated:
		return obs.ReasonAuthRequired
	case fault.Forbidden:
		return obs.ReasonPolicy
	case fault.Storage:
		return obs.ReasonStorageFull
	case fault.Internal, fault.Unavailable, fault.Conflict, fault.Stale:
	}
	return obs.ReasonUnavailable
}
