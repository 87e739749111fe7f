package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailserver-dev/mailserver/server/fault"
)

func TestPathsAreSplitOutsideQuotes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		arg, path, params string
		ok                bool
	}{
		{"FROM:<a@b>", "a@b", "", true},
		{"from:<a@b>  SIZE=1 BODY=7BIT ", "a@b", "SIZE=1 BODY=7BIT", true},
		{"FROM: <>", "", "", true},
		{`FROM:<"a> b"@c> X`, `"a> b"@c`, "X", true},
		{`FROM:<"a\"> b"@c>`, `"a\"> b"@c`, "", true},
		{"FROM:<a@b>X", "", "", false},
		{"FROM:a@b", "", "", false},
		{"FROM:<a@b", "", "", false},
		{`FROM:<"a@b>`, "", "", false},
		{"TO:<a@b>", "", "", false},
		{"FRO", "", "", false},
	} {
		path, params, err := splitPath(tc.arg, "FROM:")
		if (err == nil) != tc.ok || path != tc.path || params != tc.params {
			t.Errorf("%q: %q %q %v", tc.arg, path, params, err)
		}
	}
}

func TestDeclaredSizes_I17(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]uint64{
		"": 0, "SIZE=5": 5, "BODY=7BIT size=77": 77, "SIZE=99999999999999999999": math.MaxUint64, "SIZE=-1": 0, "SIZE": 0, "XSIZE=5": 0,
	} {
		if got := declaredSize(params); got != want {
			t.Errorf("%q: %d, want %d", params, got, want)
		}
	}
}

// L-30: /24 and /64 count together, and what has ended leaves nothing behind (S-17).
func TestTheGuardCountsNetworks_L30(t *testing.T) {
	t.Parallel()
	for name, addresses := range map[string][]string{
		"IPv4 /24": {"192.0.2.1", "192.0.2.200", "192.0.2.77"},
		"IPv6 /64": {"2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:1::"},
	} {
		g := newGuard(&Limits{ConnectionsPerNetwork: 2, ConnectionsPerIP: 1})
		a, b, c := netip.MustParseAddr(addresses[0]), netip.MustParseAddr(addresses[1]), netip.MustParseAddr(addresses[2])
		if !g.admit(a) || g.admit(a) || !g.admit(b) || g.admit(c) {
			t.Errorf("%s: wrong count", name)
		}
		if !g.admit(netip.MustParseAddr("198.51.100.1")) || !g.admit(netip.MustParseAddr("2001:db8:1::1")) {
			t.Errorf("%s: another network is affected", name)
		}
		g.release(a)
		if !g.admit(c) {
			t.Errorf("%s: no room after a release", name)
		}
		for _, used := range []netip.Addr{b, c, netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:1::1")} {
			g.release(used)
		}
		if len(g.addresses) != 0 || len(g.networks) != 0 || g.total != 0 {
			t.Errorf("%s: counts are left: %v %v", name, g.addresses, g.networks)
		}
	}
}

// No code of an error makes our own fault permanent, and every reply is one line within 512 octets (RFC 5321 §4.5.3.1.5).
func TestRepliesAreNeverPermanentForOurOwnFault(t *testing.T) {
	t.Parallel()
	words := []string{"", "no-such-user", "mail-loop", "dmarc-rejected", "mailbox-full-for-days", codeBareNewline, codeTooLarge, codeLost, "unheard-of"}
	for kind := fault.Internal; kind <= fault.Unavailable; kind++ {
		for _, word := range words {
			for _, at := range []stage{stageMail, stageRcpt, stageData, stageAuth} {
				e := answerTo(at, fault.New(kind, word, "%s", strings.Repeat("long text\r\n", 100)), "con_abcdefghijklmnopqrstuvwxyz-1")
				text := line(e)
				if ownFault(kind) && e.Code >= 500 {
					t.Errorf("%s %q: %q", kind, word, text)
				}
				if e.Code < 400 || e.Code > 599 || e.Code/100 != e.EnhancedCode[0] {
					t.Errorf("%s %q: codes disagree: %q", kind, word, text)
				}
				if len(text) > 512 || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, " con_abcdefghijklmnopqrstuvwxyz-1\r\n") {
					t.Errorf("%s %q: %q", kind, word, text)
				}
			}
		}
	}
}

// readDots reads a DATA body from r as the wire would.
func readDots(r io.Reader, strict bool) (string, *bufio.Reader, error) {
	w := &wire{br: bufio.NewReaderSize(r, 16)}
	b := &body{src: &dots{w: w}, clean: cleaner{strict: strict, maxLine: 10_000}}
	out, err := io.ReadAll(b)
	return string(out), w.br, err
}

func TestBodiesAreUnstuffedAcrossBufferEdges(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		".\r\n":                           "",
		"a\r\n.\r\n":                      "a\r\n",
		"..\r\n.\r\n":                     ".\r\n",
		".a\r\n.\r\n":                     "a\r\n",
		"0123456789abcd\r\n.\r\n":         "0123456789abcd\r\n",
		"0123456789abcde\r\n..x\r\n.\r\n": "0123456789abcde\r\n.x\r\n",
		"0123456789abcdef\r\n.\r\n":       "0123456789abcdef\r\n",
		strings.Repeat("0123456789", 100) + "\r\n\r\n...\r\n.\r\n": strings.Repeat("0123456789", 100) + "\r\n\r\n..\r\n",
	} {
		for _, r := range []io.Reader{strings.NewReader(sent + "QUIT"), iotest.OneByteReader(strings.NewReader(sent + "QUIT"))} {
			got, rest, err := readDots(r, true)
			left, _ := io.ReadAll(rest)
			if err != nil || got != want || string(left) != "QUIT" {
				t.Errorf("%q: %q, %v, then %q", sent, got, err, left)
			}
		}
	}
}

// FuzzDots holds the reader of bodies to a plain definition: the message ends at the first CR LF "." CR LF whose first CR is not
// one of several, a strict body has no bare CR, LF or NUL, a normalised one neither, and both agree on where the next command
// begins.
func FuzzDots(f *testing.F) {
	for _, seed := range []string{
		"", ".\r\n", "a\r\n.\r\nb", "\n.\n", "\r\n.\n", "a\r\r\n.\r\n\r\n.\r\n", "..\r\n.\r\n", "\r.\r\r\n.\r\n", "0123456789abcde\r\n.\r\n", ".\r\r\n.\r\n\r\n.\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		end := endOfData(sent)
		got, _, err := readDots(bytes.NewReader(sent), false)
		if end < 0 {
			if err == nil {
				t.Fatalf("%q: a body without an end was complete", sent)
			}
			return
		}
		content := sent[:end]
		bad := bytes.IndexByte(content, 0) >= 0
		if (err != nil) != bad && fault.CodeOf(err) != codeLineTooLong {
			t.Fatalf("%q: %v", sent, err)
		}
		if bare := strings.ReplaceAll(got, "\r\n", ""); err == nil && strings.ContainsAny(bare, "\r\n\x00") {
			t.Fatalf("%q became %q", sent, got)
		}
		strictly, rest, err := readDots(bytes.NewReader(sent), true)
		if err == nil && strictly != got {
			t.Fatalf("%q: %q strictly, %q normalised", sent, strictly, got)
		}
		if err == nil {
			left, _ := io.ReadAll(rest)
			if !bytes.HasSuffix(sent, left) || len(sent)-len(left) != end+3 {
				t.Fatalf("%q: the next command begins at %d, want %d", sent, len(sent)-len(left), end+3)
			}
		}
	})
}

// endOfData gives the place of the final dot, or -1.
func endOfData(b []byte) int {
	for i := range b {
		if !bytes.HasPrefix(b[i:], []byte(".\r\n")) {
			continue
		}
		before := b[:i]
		if len(before) == 0 || bytes.HasSuffix(before, []byte("\r\n")) && !bytes.HasSuffix(before, []byte("\r\r\n")) {
			return i
		}
	}
	return -1
}

// FuzzPath: whatever splitPath and parsePath accept is one address that reads the same again.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"FROM:<a@b.test> SIZE=1", `FROM:<"a>b"@c.test>`, "FROM:<@x:a@b>", "FROM:<>", "FROM:<a@[1.2.3.4]>", "FROM: <ö@ä.test> SMTPUTF8"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		path, params, err := splitPath(arg, "FROM:")
		if err != nil {
			return
		}
		declaredSize(params)
		a, err := parsePath(path)
		if err != nil {
			return
		}
		again, rest, err := splitPath("FROM:<"+a.String()+"> X", "FROM:")
		if err != nil || rest != "X" {
			t.Fatalf("%q: %q cannot be handed on: %v", arg, a.String(), err)
		}
		if b, err := parsePath(again); err != nil || a != b {
			t.Fatalf("%q: %+v, then %+v and %v", arg, a, b, err)
		}
	})
}

// FuzzChunkSize: only plain numbers are sizes.
func FuzzChunkSize(f *testing.F) {
	for _, seed := range []string{"5", "5 LAST", "0 last", "-1", "1_0", "", "5 x", "9223372036854775808"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		size, _, err := chunkSize(arg)
		if err == nil && (size < 0 || strings.Trim(strings.Fields(arg)[0], "0123456789") != "") {
			t.Fatalf("%q is %d", arg, size)
		}
	})
}

func TestNoEndOfAConnectionLooksLikeTheEndOfAMessage_X3(t *testing.T) {
	t.Parallel()
	for _, word := range []string{codeLost, codeTruncated, codeDataTimeout, codeStopping} {
		if err := error(lost(word, io.EOF)); errors.Is(err, io.EOF) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", word, err)
		}
	}
}
