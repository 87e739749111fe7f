package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// refusals judges every no of the server. All letters, flags and passwords of ours are in order, so that a no can only be a matter
// of the moment, and must say so (I-42 to I-44, F-7, F-9).
func (c *checker) refusals() {
	for _, op := range c.h.ops {
		if op.outcome != evRefused && op.outcome != evTold {
			continue
		}
		what := wrong(op.Kind, op.Reply, c.without(op))
		switch {
		case what == "":
		case forGood(op.Kind, op.Reply):
			c.say(classPermanent, "%s of %s by %s was refused for good: %s", op.Kind, op.ID, op.Who, op.Reply)
		default:
			c.say(classReply, "%s of %s by %s: %s: %s", op.Kind, op.ID, op.Who, what, op.Reply)
		}
	}
}

// without gives what the server lacked during the operation; empty for nothing.
func (c *checker) without(op *operation) lack {
	for _, t := range c.d.troubles {
		if op.during(t.span) {
			return t.what
		}
	}
	return ""
}

// forGood says that the sender of a letter gives it up after such a reply.
func forGood(kind, reply string) bool {
	switch kind {
	case kindSMTP, kindSubmission:
		return strings.HasPrefix(reply, "5")
	case kindAPI:
		return permanent(reply)
	}
	return false
}

// wrong says what is wrong with a no; "" when clients may be told so.
func wrong(kind, reply string, without lack) string {
	switch kind {
	case kindSMTP, kindSubmission, kindGreeting, kindAuth:
		return wrongSMTP(kind, reply, without)
	case kindAPI, kindGet:
		return wrongHTTP(kind, reply, without)
	}
	return wrongIMAP(reply)
}

// wrongSMTP: only 4xx. Without room only 452 and 451; 421 ends a connection, 454 is the one that fits AUTH (RFC 4954 §6).
func wrongSMTP(kind, reply string, without lack) string {
	code := codeOf(reply)
	switch {
	case code < 400 || code > 499:
		return "not a temporary reply"
	case without.disk() && without != "" && code != 451 && code != 452 && code != 421 && (kind != kindAuth || code != 454):
		return "neither 452 nor 451 without " + string(without)
	}
	return ""
}

// wrongHTTP: 503, without room 507 too. 429 asks for patience, 409 says that an earlier attempt with the same key is under way.
func wrongHTTP(kind, reply string, without lack) string {
	allowed := []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}
	if kind == kindAPI {
		allowed = append(allowed, http.StatusConflict)
	}
	if without != "" && without.disk() {
		allowed = append(allowed, http.StatusInsufficientStorage)
	}
	if !slices.Contains(allowed, codeOf(reply)) {
		return fmt.Sprintf("not one of %v", allowed)
	}
	return ""
}

// wrongIMAP: only NO [UNAVAILABLE] (RFC 5530 §3).
func wrongIMAP(reply string) string {
	if !strings.HasPrefix(reply, "imap: NO [UNAVAILABLE]") {
		return "not NO [UNAVAILABLE]"
	}
	return ""
}

// codeOf reads the number at the begin of a reply of SMTP or HTTP; 0 when there is none.
func codeOf(reply string) int {
	word, _, _ := strings.Cut(reply, " ")
	code, err := strconv.Atoi(word)
	if err != nil {
		return 0
	}
	return code
}
