package mime_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// benchMessage is a message as they come: twenty header fields, text, HTML, and a file that fills it up to size octets.
func benchMessage(size int) string {
	head := strings.Repeat("Received: from mx.example.test (mx.example.test [192.0.2.1])\r\n\tby mail.example.test; Fri, 20 Nov 2026 09:30:00 +0100\r\n", 5) +
		"DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=x;\r\n\tb=" + strings.Repeat("x", 300) + "\r\n" +
		crlf(`From: Ann Lee <ann@example.test>
To: bob@example.test, "Smith, Carol" <carol@example.test>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from the benchmark
Date: Fri, 20 Nov 2026 09:30:00 +0100
Message-ID: <bench@example.test>
In-Reply-To: <before@example.test>
References: <first@example.test> <before@example.test>
X-Mailer: none
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_outer"

--=_outer
Content-Type: multipart/alternative; boundary="=_inner"

--=_inner
Content-Type: text/plain; charset=utf-8

Hello, this is the text of the message. It is not long.
--=_inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Hello, this is the <b>text</b> of the message.</p>
--=_inner--
--=_outer
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename="a.pdf"
Content-Transfer-Encoding: base64

`)
	tail := "--=_outer--\r\n"
	line := strings.Repeat("QUJD", 19) + "\r\n"
	return head + strings.Repeat(line, max(1, (size-len(head)-len(tail))/len(line))) + tail
}

func benchmarkScan(b *testing.B, size int) {
	b.Helper()
	raw := benchMessage(size)
	r := strings.NewReader(raw)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mime.Scan(r, int64(len(raw))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan4KiB(b *testing.B) { benchmarkScan(b, 4<<10) }

func BenchmarkScan1MiB(b *testing.B) { benchmarkScan(b, 1<<20) }

func BenchmarkRender(b *testing.B) {
	m := scan(b, benchMessage(4<<10))
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = mime.AppendEnvelope(dst[:0], m.Envelope)
		dst = mime.AppendBodyStructure(dst, m.Root, true)
	}
}

func BenchmarkEncode(b *testing.B) {
	m := scan(b, benchMessage(4<<10))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestMemoryOfHostileMessagesIsBounded_S9 runs alone, because it counts what the whole process allocates.
func TestMemoryOfHostileMessagesIsBounded_S9(t *testing.T) {
	for name, raw := range map[string]string{
		"parts":     "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: a/b; c=d\r\n\r\nx\r\n", 500_000),
		"addresses": "To: " + strings.Repeat("a@b,", 1_000_000) + "\r\n\r\n",
		"nesting":   strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 100_000),
		"one line":  strings.Repeat("x", 20<<20),
		"headers":   strings.Repeat("X: y\r\n", 2_000_000),
		"big body":  benchMessage(20 << 20),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		scan(t, raw)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%s: %d KiB allocated for %d KiB", name, used>>10, len(raw)>>10)
		}
	}
}
