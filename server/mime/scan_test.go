package mime_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/mime"
)

func TestScanFindsThePartsHoweverBoundariesAreWritten(t *testing.T) {
	t.Parallel()
	mixed := "Content-Type: multipart/mixed; boundary=b\n\n"
	part := func(subtype string) string { return "Content-Type: text/" + subtype + "\n\n" + subtype + " body\n" }
	cases := map[string]struct{ raw, want string }{
		"plain":                {"Subject: x\n\nbody", "plain"},
		"two parts":            {mixed + "--b\n" + part("plain") + "--b\n" + part("html") + "--b--\n", "mixed(plain html)"},
		"preamble, epilogue":   {mixed + "pre\n--b\n" + part("html") + "--b--\nepi\n--b\n" + part("css"), "mixed(html)"},
		"no end":               {mixed + "--b\n" + part("plain") + "--b\n" + part("html"), "mixed(plain html)"},
		"space after":          {mixed + "--b \t\n" + part("html") + "--b-- \n", "mixed(html)"},
		"last line without LF": {mixed + "--b\n" + part("html") + "--b--", "mixed(html)"},
		"empty part":           {mixed + "--b\n--b\n\n--b--\n", "mixed(plain plain)"},
		"only a boundary":      {mixed + "--b", "mixed(plain)"},
		"text like boundary":   {mixed + "--b\n" + part("html") + "--bc\n--b-\n--b---\n-- b\n--b--\n", "mixed(html)"},
		"no boundary param":    {"Content-Type: multipart/mixed\n\n--b\n" + part("html"), "plain"},
		"empty boundary":       {"Content-Type: multipart/mixed; boundary=\"\"\n\n--\n" + part("html") + "----\n", "plain"},
		"closed at once":       {mixed + "--b--\n", "plain"},
		"no parts":             {mixed, "plain"},
		"no body at all":       {"Content-Type: multipart/mixed; boundary=b\n", "plain"},
		"long boundary": {
			"Content-Type: multipart/mixed; boundary=\"" + strings.Repeat("x", 1000) + "\"\n\n--" + strings.Repeat("x", 1000) +
				"\n" + part("html"), "mixed(html)",
		},
		"boundary longer than limit": {
			"Content-Type: multipart/mixed; boundary=\"" + strings.Repeat("x", 3000) + "\"\n\n--" + strings.Repeat("x", 3000) +
				"\n" + part("html"), "octet-stream",
		},
		"prefix of outer": {
			"Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: multipart/alternative; boundary=a\n\n--a\n" + part("plain") +
				"--a\n" + part("html") + "--a--\n--ab\n" + part("css") + "--ab--\n", "mixed(alternative(plain html) css)",
		},
		"prefix of inner": {
			"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=ab\n\n--ab\n" + part("plain") +
				"--ab\n" + part("html") + "--ab--\n--a\n" + part("css") + "--a--\n", "mixed(alternative(plain html) css)",
		},
		"inner not closed": {
			mixed + "--b\nContent-Type: multipart/alternative; boundary=i\n\n--i\n" + part("plain") + "--b\n" + part("html") + "--b--\n",
			"mixed(alternative(plain) html)",
		},
		"same boundary twice": {
			mixed + "--b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n" + part("plain") + "--b--\n--b--\n",
			"mixed(alternative(plain))",
		},
		"inner without parts": {
			mixed + "--b\nContent-Type: multipart/alternative; boundary=i\n\n--b\n" + part("html") + "--b--\n", "mixed(plain html)",
		},
		"boundary in part header": {mixed + "--b\nContent-Type: text/html\n--b--\n", "mixed(html)"},
		"part without header":     {mixed + "--b\nhello there\n\nmore\n--b--\n", "mixed(plain)"},
		"message":                 {"Content-Type: message/rfc822\n\nSubject: in\nContent-Type: text/html\n\nx", "rfc822(html)"},
		"message with mbox line":  {"Content-Type: message/rfc822\n\nFrom a@b Mon\nContent-Type: text/html\n\nx", "rfc822(html)"},
		"message in base64":       {"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDog\n", "rfc822(plain)"},
		"message in multipart": {
			mixed + "--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=i\n\n--i\n" + part("html") + "--b--\n",
			"mixed(rfc822(mixed(html)))",
		},
		"message cut by boundary": {mixed + "--b\nContent-Type: message/rfc822\n\nSubject: x\n--b--\n", "mixed(rfc822(plain))"},
		"message without body":    {mixed + "--b\nContent-Type: message/rfc822\n--b--\n", "mixed(plain)"},
		"digest": {
			"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\nx\n--b\nContent-Type: text/plain\n\ny\n--b--\n",
			"digest(rfc822(plain) plain)",
		},
		"first Content-Type wins": {"Content-Type: text/html\nContent-Type: text/css\n\nx", "html"},
	}
	for name, c := range cases {
		for _, raw := range []string{crlf(c.raw), c.raw} {
			m := scan(t, raw)
			if got := shape(m.Root); got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
			checkMessage(t, raw, m)
		}
	}
}

// checkMessage holds what is true of every message: offsets in order and inside, rendering well formed, stored form faithful.
func checkMessage(t *testing.T, raw string, m *mime.Message) {
	t.Helper()
	size := int64(len(raw))
	if m.Root.HeaderStart != 0 || m.Root.BodyEnd != size || m.Size != size {
		t.Fatalf("root is %d..%d of %d", m.Root.HeaderStart, m.Root.BodyEnd, size)
	}
	parts := 0
	m.Root.Walk(func(p *mime.Part) bool {
		parts++
		checkPart(t, raw, p)
		return true
	})
	if parts > mime.MaxParts {
		t.Fatalf("%d parts", parts)
	}
	for _, extended := range []bool{true, false} {
		mustIMAP(t, mime.AppendBodyStructure(nil, m.Root, extended))
	}
	if v, ok := mustIMAP(t, mime.AppendEnvelope(nil, m.Envelope)).([]any); !ok || len(v) != 10 {
		t.Fatalf("envelope of %d fields", len(v))
	}
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	escapes := bytes.ReplaceAll(encoded, []byte(`\\`), nil)
	if bytes.Contains(escapes, []byte(`\u0000`)) || bytes.Contains(escapes, []byte(`\ufffd`)) {
		t.Errorf("stored form has a NUL or damaged text: %s", encoded)
	}
	decoded, err := mime.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := decoded.Encode(); !reflect.DeepEqual(m, decoded) || err != nil { // cmp is exponential in the depth
		t.Errorf("stored form differs:\nscanned %s\nstored  %s (%v)", encoded, again, err)
	}
	if n := len([]rune(m.Preview)); n > 200 {
		t.Errorf("preview of %d runes", n)
	}
}

func checkPart(t *testing.T, raw string, p *mime.Part) {
	t.Helper()
	if p.HeaderStart > p.BodyStart || p.BodyStart > p.BodyEnd || p.BodyEnd > int64(len(raw)) {
		t.Fatalf("offsets %d %d %d of %d", p.HeaderStart, p.BodyStart, p.BodyEnd, len(raw))
	}
	if p.Type == "text" || p.Type == "message" {
		if want := strings.Count(raw[p.BodyStart:p.BodyEnd], "\n"); p.Lines != int64(want) {
			t.Errorf("%s has %d lines, counted %d", p.MediaType(), p.Lines, want)
		}
	}
	if p.IsMultipart() != (len(p.Children) > 0 && p.Envelope == nil) {
		t.Fatalf("%s with %d children", p.MediaType(), len(p.Children))
	}
	at := p.BodyStart
	for _, child := range p.Children {
		if child.HeaderStart < at || child.BodyEnd > p.BodyEnd {
			t.Fatalf("child %d..%d outside %d..%d", child.HeaderStart, child.BodyEnd, at, p.BodyEnd)
		}
		at = child.BodyEnd
	}
}

func TestCraftedMultipartWithoutPartsHasABodyStructure(t *testing.T) {
	t.Parallel()
	m := scan(t, crlf("Content-Type: multipart/mixed; boundary=x\n\nno part here\n"))
	if got, want := structureOf(m), `("text" "plain" NIL NIL NIL "7bit" 14 1 NIL NIL NIL NIL)`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !m.Faults.Has(mime.FaultEmptyMultipart) {
		t.Error("not noted")
	}
}

func TestHeaderLineWithoutColonLosesNothing(t *testing.T) {
	t.Parallel()
	raw := crlf("Subject: one\nthis line has no colon\n and is continued\nFrom: a@b\nContent-Type: text/html\n\nbody\n")
	m := scan(t, raw)
	if m.Envelope.Subject != "one" || len(m.Envelope.From) != 1 || m.Root.Subtype != "html" || !m.Faults.Has(mime.FaultJunkLine) {
		t.Errorf("%+v %+v", m.Envelope, m.Root)
	}
	var all []byte
	for _, spec := range []string{mime.SpecHeader, mime.SpecText} {
		start, end, ok := m.Section(nil, spec)
		if !ok {
			t.Fatal(spec)
		}
		all = append(all, raw[start:end]...)
	}
	if string(all) != raw {
		t.Errorf("header and text are %q", all)
	}
}

func TestFaultsOfTheHeaderAreReported_I46_S7(t *testing.T) {
	t.Parallel()
	const rest = "Date: x\r\nMessage-ID: <i@h>\r\n"
	cases := map[string]struct {
		raw  string
		want mime.Fault
	}{
		"none":             {rest + "From: a@b\r\n\r\n", 0},
		"no From":          {rest + "\r\n", mime.FaultNoFrom},
		"two From":         {rest + "From: a@b\r\nfrom : c@d\r\n\r\n", mime.FaultSeveralFrom},
		"From a name":      {rest + "From: Ann\r\n\r\n", mime.FaultFromNoAddress},
		"From empty":       {rest + "From:\r\n\r\n", mime.FaultFromNoAddress},
		"From empty group": {rest + "From: g:;\r\n\r\n", mime.FaultFromNoAddress},
		"8-bit":            {rest + "From: \xe4 <a@b>\r\n\r\n", mime.FaultRaw8Bit},
		"8-bit body":       {rest + "From: a@b\r\n\r\n\xe4", 0},
		"no Date, no id":   {"From: a@b\r\n\r\n", mime.FaultNoDate | mime.FaultNoMessageID},
		"empty id":         {"Date: x\r\nFrom: a@b\r\nMessage-ID: <>\r\n\r\n", mime.FaultNoMessageID},
		"header only":      {rest + "From: a@b\r\n", mime.FaultNoBlankLine},
		"LF in header":     {rest + "From: a@b\n\r\n", mime.FaultBareLF},
		"LF in body":       {rest + "From: a@b\r\n\r\nx\n", mime.FaultBareLF},
		"NUL":              {rest + "From: a@b\r\nX: \x00\r\n\r\n", mime.FaultNUL},
		"multipart no end": {rest + "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n", mime.FaultUnclosed},
	}
	for name, c := range cases {
		if m := scan(t, c.raw); m.Faults != c.want {
			t.Errorf("%s: %v, want %v", name, m.Faults.Names(), c.want.Names())
		}
	}
	m := scan(t, "Subject: 1\r\nTo: a@b\r\nReceived: 1\r\nsubject: 2\r\nTo: c@d\r\nSUBJECT: 3\r\nReceived: 2\r\n\r\n")
	if diff := cmp.Diff([]string{"subject", "to"}, m.Duplicates); diff != "" {
		t.Error(diff)
	}
	if m.Envelope.Subject != "1" || len(m.Envelope.To) != 2 || m.Received != 2 {
		t.Errorf("%+v, received %d", m.Envelope, m.Received)
	}
}

func TestDeepNestingIsLinearAndOpaqueBelowTheLimit_X8_L20(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{4000, 100_000} {
		var b strings.Builder
		for i := range depth {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n", i, i)
		}
		b.WriteString("\r\ninnermost")
		raw := b.String()
		var m *mime.Message
		within(t, fmt.Sprint("depth ", depth), func() { m = scan(t, raw) })
		p, n := m.Root, 1
		for len(p.Children) > 0 {
			p, n = p.Children[0], n+1
		}
		if n != mime.MaxDepth || !p.Opaque || p.MediaType() != "application/octet-stream" {
			t.Errorf("depth %d, innermost %s, opaque %v", n, p.MediaType(), p.Opaque)
		}
		if !strings.HasSuffix(raw[p.BodyStart:p.BodyEnd], "innermost") {
			t.Error("the opaque part does not hold the rest of the message")
		}
		if diff := cmp.Diff([]string{mime.LimitDepth}, m.Limits); diff != "" {
			t.Error(diff)
		}
		checkMessage(t, raw, m)
	}
}

func TestNestedMessagesAreOpaqueBelowTheLimit_L20(t *testing.T) {
	t.Parallel()
	raw := strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 5000) + "\r\nx"
	m := scan(t, raw)
	if diff := cmp.Diff([]string{mime.LimitDepth}, m.Limits); diff != "" {
		t.Error(diff)
	}
	checkMessage(t, raw, m)
}

func TestAMillionPartsStopAtTheLimit_S9_L21(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{
		"empty":     "--b\r\n\r\n",
		"no header": "--b\r\n",
		"typed":     "--b\r\nContent-Type: text/html\r\n\r\nx\r\n",
		"messages":  "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nx\r\n",
		"multipart": "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n",
	} {
		n := 1_000_000
		if testing.Short() || len(piece) > 10 {
			n = 100_000
		}
		raw := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat(piece, n) + "--b--\r\nepilogue"
		var m *mime.Message
		within(t, name, func() { m = scan(t, raw) })
		if diff := cmp.Diff([]string{mime.LimitParts}, m.Limits); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		checkMessage(t, raw, m)
	}
}

func TestHugeHeadersAreSkippedNotInterpreted_S10_L22_L23(t *testing.T) {
	t.Parallel()
	const tail = "Content-Type: text/html\r\n\r\nbody"
	cases := map[string]struct {
		head   string
		limit  string
		opaque bool
	}{
		"a million addresses": {"To: " + strings.Repeat("a@b.test,\r\n ", 1_000_000) + "c@d\r\n", mime.LimitHeader, true},
		"50 MiB block":        {strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 50_000), mime.LimitHeader, true},
		"one endless line":    {"X-A: " + strings.Repeat("y", 5<<20) + "\r\n", mime.LimitHeader, true},
		"too many fields":     {strings.Repeat("X:y\r\n", 1001), mime.LimitFields, true},
		"as many as may be":   {strings.Repeat("X:y\r\n", 998), "", false},
		"long subject":        {"Subject: " + strings.Repeat("y ", 40_000) + "\r\n", mime.LimitField, false},
		"long unknown field":  {"X: " + strings.Repeat("y ", 40_000) + "\r\n", "", false},
		"long Content-Type":   {"Content-Type: text/plain; x=\"" + strings.Repeat("y", 70_000) + "\"\r\n", mime.LimitField, true},
		"many addresses":      {"To: " + strings.Repeat("a@b,", 2000) + "\r\n", mime.LimitAddresses, false},
	}
	for name, c := range cases {
		raw := "From: a@b\r\n" + c.head + tail
		if name == "long Content-Type" {
			raw = c.head + "From: a@b\r\n" + tail
		}
		var m *mime.Message
		within(t, name, func() { m = scan(t, raw) })
		if got := strings.Join(m.Limits, " "); got != c.limit {
			t.Errorf("%s: limits %q, want %q", name, got, c.limit)
		}
		if m.Root.Opaque != c.opaque || len(m.Envelope.From) != 1 || raw[m.Root.BodyStart:m.Root.BodyEnd] != "body" {
			t.Errorf("%s: opaque %v, from %v, body %d..%d", name, m.Root.Opaque, m.Envelope.From, m.Root.BodyStart, m.Root.BodyEnd)
		}
		if n := len(m.Envelope.Subject); n > mime.MaxHeaderField {
			t.Errorf("%s: subject of %d octets", name, n)
		}
		checkMessage(t, raw, m)
	}
}

func TestAddressListThatDoesNotFitIsLeftOutWhole(t *testing.T) {
	t.Parallel()
	letter := "Content-Type: message/rfc822\r\n\r\nTo: team:" + strings.Repeat("somebody@example.test,", 900) + ";\r\n\r\nx\r\n"
	raw := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n"+letter, 50) + "--b--\r\n"
	m := scan(t, raw)
	counts := map[int]int{}
	for _, p := range m.Root.Children {
		counts[len(p.Envelope.To)]++
	}
	if len(counts) != 2 || counts[0] == 0 || counts[902] == 0 {
		t.Errorf("lengths of lists: %v", counts)
	}
	if diff := cmp.Diff([]string{mime.LimitMeta}, m.Limits); diff != "" {
		t.Error(diff)
	}
}

func TestDescriptionOfAHostileMessageStaysSmall(t *testing.T) {
	t.Parallel()
	field := strings.Repeat("y", 60_000)
	part := "--b\r\nContent-Description: " + field + "\r\nContent-Type: image/png; name=\"" + field + "\"\r\n\r\nx\r\n"
	raw := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat(part, 100) + "--b--\r\n"
	m := scan(t, raw)
	if p := m.Root.Children[90]; p.MediaType() != "image/png" || p.Params != nil {
		t.Errorf("%+v", p)
	}
	encoded, err := m.Encode()
	if err != nil || len(encoded) > 1<<20 {
		t.Fatalf("%d octets, %v", len(encoded), err)
	}
	if diff := cmp.Diff([]string{mime.LimitMeta}, m.Limits); diff != "" {
		t.Error(diff)
	}
	checkMessage(t, raw, m)
}

func TestLinesLongerThanTheBufferKeepTheirOffsets(t *testing.T) {
	t.Parallel()
	for _, n := range []int{32<<10 - 3, 32<<10 - 2, 32<<10 - 1, 32 << 10, 32<<10 + 1, 100_000} {
		long := strings.Repeat("y", n)
		raw := "X: " + long + "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + long + "\r\n--b\r\nX:" + long +
			"\r\n\r\n--" + long + "\r\n\r\n--b--\r\n"
		m := scan(t, raw)
		if got := shape(m.Root); got != "mixed(plain plain)" || m.Faults.Has(mime.FaultBareLF) {
			t.Fatalf("%d: %s, faults %v", n, got, m.Faults.Names())
		}
		first, second := m.Root.Children[0], m.Root.Children[1]
		if raw[first.BodyStart:first.BodyEnd] != long || raw[second.BodyStart:second.BodyEnd] != "--"+long+"\r\n" {
			t.Errorf("%d: bodies %d..%d, %d..%d", n, first.BodyStart, first.BodyEnd, second.BodyStart, second.BodyEnd)
		}
		checkMessage(t, raw, m)
	}
}

func TestReferencesAndIdsForThreads(t *testing.T) {
	t.Parallel()
	m := scan(t, crlf("Message-ID: <1@a> (x)\nIn-Reply-To: Your message of Monday <0@a>\nReferences: <r1@a>\n <r2@a><r3@a> junk <bad id@a>\n\n"))
	if m.MessageID() != "1@a" || m.InReplyTo() != "0@a" {
		t.Errorf("%q %q", m.MessageID(), m.InReplyTo())
	}
	if diff := cmp.Diff([]string{"r1@a", "r2@a", "r3@a"}, m.References); diff != "" {
		t.Error(diff)
	}
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, " <%d@a>\r\n", i)
	}
	m = scan(t, "References:"+b.String()+"Message-ID: bare@id\r\n\r\n")
	if n := len(m.References); n != 100 || m.References[0] != "0@a" || m.References[1] != "201@a" || m.References[99] != "299@a" {
		t.Errorf("%d references: %v", n, m.References)
	}
	if m.MessageID() != "bare@id" {
		t.Errorf("%q", m.MessageID())
	}
}

// failing is a reader that breaks after some octets.
type failing struct {
	data  string
	after int64
}

var errBroken = errors.New("disk broken")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.after {
		return 0, errBroken
	}
	return strings.NewReader(f.data).ReadAt(p, off)
}

func TestReadErrorsAreNotTakenForTheEndOfTheMessage(t *testing.T) {
	t.Parallel()
	raw := "Subject: x\r\n\r\n" + strings.Repeat("body\r\n", 20_000)
	if _, err := mime.Scan(failing{raw, 40_000}, int64(len(raw))); !errors.Is(err, errBroken) {
		t.Errorf("Scan: %v", err)
	}
	if _, err := mime.Scan(strings.NewReader(raw), int64(len(raw))+1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Scan of a short file: %v", err)
	}
	m := scan(t, raw)
	if _, err := mime.Text(failing{raw, 40_000}, m, 1<<20); !errors.Is(err, errBroken) {
		t.Errorf("Text: %v", err)
	}
	if _, err := mime.Header(failing{raw, 3}, m, m.Root); !errors.Is(err, errBroken) {
		t.Errorf("Header: %v", err)
	}
}

func TestEmptyMessage(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "\r\n", "\n", "\r", "x", ":", " ", "--", "From x\r\n"} {
		checkMessage(t, raw, scan(t, raw))
	}
}

func TestDecodeRefusesDamagedData(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "{}", "null", `{"r":{}}`, "x"} {
		if _, err := mime.Decode([]byte(data)); err == nil {
			t.Errorf("%q accepted", data)
		}
	}
}

func TestMultipartWhoseBoundaryDoesNotFitIsOpaque(t *testing.T) {
	t.Parallel()
	filler := "--b\r\nContent-Description: " + strings.Repeat("y", 60_000) + "\r\n\r\nx\r\n"
	inner := "--b\r\nContent-Type: multipart/mixed; boundary=" + strings.Repeat("c", 2000) + "\r\n\r\n--" + strings.Repeat("c", 2000) + "\r\n\r\nx\r\n"
	raw := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat(filler, 8) + strings.Repeat(inner, 50) + "--b--\r\n"
	m := scan(t, raw)
	if first, last := m.Root.Children[8], m.Root.Children[57]; len(first.Children) != 1 || !last.Opaque {
		t.Errorf("%+v\n%+v", first, last)
	}
	checkMessage(t, raw, m)
}
