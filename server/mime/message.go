package mime

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Message is what Scan learned about a message. It is stored beside the message (Encode, Decode), so it holds offsets and
// short strings, never bodies. All strings are valid UTF-8 without control characters.
type Message struct {
	// Root is the message itself as a part; never nil.
	Root *Part `json:"r"`
	// Envelope is the ENVELOPE of the message; never nil.
	Envelope *Envelope `json:"v"`
	// Prefix is the number of octets of trace header in front of the scanned bytes (WithPrefix). Offsets in parts do not
	// include it; Section and all functions that take a reader do.
	Prefix int64 `json:"x,omitempty"`
	// Size is the size of the message in octets, Prefix included.
	Size int64 `json:"z"`
	// Preview is the beginning of the text, at most 200 runes, white space collapsed.
	Preview string `json:"w,omitempty"`
	// References are the message ids of the References field, without angle brackets, oldest first, at most 100: the first
	// and the last ones.
	References []string `json:"rf,omitempty"`
	// Attachments are the decoded file names of the attachments, at most 50, each at most 255 octets, without folders.
	Attachments []string `json:"at,omitempty"`
	// Duplicates are the fields that may occur once but occur again (RFC 5322 §3.6), in lower case. The first one is used.
	Duplicates []string `json:"d,omitempty"`
	// Received is the number of Received fields.
	Received int `json:"rc,omitempty"`
	// Faults are the oddities of the top-level header and the structure.
	Faults Fault `json:"f,omitempty"`
	// Limits names the limits that were hit (LimitDepth ...). Parts beyond them are opaque.
	Limits []string `json:"l,omitempty"`
}

// Fault is a set of oddities. None of them stops the scanner; callers decide what to refuse (mail-rules I-46, S-7).
type Fault uint32

// The faults. The values are stored: append only.
const (
	// FaultNoFrom says there is no From field.
	FaultNoFrom Fault = 1 << iota
	// FaultSeveralFrom says there is more than one From field.
	FaultSeveralFrom
	// FaultFromNoAddress says the From field has no address with a local part and a domain.
	FaultFromNoAddress
	// FaultRaw8Bit says the top-level header has octets above 127 that are not encoded words.
	FaultRaw8Bit
	// FaultJunkLine says the top-level header has a line that is neither a field nor a continuation.
	FaultJunkLine
	// FaultNoBlankLine says the top-level header runs to the end of the message.
	FaultNoBlankLine
	// FaultNoDate says there is no Date field.
	FaultNoDate
	// FaultNoMessageID says there is no Message-ID field, or no id in it.
	FaultNoMessageID
	// FaultBareLF says a line ends in LF without CR.
	FaultBareLF
	// FaultNUL says the top-level header has a NUL.
	FaultNUL
	// FaultEmptyMultipart says a multipart had no part or no usable boundary and is treated as text/plain.
	FaultEmptyMultipart
	// FaultUnclosed says a multipart ends without its closing boundary.
	FaultUnclosed
)

// Has reports whether all of the given faults are in the set.
func (f Fault) Has(other Fault) bool { return f&other == other }

// Names gives one word per fault of the set, for logs and the API.
func (f Fault) Names() []string {
	words := [...]string{
		"no_from", "several_from", "from_without_address", "raw_8bit", "junk_line", "no_blank_line", "no_date",
		"no_message_id", "bare_lf", "nul", "empty_multipart", "unclosed_multipart",
	}
	var names []string
	for i, word := range words {
		if f&(1<<i) != 0 {
			names = append(names, word)
		}
	}
	return names
}

// WithPrefix returns a copy of m for a file in which n octets of header fields (each ended by CRLF) were put in front of the
// scanned bytes. Parts are shared with m. Lines and BODYSTRUCTURE do not change.
func (m *Message) WithPrefix(n int64) *Message {
	shifted := *m
	shifted.Size += n - m.Prefix
	shifted.Prefix = n
	return &shifted
}

// MessageID is the id of the message without angle brackets, "" if it has none.
func (m *Message) MessageID() string { return firstID(m.Envelope.MessageID) }

// InReplyTo is the first id of the In-Reply-To field without angle brackets, "" if there is none.
func (m *Message) InReplyTo() string { return firstID(m.Envelope.InReplyTo) }

// Encode gives the compact JSON form that Decode reads. It has no NUL and is valid UTF-8, so that jsonb takes it.
func (m *Message) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode message structure: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// Decode reads what Encode wrote. The error is for damaged data only.
func Decode(data []byte) (*Message, error) {
	m := new(Message)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("decode message structure: %w", err)
	}
	if m.Root == nil || m.Envelope == nil {
		return nil, fmt.Errorf("decode message structure: no root or envelope")
	}
	return m, nil
}

// ids gives the message ids of a References, In-Reply-To or Message-ID value, without angle brackets. A value without
// brackets is split at white space. At most limit ids: the first and the last ones.
func ids(value string, limit int) []string {
	var list []string
	rest := value
	for {
		_, after, ok := strings.Cut(rest, "<")
		if !ok {
			break
		}
		id, tail, ok := strings.Cut(after, ">")
		if !ok {
			break
		}
		if id = strings.TrimSpace(id); id != "" && !strings.ContainsAny(id, "< ") {
			list = append(list, id)
		}
		rest = tail
	}
	if len(list) == 0 && !strings.ContainsAny(value, "<>") {
		list = strings.Fields(value)
	}
	if len(list) > limit {
		list = append(list[:1:1], list[len(list)-limit+1:]...)
	}
	return list
}

func firstID(value string) string {
	if list := ids(value, 2); len(list) > 0 {
		return list[0]
	}
	return ""
}
