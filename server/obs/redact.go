package obs

import (
	"encoding"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Redacted stands for a value that is never logged.
const Redacted = "[redacted]"

// maxLogText bounds one text of a log line in bytes.
const maxLogText = 8 << 10

// redact is the ReplaceAttr of every handler: by key, then by the shape of the
// value (S-37), then control characters (S-38).
func redact(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey || a.Value.Kind() == slog.KindTime {
		return a
	}
	if secretKey(a.Key) || slices.ContainsFunc(groups, secretKey) {
		return slog.String(a.Key, Redacted)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(clean(a.Value.String()))
	case slog.KindAny:
		a.Value = cleanAny(a.Value.Any())
	default: // numbers, durations and truth values hide nothing
	}
	return a
}

// secretKey reports whether a key names something secret. A trailing word that
// only counts or names it (token_id, body_bytes) makes it harmless.
func secretKey(key string) bool {
	words := strings.FieldsFunc(strings.ToLower(key), func(r rune) bool { return r == '_' || r == '-' || r == '.' || r == ' ' })
	if len(words) == 0 {
		return false
	}
	switch words[len(words)-1] {
	case "id", "ids", "bytes", "count", "length", "size", "ms", "type", "name", "at", "min", "max":
		return false
	case "key", "keys":
		return true
	}
	for _, word := range words {
		switch word {
		case "password", "passwords", "passwd", "passphrase", "pass", "token", "tokens", "authorization",
			"secret", "secrets", "body", "cookie", "cookies", "credential", "credentials", "totp", "otp", "apikey":
			return true
		}
	}
	return false
}

// shape is a form in which a secret is recognised wherever it stands. Only a
// text that contains one of the gates is searched.
type shape struct {
	gates []string
	re    *regexp.Regexp
	with  string
}

// shapes are tried in order on every text.
//
//nolint:gochecknoglobals // an immutable table
var shapes = []shape{
	{
		[]string{"PRIVATE KEY"},
		regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`),
		Redacted,
	},
	{[]string{"ms_", "whsec_"}, regexp.MustCompile(`(ms_(?:live|test)_|whsec_)[0-9A-Za-z_+/=-]+`), "${1}" + Redacted},
	// A JSON Web Token.
	{[]string{"eyJ"}, regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]*)?`), Redacted},
	{[]string{":", "="}, regexp.MustCompile(`(?i)\b((?:set-)?cookie|authorization)(["']?\s*[:=]\s*).*`), "${1}${2}" + Redacted},
	{[]string{" "}, regexp.MustCompile(`(?i)\b(Bearer)\s+[^\s"',;]{6,}`), "${1} " + Redacted},
	{[]string{"Basic "}, regexp.MustCompile(`\bBasic\s+[0-9A-Za-z+/]{6,}={0,2}`), "Basic " + Redacted},
	// AUTH of SMTP (RFC 4954 §4), AUTHENTICATE and LOGIN of IMAP (RFC 9051 §6.2).
	{
		[]string{" "},
		regexp.MustCompile(`(?i)\b(AUTH|AUTHENTICATE)(\s+(?:PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|CRAM-MD5|SCRAM-[A-Z0-9-]+))\s+\S.*`),
		"${1}${2} " + Redacted,
	},
	{[]string{"@"}, regexp.MustCompile(`(?i)\b(LOGIN\s+(?:"(?:[^"\\]|\\.)*"|\S*@\S+))\s+\S.*`), "${1} " + Redacted},
	// The user part of a URL, as in a database URL that a driver quotes.
	{[]string{"://"}, regexp.MustCompile(`(://[^/\s:@]*):[^/\s]*@`), "${1}:" + Redacted + "@"},
	// name=value, name: value and "name":"value".
	{
		[]string{":", "="},
		regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|totp)["']?\s*[:=]\s*)` +
			`("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"',;&}\]]+)`),
		"${1}" + Redacted,
	},
}

// clean returns text without secrets and control characters, of bounded length.
func clean(text string) string {
	if len(text) > maxLogText {
		text = text[:maxLogText] + "..."
	}
	for _, s := range shapes {
		if containsAny(text, s.gates) {
			text = s.re.ReplaceAllString(text, s.with)
		}
	}
	return escape(text)
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// escape writes control characters, line ends, broken UTF-8 and marks that
// turn the direction of writing as visible \x or \u forms.
func escape(text string) string {
	if strings.IndexFunc(text, unsafeRune) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			b.WriteString(`\x` + hex(rune(text[i]), 2))
		case !unsafeRune(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			b.WriteString(`\x` + hex(r, 2))
		default:
			b.WriteString(`\u` + hex(r, 4))
		}
	}
	return b.String()
}

// unsafeRune reports whether r could move a cursor, end a line or reorder one.
func unsafeRune(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

func hex(r rune, width int) string {
	text := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, width-len(text))) + text
}

// cleanAny turns every other value into cleaned text, so that no field of a
// struct reaches the log by its own name.
func cleanAny(v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.AnyValue(nil)
	case []byte:
		return slog.StringValue("[" + strconv.Itoa(len(v)) + " bytes]")
	}
	return slog.StringValue(clean(textOf(v)))
}

// textOf writes v as it wants to be written. A value whose method panics, such
// as a nil pointer in an interface, must not end the caller for a log line.
func textOf(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("[unprintable %T]", v)
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	case encoding.TextMarshaler:
		if b, err := v.MarshalText(); err == nil {
			return string(b)
		}
	}
	return fmt.Sprintf("%+v", v)
}
