package inbound_test

import (
	"testing"

	"github.com/mailserver-dev/mailserver/server/inbound"
)

func TestVerdictOnSoundLetters(t *testing.T) {
	t.Parallel()
	good := inbound.Facts{FromFields: 1, FromAddresses: 1, Received: 3, MaxHops: 50}
	for name, tc := range map[string]struct {
		change func(*inbound.Facts)
		action inbound.Action
		reason string
	}{
		"an ordinary letter is filed":                        {func(*inbound.Facts) {}, inbound.File, "accepted"},
		"I-46: without a From nobody can answer it":          {func(f *inbound.Facts) { f.FromFields = 0 }, inbound.Refuse, "no-from"},
		"I-46: a From without an address is none":            {func(f *inbound.Facts) { f.FromAddresses = 0 }, inbound.Refuse, "no-from"},
		"I-46: two From fields show two different senders":   {func(f *inbound.Facts) { f.FromFields = 2 }, inbound.Refuse, "several-from"},
		"one From with two authors is lawful":                {func(f *inbound.Facts) { f.FromAddresses = 2 }, inbound.File, "accepted"},
		"I-34: at the limit of hops it still arrives":        {func(f *inbound.Facts) { f.Received = 50 }, inbound.File, "accepted"},
		"I-34: beyond the limit of hops it is a loop":        {func(f *inbound.Facts) { f.Received = 51 }, inbound.Refuse, "loop"},
		"I-34: a letter that was delivered here came around": {func(f *inbound.Facts) { f.DeliveredHere = true }, inbound.Refuse, "loop"},
	} {
		f := good
		tc.change(&f)
		v := inbound.Decide(f)
		if v.Action != tc.action || v.Reason != tc.reason {
			t.Errorf("%s: got %s", name, v)
		}
		if v.Action == inbound.Refuse && v.Refusal == nil {
			t.Errorf("%s: a refusal needs its answer", name)
		}
	}
}
