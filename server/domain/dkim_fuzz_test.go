package domain

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzSignedHeader tries headers of strangers: reading ends, within the message, and takes no field that is not signed.
func FuzzSignedHeader(f *testing.F) {
	for _, seed := range []string{
		"From: a\r\n\r\nbody", "", "\r\n", "From: a", " a\r\nFrom: b\r\n", "From\r\nTo : b\r\n\tc\r\n\r\n", "Bcc: x\r\nFrom: a\r\n\r\n", "::\r\n\x00\r\n", "From:\r\n a\r\n b\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		h, err := readSigned(bytes.NewReader(message), int64(len(message)))
		if err != nil {
			return
		}
		if h.body < 0 || h.body > int64(len(message)) || len(h.text) > len(message)+2 {
			t.Fatalf("%q: the body begins at %d, %d octets are signed", message, h.body, len(h.text))
		}
		if len(strings.Join(h.names, ":")) > keysMostText {
			t.Fatalf("%d names", len(h.names))
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(h.text), "\r\n"), "\r\n") {
			name := fieldName([]byte(line))
			if line != "" && (name == "bcc" || name == "") {
				t.Fatalf("%q signs %q", message, line)
			}
		}
	})
}

// FuzzKeyRecord tries texts of strangers' name servers.
func FuzzKeyRecord(f *testing.F) {
	k := DKIMKey{Algorithm: Ed25519, Public: make([]byte, 32), Selector: "s", DomainName: "example.test"}
	for _, seed := range []string{k.RecordValue(), "", ";", "v=DKIM1; p=", "k=rsa;p=AAAA", "p=\xff;;=", "v=DKIM1; k=ed25519; p=" + strings.Repeat("A ", 43) + "="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		why := compareRecords(k, []string{text})
		if len(why) > 3*shownMost+200 || strings.ContainsAny(why, "\r\n\x00") {
			t.Fatalf("%q gives %q", text, why)
		}
		if why == "" && !strings.Contains(strings.Join(strings.Fields(text), ""), "p="+strings.Repeat("A", 42)) {
			t.Fatalf("%q passes for the key", text)
		}
	})
}

// FuzzPrivateKey tries texts that are said to be private keys. What is taken can be written and read again.
func FuzzPrivateKey(f *testing.F) {
	private, err := generate(Ed25519)
	if err != nil {
		f.Fatal(err)
	}
	text, err := pemOf(private)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		private, err := parsePrivate(text)
		if err != nil {
			return
		}
		der, err := encodePrivate(private)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodePrivate(der)
		if err != nil || !samePublic(private, again) {
			t.Fatalf("another key comes back: %v", err)
		}
	})
}
