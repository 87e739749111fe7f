package smtpout

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed answers.txt
var answers string

// Bounds of a wait that a text asks for (O-36).
const (
	minSaid = time.Minute
	maxSaid = 15 * time.Minute
)

// stage is a place in a session at which an answer comes.
type stage uint8

const (
	stageBanner stage = iota
	stageHello
	stageTLS
	stageAuth
	stageMail
	stageRcpt
	stageData
	stageDot
)

func stageNames() []string {
	return []string{"banner", "hello", "tls", "auth", "mail", "rcpt", "data", "dot"}
}

// String returns the stage as in "the host was lost at RCPT".
func (s stage) String() string {
	return [...]string{"its greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "the final dot"}[s]
}

// table is answers.txt, ready to be asked. It is immutable.
type table struct {
	version string
	rows    []row
	// said and clockSaid find a wait in a text: "in 5 minutes", "in 00:04:58".
	said, clockSaid *regexp.Regexp
}

// row is one line of the table.
type row struct {
	rule, class string
	// defer5 makes a 5yz defer.
	defer5 bool
	stages [stageDot + 1]bool
	codes  []span // nil: any
	status []pattern
	words  []string // nil: nothing is asked
	wait   time.Duration
	// asSaid takes the wait from the text when there is one.
	asSaid bool
}

// span is a range with both ends.
type span struct{ from, to int }

func (s span) has(n int) bool { return s.from <= n && n <= s.to }

// pattern is a status code with ranges.
type pattern struct {
	none                   bool // no status given
	class, subject, detail span
}

func (p pattern) fits(status string) bool {
	if status == "" || p.none {
		return status == "" && p.none
	}
	fields := strings.Split(status, ".")
	for i, want := range []span{p.class, p.subject, p.detail} {
		n, err := strconv.Atoi(fields[i])
		if err != nil || !want.has(n) {
			return false
		}
	}
	return true
}

// match returns the first row that fits an answer. Text is the whole text, without a bound on its case.
func (t *table) match(at stage, code int, status, text string) row {
	text = strings.ToLower(text)
	for _, r := range t.rows {
		if r.fits(at, code, status, text) {
			return r
		}
	}
	return row{rule: "O-41", class: ClassOther}
}

func (r row) fits(at stage, code int, status, text string) bool {
	return r.stages[at] && r.fitsCode(code) && r.fitsStatus(status) && r.fitsText(text)
}

func (r row) fitsCode(code int) bool {
	for _, want := range r.codes {
		if want.has(code) {
			return true
		}
	}
	return r.codes == nil
}

func (r row) fitsStatus(status string) bool {
	for _, want := range r.status {
		if want.fits(status) {
			return true
		}
	}
	return r.status == nil
}

func (r row) fitsText(text string) bool {
	for _, want := range r.words {
		if hasWords(text, want) {
			return true
		}
	}
	return r.words == nil
}

// hasWords reports whether words are in a text with no letter or digit touching them. A star at their end leaves the end open.
func hasWords(text, words string) bool {
	words, open := strings.CutSuffix(words, "*")
	for from := 0; ; {
		i := strings.Index(text[from:], words)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(words)
		before := start == 0 || !wordByte(text[start-1]) || !wordByte(words[0])
		after := open || end == len(text) || !wordByte(text[end]) || !wordByte(words[len(words)-1])
		if before && after {
			return true
		}
		from = start + 1
	}
}

func wordByte(c byte) bool { return 'a' <= c && c <= 'z' || digit(c) }

// waitFor returns how long a row asks to wait.
func (t *table) waitFor(r row, text string) time.Duration {
	if !r.asSaid {
		return r.wait
	}
	text = strings.ToLower(text)
	said := ""
	if m := t.clockSaid.FindStringSubmatch(text); m != nil {
		said = m[1] + "h" + m[2] + "m" + m[3] + "s"
	} else if m := t.said.FindStringSubmatch(text); m != nil {
		said = m[1] + m[2][:1]
	}
	total, err := time.ParseDuration(said)
	if err != nil || total == 0 {
		return r.wait
	}
	return min(max(total, minSaid), maxSaid)
}

// parseTable reads the text of a table. A fault in it is a fault of the build.
func parseTable(text string) (*table, error) {
	t := &table{
		said:      regexp.MustCompile(`\b(\d{1,5}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b`),
		clockSaid: regexp.MustCompile(`\b(\d{1,2}):(\d{2}):(\d{2})\b`),
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if version, ok := strings.CutPrefix(line, "version "); ok {
			t.version = version
			continue
		}
		r, err := parseRow(line)
		if err != nil {
			return t, fmt.Errorf("line %d: %w", i+1, err)
		}
		t.rows = append(t.rows, r)
	}
	if t.version == "" {
		return t, errors.New("no version")
	}
	return t, nil
}

func parseRow(line string) (row, error) {
	fields := strings.Split(line, "|")
	if len(fields) != 8 {
		return row{}, fmt.Errorf("%d columns", len(fields))
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	r := row{rule: fields[0], class: fields[1], defer5: fields[2] == "defer"}
	if fields[2] != "code" && fields[2] != "defer" {
		return row{}, fmt.Errorf("act %q", fields[2])
	}
	err := errors.Join(r.parseStages(fields[3]), r.parseCodes(fields[4]), r.parseStatus(fields[5]), r.parseWait(fields[7]))
	if fields[6] != "*" {
		for word := range strings.SplitSeq(fields[6], ";") {
			word = strings.TrimSpace(word)
			if strings.Trim(word, "*") == "" || word != strings.ToLower(word) {
				err = errors.Join(err, fmt.Errorf("words %q", word))
			}
			r.words = append(r.words, word)
		}
	}
	return r, err
}

func (r *row) parseStages(text string) error {
	text = strings.ReplaceAll(text, "late", "rcpt data dot")
	for word := range strings.FieldsSeq(text) {
		known := word == "*"
		for at, name := range stageNames() {
			if word == "*" || word == name {
				r.stages[at], known = true, true
			}
		}
		if !known {
			return fmt.Errorf("stage %q", word)
		}
	}
	return nil
}

func (r *row) parseCodes(text string) error {
	if text == "*" {
		return nil
	}
	for word := range strings.FieldsSeq(text) {
		if class, ok := strings.CutSuffix(word, "xx"); ok {
			word = class + "00-" + class + "99"
		}
		s, err := parseSpan(word)
		if err != nil {
			return err
		}
		r.codes = append(r.codes, s)
	}
	return nil
}

func (r *row) parseStatus(text string) error {
	if text == "*" {
		return nil
	}
	for word := range strings.FieldsSeq(text) {
		if word == "-" {
			r.status = append(r.status, pattern{none: true})
			continue
		}
		fields := strings.Split(word, ".")
		if len(fields) != 3 {
			return fmt.Errorf("status %q", word)
		}
		var p pattern
		for i, part := range []*span{&p.class, &p.subject, &p.detail} {
			s, err := parseSpan(fields[i])
			if err != nil {
				return err
			}
			*part = s
		}
		r.status = append(r.status, p)
	}
	return nil
}

// parseSpan reads "5", "606-649", "*" for anything and "x" for 4 or 5.
func parseSpan(text string) (span, error) {
	switch text {
	case "*":
		return span{0, 999}, nil
	case "x":
		return span{4, 5}, nil
	}
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	a, err := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	if err = errors.Join(err, err2); err != nil || a > b {
		return span{}, fmt.Errorf("number %q: %w", text, err)
	}
	return span{a, b}, nil
}

func (r *row) parseWait(text string) error {
	if text == "-" {
		return nil
	}
	text, r.asSaid = strings.CutPrefix(text, "said ")
	var err error
	r.wait, err = time.ParseDuration(text)
	return err
}

// judge says what an answer of 4yz or 5yz means at a stage (O-23, O-31..O-41).
func (t *table) judge(at stage, rep reply) *failure {
	status, text := rep.answer()
	r := t.match(at, rep.code, status, text)
	f := &failure{spoke: true, Result: Result{
		Outcome: Deferred, Code: rep.code, Enhanced: status, Text: text,
		Class: r.class, Rule: r.rule, RetryAfter: t.waitFor(r, text),
	}}
	// Before MAIL there is no recipient and no message: the answer is about the host (O-23). An unknown 5yz to MAIL is too
	// (O-41).
	early := at < stageMail
	plain := r.rule == "O-41"
	hostLevel := early || at == stageMail && plain && rep.code >= 500
	f.HostTrouble = hostLevel || rep.code == 421
	if rep.code >= 500 && !r.defer5 && !hostLevel {
		f.Outcome = Refused
	}
	// Another host may do better, unless the answer asks for patience.
	f.next = early && at != stageAuth && (rep.code >= 500 || plain) || at == stageMail && plain && f.Outcome == Deferred
	return f
}
