package domain

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/fault"
)

const (
	// checkWithin bounds the question for a record (L-44).
	checkWithin = 10 * time.Second
	// recordMost bounds what is read of a record (S-48), shownMost what is repeated of it.
	recordMost = 4 << 10
	shownMost  = 300
)

// published asks the name servers whether they show the key.
func (s *Service) published(ctx context.Context, k DKIMKey) error {
	if s.cfg.Resolver == nil {
		return errNoAnswer(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	texts, err := s.cfg.Resolver.LookupTXT(ctx, k.RecordName())
	switch {
	case dns.NotFound(err):
		return notPublished(k, "there is no such record")
	case err != nil:
		return errNoAnswer(err)
	}
	if why := compareRecords(k, texts); why != "" {
		return notPublished(k, why)
	}
	return nil
}

// compareRecords says what is wrong with the records at the key's name; "" when receivers will find the key.
func compareRecords(k DKIMKey, texts []string) string {
	// Which of several records a receiver takes is not defined (RFC 6376 §3.6.2.2).
	switch {
	case len(texts) == 0:
		return "there is no such record"
	case len(texts) > 1:
		return "there are " + plural(len(texts)) + " where one must be, beginning with: " + printable(texts[0])
	}
	text := texts[0]
	tags, ok := recordTags(text)
	public, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(tags["p"]), ""))
	switch {
	case len(text) > recordMost || !ok || tags["v"] != "DKIM1" && tags["v"] != "":
		return "found what is no DKIM record: " + printable(text)
	case orWord(tags["k"], "rsa") != k.Algorithm.record():
		return "found a key of another algorithm: " + printable(text)
	case tags["p"] == "":
		return "found a revoked key (empty p=): " + printable(text)
	case err != nil || !bytes.Equal(public, k.Public):
		return "found another key: " + printable(text)
	case !lists(tags["h"], "sha256"), !lists(tags["s"], "email"):
		return "found a record that does not allow signatures of mail with SHA-256: " + printable(text)
	case lists(tags["t"], "y") && tags["t"] != "":
		return "found a record in test mode (t=y), which receivers ignore: " + printable(text)
	}
	return ""
}

// recordTags takes a tag list apart (RFC 6376 §3.2); false when it is none.
func recordTags(text string) (map[string]string, bool) {
	tags := map[string]string{}
	for spec := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(spec) == "" {
			continue
		}
		name, value, found := strings.Cut(spec, "=")
		name = strings.TrimSpace(name)
		if _, twice := tags[name]; !found || twice || name == "" {
			return nil, false
		}
		tags[name] = strings.TrimSpace(value)
	}
	return tags, true
}

// lists reports whether a colon-separated tag has the word; absent and "*" stand for every word.
func lists(tag, word string) bool {
	words := strings.Split(tag, ":")
	return tag == "" || slices.ContainsFunc(words, func(w string) bool {
		w = strings.TrimSpace(w)
		return w == "*" || strings.EqualFold(w, word)
	})
}

func orWord(word, otherwise string) string {
	if word == "" {
		return otherwise
	}
	return word
}

func plural(n int) string {
	if n > 9 {
		return "many records"
	}
	return string(rune('0'+n)) + " records"
}

// printable bounds and cleans what a stranger's name server said.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text[:min(len(text), shownMost)])
	return strings.ToValidUTF8(text, "?")
}

func notPublished(k DKIMKey, why string) error {
	return fault.New(fault.Conflict, "dns-not-published",
		"the TXT record %s does not show this key: %s. Publish the value of GET …/dns-records and try again; a name server may remember the old answer for some minutes",
		k.RecordName(), why).At("state")
}

func errNoAnswer(err error) error {
	return fault.Wrap(err, fault.Unavailable, "dns-unavailable", "the name servers do not answer; try again in a moment")
}
