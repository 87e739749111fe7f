package mailserver_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

func block(kind string, fields ...string) mailserver.Block {
	b := mailserver.Block{Kind: kind}
	for i, into := range []**string{&b.Data, &b.ID}[:len(fields)] {
		*into = &fields[i]
	}
	return b
}

// text writes blocks for the message of a test.
func text(blocks []mailserver.Block) string {
	var out strings.Builder
	for _, b := range blocks {
		out.WriteString("[" + b.Kind)
		for i, v := range []*string{b.Data, b.ID} {
			if v != nil {
				out.WriteString([]string{" data=", " id="}[i] + strconv.Quote(*v))
			}
		}
		out.WriteString("]")
	}
	return out.String()
}

func TestAnEventStreamIsReadAsBrowsersReadIt(t *testing.T) {
	t.Parallel()
	idOnly := mailserver.Block{ID: new("7")}
	for name, c := range map[string]struct {
		stream string
		want   []mailserver.Block
	}{
		"an event of one line":                {"data: a\n\n", []mailserver.Block{block("", "a")}},
		"a type and an id":                    {"event: t\nid: 7\ndata: a\n\n", []mailserver.Block{block("t", "a", "7")}},
		"lines of data":                       {"data: a\ndata:b\ndata\ndata:  c\n\n", []mailserver.Block{block("", "a\nb\n\n c")}},
		"carriage returns":                    {"data: a\rdata: b\r\rdata: c\r\r", []mailserver.Block{block("", "a\nb"), block("", "c")}},
		"both together":                       {"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []mailserver.Block{block("", "a\nb"), block("", "c")}},
		"all of them mixed":                   {"data: a\r\n\rdata: b\n\r\ndata: c\r\n\n", []mailserver.Block{block("", "a"), block("", "b"), block("", "c")}},
		"a byte order mark":                   {"\ufeffdata: a\n\ndata: \ufeffb\n\n", []mailserver.Block{block("", "a"), block("", "\ufeffb")}},
		"a byte order mark and nothing":       {"\ufeff\n\ufeffdata: a\n\n", nil},
		"comments":                            {": ping\n\n:\n\ndata: a\n:data: b\n\n", []mailserver.Block{block("", "a")}},
		"a field of another name":             {"date: a\n data: b\nDATA: c\ndata : d\n\n", nil},
		"an empty event":                      {"data\n\ndata:\n\n", []mailserver.Block{block("", ""), block("", "")}},
		"a type without data":                 {"event: t\n\ndata: a\n\n", []mailserver.Block{block("", "a")}},
		"an id without data":                  {"id: 7\n\ndata: a\n\n", []mailserver.Block{idOnly, block("", "a")}},
		"an id without a value":               {"id: 7\ndata: a\n\nid\ndata: b\n\n", []mailserver.Block{block("", "a", "7"), block("", "b", "")}},
		"an id with a NUL":                    {"id: 7\nid: a\x00b\ndata: a\n\n", []mailserver.Block{block("", "a", "7")}},
		"one space and no more":               {"data:a\ndata: a\ndata:  a\ndata:\ta\n\n", []mailserver.Block{block("", "a\na\n a\n\ta")}},
		"colons in a value":                   {"data: {\"a\":1}\nid:a:b\n\n", []mailserver.Block{block("", `{"a":1}`, "a:b")}},
		"an event without its end":            {"data: a\n\nid: 7\ndata: b\n", []mailserver.Block{block("", "a")}},
		"an event that breaks off in a line":  {"data: a\n\ndata: b", []mailserver.Block{block("", "a")}},
		"a line longer than what is buffered": {"data: " + strings.Repeat("x", 100_000) + "\r\n\r\n", []mailserver.Block{block("", strings.Repeat("x", 100_000))}},
		"nothing":                             {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, src := range []io.Reader{strings.NewReader(c.stream), iotest.OneByteReader(strings.NewReader(c.stream)), iotest.DataErrReader(strings.NewReader(c.stream))} {
				got, _, err := mailserver.Blocks(src)
				if !reflect.DeepEqual(got, c.want) || !errors.Is(err, io.EOF) {
					t.Errorf("got %s, %v\nwant %s", text(got), err, text(c.want))
				}
			}
		})
	}
}

func TestAPauseHasOnlyDigitsAndTheLastOneCounts(t *testing.T) {
	t.Parallel()
	stream := ""
	for _, c := range []struct {
		value string
		want  time.Duration
	}{
		{"-1", -1},
		{"1e3", -1},
		{"", -1},
		{"+5", -1},
		{"25", 25 * time.Millisecond},
		{"2s", 25 * time.Millisecond},
		{"٣", 25 * time.Millisecond},
		{" 7", 25 * time.Millisecond},
		{"0", 0},
		{strings.Repeat("9", 400), 24 * time.Hour},
		{"86400001", 24 * time.Hour},
	} {
		stream += "retry: " + c.value + "\n"
		if _, got, _ := mailserver.Blocks(strings.NewReader(stream)); got != c.want {
			t.Errorf("%q gave %v, want %v", c.value, got, c.want)
		}
	}
}

// A stream that never ends a line must not fill the memory of the program that reads it.
func TestWhatIsTooLongIsRefusedAndNotKept(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("x", mailserver.MaxBlock-len("data: "))
	if got, _, err := mailserver.Blocks(strings.NewReader("data: " + full + "\n\n")); len(got) != 1 || *got[0].Data != full || !errors.Is(err, io.EOF) {
		t.Errorf("the longest line gave %d events, %v", len(got), err)
	}
	for name, piece := range map[string]string{"a line": "x", "an event": "data: xxxxxxxxxx\n", "an event of empty lines": "data\n"} {
		got, _, err := mailserver.Blocks(&endless{piece: piece})
		if len(got) != 0 || err == nil || !strings.Contains(err.Error(), "1 MiB") {
			t.Errorf("%s without an end gave %d events, %v", name, len(got), err)
		}
	}
}

// endless says the same for ever, which a test would notice after 64 MiB.
type endless struct {
	piece string
	n     int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n += len(p); e.n > 64<<20 {
		return 0, errors.New("it read on and on")
	}
	return copy(p, strings.Repeat(e.piece, len(p)/len(e.piece)+1)), nil
}

// byTheBook reads a stream in the words of the standard, as simply as they can be written: the whole text, its lines, its fields.
func byTheBook(stream string) (blocks []mailserver.Block, pause time.Duration) {
	pause = -1
	stream = strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(stream, "\ufeff"), "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	var b mailserver.Block
	for _, line := range lines[:len(lines)-1] {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if b.Data != nil || b.ID != nil {
				blocks = append(blocks, b)
			}
			b = mailserver.Block{}
		case name == "event":
			b.Kind = value
		case name == "data" && b.Data == nil:
			b.Data = &value
		case name == "data":
			b.Data = new(*b.Data + "\n" + value)
		case name == "id" && !strings.Contains(value, "\x00"):
			b.ID = &value
		case name == "retry" && value != "" && strings.Trim(value, "0123456789") == "":
			ms, err := strconv.ParseInt(value, 10, 64)
			if pause = time.Duration(ms) * time.Millisecond; err != nil || ms > 86_400_000 {
				pause = 24 * time.Hour
			}
		}
	}
	return blocks, pause
}

// pieces reads in pieces of chance sizes.
type pieces struct {
	src  io.Reader
	size *rand.Rand
}

func (p pieces) Read(into []byte) (int, error) {
	return p.src.Read(into[:min(len(into), 1+p.size.IntN(8))])
}

// Any stream in any pieces gives what the standard says.
func FuzzStreamParser(f *testing.F) {
	for i, stream := range []string{
		"", "data: a\n\n", "\ufeffid: 7\r\nevent: t\r\ndata: a\r\n\r\n", "data\r\rretry: 12\n\n", ":\n\n: ping\n\nid:\x00\nid\ndata:\n\n", "retry: 99999999999999999999\n",
		"id: AAAA\nevent: stream.open\nretry: 2000\ndata: {}\n\n", "data: é€😀\xff\n\n\ufeff", "data: a\ndata: b\r\n\ndata: c",
	} {
		f.Add([]byte(stream), uint64(i))
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > mailserver.MaxBlock {
			return
		}
		want, wantPause := byTheBook(string(stream))
		src := pieces{bytes.NewReader(stream), rand.New(rand.NewPCG(seed, 0))}
		got, pause, err := mailserver.Blocks(src)
		if !errors.Is(err, io.EOF) || pause != wantPause || text(got) != text(want) {
			t.Errorf("%q gave %s, %v, %v\nwant %s, %v", stream, text(got), pause, err, text(want), wantPause)
		}
	})
}
