package mime_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/mime"
)

func TestAddressListKeepsEveryEntryOfAListWithABrokenOne(t *testing.T) {
	t.Parallel()
	box := func(name, mailbox, host string) mime.EnvelopeAddress {
		return mime.EnvelopeAddress{Name: name, Mailbox: mailbox, Host: host}
	}
	begin := func(name string) mime.EnvelopeAddress {
		return mime.EnvelopeAddress{Kind: mime.GroupBegin, Mailbox: name}
	}
	end := mime.EnvelopeAddress{Kind: mime.GroupEnd}
	cases := map[string][]mime.EnvelopeAddress{
		"":                                     nil,
		" , ,, ":                               nil,
		"a@b":                                  {box("", "a", "b")},
		"Ann Lee <ann@x.test>, bob@y.test":     {box("Ann Lee", "ann", "x.test"), box("", "bob", "y.test")},
		`"Lee, Ann" <ann@x.test>`:              {box("Lee, Ann", "ann", "x.test")},
		`"A \"B\" C" <a@x>`:                    {box(`A "B" C`, "a", "x")},
		"<a@b>":                                {box("", "a", "b")},
		"a@b (Ann Lee)":                        {box("Ann Lee", "a", "b")},
		"Ann (work (old)) Lee <a@b> (x)":       {box("Ann Lee", "a", "b")},
		"undisclosed-recipients:;":             {begin("undisclosed-recipients"), end},
		"Team: a@b, Bo <c@d>;, e@f":            {begin("Team"), box("", "a", "b"), box("Bo", "c", "d"), end, box("", "e", "f")},
		"Team: a@b":                            {begin("Team"), box("", "a", "b"), end},
		"root":                                 {box("", "root", "")},
		"root, a@b":                            {box("", "root", ""), box("", "a", "b")},
		`"john doe"@x.test`:                    {box("", "john doe", "x.test")},
		`"a@b"@c`:                              {box("", "a@b", "c")},
		"a@b@c":                                {box("", "a@b", "c")},
		"<@r1,@r2:a@b>":                        {{Route: "@r1,@r2", Mailbox: "a", Host: "b"}},
		"john . doe @ example . test":          {box("", "john.doe", "example.test")},
		"John Q. Public john@x.test":           {box("John Q. Public", "john", "x.test")},
		`"John Public" john@x.test`:            {box("John Public", "john", "x.test")},
		"a@[IPv6:2001:db8::1], b@c":            {box("", "a", "[IPv6:2001:db8::1]"), box("", "b", "c")},
		`"never closed <a@b>, c@d`:             {box("never closed", "a", "b"), box("", "c", "d")},
		"x (never closed <a@b>, c@d":           {box("x (never closed", "a", "b"), box("", "c", "d")},
		"x <a@b, c <d@e>":                      {box("x", "a", "b"), box("c", "d", "e")},
		"x <a@b, c@d":                          {box("x", "a", "b"), box("", "c", "d")},
		"<>":                                   nil,
		"Ann <>, b@c":                          {box("", "b", "c")},
		"@host":                                {box("", "", "host")},
		"=?utf-8?q?Lee,_Ann?= <a@b>":           {box("=?utf-8?q?Lee,_Ann?=", "a", "b")},
		"=?utf-8?b?w4Q=?= =?utf-8?q?x?= <a@b>": {box("=?utf-8?b?w4Q=?= =?utf-8?q?x?=", "a", "b")},
		"a@b; c@d":                             {box("", "a", "b"), box("", "c", "d")},
		"Ann\r\n Lee <a@b>":                    {box("Ann Lee", "a", "b")},
		"A\xe4 <a@b>":                          {box("Aä", "a", "b")},
		"  Ann   Lee  <a@b>":                   {box("Ann Lee", "a", "b")},
	}
	for value, want := range cases {
		got, over := mime.ParseAddressList(value)
		if diff := cmp.Diff(want, got); diff != "" || over {
			t.Errorf("ParseAddressList(%q), over %v (-want +got):\n%s", value, over, diff)
		}
	}
}

func TestAMillionAddressesStopAtTheLimit_L23(t *testing.T) {
	t.Parallel()
	list, over := mime.ParseAddressList(strings.Repeat("a@b.test,", 1_000_000))
	if len(list) != mime.MaxAddresses || !over {
		t.Fatalf("kept %d addresses, over %v", len(list), over)
	}
}

// Each of these made a naive parser search to the end of the field again and again.
func TestAddressMarksThatAreNeverClosedTakeLinearTime(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{`\"`, `"`, "(", "<", "@[", "=?a?q?", "=?a", `"a"`, "(a", `<"`, "a<b", " . ", "@ ", `\`, "x:", `"" `} {
		value := strings.Repeat(piece, (1<<20)/len(piece))
		within(t, piece, func() { mime.ParseAddressList(value) })
	}
}

func TestDecodedAddressesAreForPeople(t *testing.T) {
	t.Parallel()
	list, _ := mime.ParseAddressList(`Team: =?utf-8?q?J=C3=BCrgen?= <j@x>; "odd one"@y, root`)
	want := []mime.Address{{Name: "Jürgen", Email: "j@x"}, {Email: `"odd one"@y`}, {Email: "root"}}
	if diff := cmp.Diff(want, mime.Decoded(list)); diff != "" {
		t.Error(diff)
	}
}

func FuzzAddressList(f *testing.F) {
	for _, seed := range []string{
		"a@b", `"x" <a@b>, c`, "g: a@b, <c@d>;", "(c) a (d) @ b", `"\`, "<@r:a@b>", "=?utf-8?q?a,b?= <c@d>", "a@[::1]", ":;:;", "<a", ">", "\x00é",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		list, _ := mime.ParseAddressList(value)
		depth := 0
		for _, a := range list {
			switch a.Kind {
			case mime.GroupBegin:
				depth++
			case mime.GroupEnd:
				depth--
			case mime.NoGroup:
				if a.Mailbox == "" && a.Host == "" {
					t.Errorf("an address of nothing in %q", value)
				}
			}
			if depth < 0 || depth > 1 {
				t.Fatalf("group marks do not pair in %q: %+v", value, list)
			}
		}
		if depth != 0 {
			t.Fatalf("group not closed in %q: %+v", value, list)
		}
		e := &mime.Envelope{To: list}
		mustIMAP(t, mime.AppendEnvelope(nil, e))
	})
}
