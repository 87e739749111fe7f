package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	mrand "math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// The sizes of letters in bytes.
const (
	small  = 4 << 10
	medium = 50 << 10
	large  = 1 << 20
)

// headRoom is about what the header takes of the size of a letter.
const headRoom = 400

// mix says which size the n-th letter has.
type mix func(n int) int

// everyday is 70 % small, 25 % medium and 5 % large letters, exactly so in every hundred.
func everyday(n int) int {
	switch at := n * 37 % 100; { // 37 has no divisor in common with 100: every value comes once in a hundred
	case at < 70:
		return small
	case at < 95:
		return medium
	default:
		return large
	}
}

func onlySmall(int) int { return small }

// mostlySmall is 95 % small and 5 % medium letters: an old mailbox.
func mostlySmall(n int) int {
	if n%20 == 7 {
		return medium
	}
	return small
}

// filler is the part of a body that all letters of one size share.
type filler struct {
	kind  string // Content-Type
	plain []byte // as it is stored
	wire  []byte // the same with the dots of RFC 5321 §4.5.2
}

// paper holds the fillers. It is made once for a run and never changes.
type paper map[int]filler

const boundary = "=_a boundary that no line of a letter has"

// newPaper makes the fillers, the same ones in every run.
func newPaper() paper {
	p := paper{}
	dice := mrand.New(mrand.NewPCG(1, 1)) //nolint:gosec // the same letters in every run, on purpose
	for _, size := range []int{small, medium} {
		p[size] = newFiller("text/plain; charset=utf-8", prose(dice, size-headRoom))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", boundary, prose(dice, 2<<10))
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: application/octet-stream; name=\"figures.bin\"\r\n"+
		"Content-Disposition: attachment; filename=\"figures.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary)
	line := make([]byte, 57)
	for b.Len() < large-2*headRoom {
		for i := range line {
			line[i] = byte(dice.Uint32())
		}
		b.WriteString(base64.StdEncoding.EncodeToString(line) + "\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	p[large] = newFiller(`multipart/mixed; boundary="`+boundary+`"`, b.Bytes())
	return p
}

func newFiller(kind string, plain []byte) filler {
	return filler{kind, plain, stuff(plain)}
}

// stuff doubles the dots at the begin of lines.
func stuff(plain []byte) []byte {
	wire := bytes.ReplaceAll(plain, []byte("\n."), []byte("\n.."))
	if bytes.HasPrefix(wire, []byte(".")) {
		wire = append([]byte("."), wire...)
	}
	return wire
}

// prose makes about size bytes of lines. Some of them are what servers are known to change: a dot alone, "From " at the begin,
// spaces at the end, an empty line.
func prose(dice *mrand.Rand, size int) []byte {
	traps := []string{".", "..", ". begins with a dot", "From here on nothing is escaped", "ends with spaces   ", "", ">From"}
	words := strings.Fields("about above answer autumn bridge candle corner cotton dinner engine evening family figure garden harbour " +
		"island kitchen ladder letter little market mirror morning mountain number orange paper pencil picture question river " +
		"saddle season silver station summer thunder ticket travel valley village window winter yellow")
	var b bytes.Buffer
	for lines := 0; b.Len() < size; lines++ {
		if lines%16 == 5 {
			b.WriteString(traps[lines/16%len(traps)] + "\r\n")
			continue
		}
		begin := b.Len()
		for b.Len()-begin < 60 {
			b.WriteString(words[dice.IntN(len(words))])
			b.WriteByte(' ')
		}
		b.WriteString("and so on.\r\n")
	}
	return b.Bytes()
}

// letter is one message with its envelope.
type letter struct {
	id       string
	from, to string
	filler   filler
}

// series makes the letters of one measure. Their ids begin with a word of their own.
type series struct {
	paper paper
	name  string
	mix   mix
}

func newSeries(p paper, m mix) series {
	return series{p, "b" + strings.ToLower(rand.Text()[:10]), m}
}

// seriesOf gives the name of the series that an id belongs to.
func seriesOf(id string) string {
	name, _, _ := strings.Cut(id, "-")
	return name
}

func (s series) letter(n int, from, to string) letter {
	return letter{s.name + "-" + strconv.Itoa(n), from, to, s.paper[s.mix(n)]}
}

// firstLine is what makes every body different.
func (l letter) firstLine() string { return "Letter " + l.id + " to " + l.to + ".\r\n" }

// header is the header with the empty line that ends it.
func (l letter) header() string {
	return "From: Bench <" + l.from + ">\r\nTo: <" + l.to + ">\r\nSubject: " + subject + l.id + "\r\nDate: " +
		time.Now().UTC().Format(time.RFC1123Z) + "\r\nMessage-ID: <" + l.id + "@bench.invalid>\r\nMIME-Version: 1.0\r\nContent-Type: " +
		l.filler.kind + "\r\n\r\n"
}

// subject stands before the id.
const subject = "bench letter "

// sum is what the body must have when it is found.
func (l letter) sum() [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(l.firstLine()))
	h.Write(l.filler.plain)
	return [sha256.Size]byte(h.Sum(nil))
}

// finding is a letter as it was found in a mailbox or at the sink.
type finding struct {
	id  string // empty when the subject holds none
	to  string // the mailbox or the recipient
	sum [sha256.Size]byte
}

// recognise reads the id and the sum of the body from the bytes of a message.
func recognise(to string, raw []byte) finding {
	header, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	f := finding{to: to, sum: sha256.Sum256(body)}
	for line := range bytes.Lines(header) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(name, []byte("subject")) {
			continue
		}
		if id, ok := strings.CutPrefix(string(bytes.TrimSpace(value)), strings.TrimSpace(subject)); ok {
			f.id = strings.TrimSpace(id)
		}
	}
	return f
}

// round keeps four digits: more would only pretend.
func round(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if scale < 1 {
		scale = 1
	}
	return math.Round(v*scale) / scale
}
