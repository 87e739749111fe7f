package api

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// Bounds of what a body of JSON may hold. The library makes a value of each of its elements, and an error of each that is wrong,
// before it looks at how many there are: some megabytes of "0," would become gigabytes.
const (
	// maxDepth bounds how deep arrays and objects lie in each other (S-41).
	maxDepth = 32
	// maxElements bounds the elements of one array and the fields of one object.
	maxElements = 1000
	// maxValues bounds all values of one body, and of one email of a batch; maxBatchValues those of a batch.
	maxValues      = 20_000
	maxBatchValues = 500_000
)

var errDeep = errors.New("the JSON is nested too deep")

// crowdedError says that there are too many values, and where.
type crowdedError struct {
	place string
	most  int
}

// Error implements error. The text is how the error passes through the library, which keeps nothing else of it.
func (e *crowdedError) Error() string {
	return fmt.Sprintf("%s%d in %s", crowdedMessage, e.most, e.place)
}

// crowdedMessage begins the text of a crowdedError.
const crowdedMessage = "more values than "

// crowdedPlace gives the finding that the text of a crowdedError tells; ok is false for any other text.
func crowdedPlace(text string) (found ProblemError, ok bool) {
	text, ok = strings.CutPrefix(text, crowdedMessage)
	most, place, _ := strings.Cut(text, " in ")
	return ProblemError{Location: cleanLocation(place), Message: "has more than " + most + " values", Code: "validation-failed"}, ok
}

// fault is the error as a service would say it.
func (e *crowdedError) fault() *fault.Error {
	found, _ := crowdedPlace(e.Error())
	return located(found.Location, found.Message)
}

// shapely refuses JSON of more values than any operation takes, and what is nested too deep, before it is decoded.
func shapely(data []byte) error {
	return (&shape{values: maxValues, elements: maxElements}).check(data)
}

// tooDeep reports whether arrays and objects are nested too deep.
func tooDeep(data []byte) bool { return errors.Is((&shape{}).check(data), errDeep) }

// shape counts the values of a JSON text without decoding it; what is no JSON is left to the decoder. A bound of 0 is none.
type shape struct {
	values, elements int

	seen  int
	depth int
	stack [maxDepth]container
}

// container is an array or object that is open.
type container struct {
	array  bool
	commas int
	text   []byte // the string that was read last
	key    []byte // the field of which the value is being read
}

func (s *shape) check(data []byte) error {
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '"':
			end := stringEnd(data[i+1:])
			if s.depth > 0 {
				s.stack[s.depth-1].text = data[i+1 : i+max(end, 1)] // without its closing quote
			}
			i += end
		case ':':
			if s.depth > 0 {
				s.stack[s.depth-1].key = s.stack[s.depth-1].text
			}
		case '{', '[':
			if err := s.open(c == '['); err != nil {
				return err
			}
		case '}', ']':
			s.depth = max(s.depth-1, 0)
		case ',':
			if err := s.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shape) open(array bool) error {
	if s.depth == maxDepth {
		return errDeep
	}
	s.stack[s.depth] = container{array: array}
	s.depth++
	return s.count()
}

// next goes on to the next element of the innermost container.
func (s *shape) next() error {
	if s.depth == 0 {
		return nil
	}
	top := &s.stack[s.depth-1]
	if top.commas++; s.elements > 0 && top.commas >= s.elements {
		return &crowdedError{s.place(s.depth - 1), s.elements}
	}
	return s.count()
}

func (s *shape) count() error {
	if s.seen++; s.values > 0 && s.seen > s.values {
		return &crowdedError{s.place(0), s.values}
	}
	return nil
}

// place names the container at a depth as findings do: body.to, body[3].
func (s *shape) place(depth int) string {
	var b strings.Builder
	b.WriteString("body")
	for _, c := range s.stack[:depth] {
		if c.array {
			fmt.Fprintf(&b, "[%d]", c.commas)
		} else {
			fmt.Fprintf(&b, ".%s", c.key)
		}
	}
	return b.String()
}

// stringEnd gives how far the closing quote is.
func stringEnd(data []byte) int {
	for i := 0; i < len(data); i++ {
		at := bytes.IndexAny(data[i:], "\\\"")
		if at < 0 {
			return len(data)
		}
		if i += at; data[i] == '"' {
			return i + 1
		}
		i++ // the escaped octet
	}
	return len(data)
}
