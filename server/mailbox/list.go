package mailbox

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// The column message.list holds what FETCH shows of a message without opening it, rendered for the wire, so that a list of a
// large mailbox is copied and not computed:
//
//	byte  0      version, 1
//	byte  1      bit 0: the message has attachments
//	byte  2      length of RFC822.SIZE, decimal digits
//	byte  3      length of INTERNALDATE, with its quotes
//	bytes 4-7    length of ENVELOPE, big endian
//	bytes 8-11   length of BODYSTRUCTURE, big endian
//	then         RFC822.SIZE, INTERNALDATE, ENVELOPE, BODYSTRUCTURE, without separators
//
// A reader that finds another version takes the values from the column meta instead.
const (
	listVersion     = 1
	listHeader      = 12
	listAttachments = 1
)

// List is a parsed list column. Its slices point into the column.
type List struct {
	Size          []byte // RFC822.SIZE
	InternalDate  []byte // INTERNALDATE with its quotes, in UTC
	Envelope      []byte // ENVELOPE
	BodyStructure []byte // BODYSTRUCTURE
	Attachments   bool
}

var errList = errors.New("damaged list column")

// internalDate is date-time of RFC 9051 §9.
const internalDate = `"_2-Jan-2006 15:04:05 -0700"`

// renderList makes the list column.
func renderList(m *mime.Message, size int64, date time.Time) []byte {
	out := make([]byte, listHeader, 1024)
	out[0] = listVersion
	if len(m.Attachments) > 0 {
		out[1] = listAttachments
	}
	out = strconv.AppendInt(out, size, 10)
	sizeEnd := len(out)
	out = date.UTC().AppendFormat(out, internalDate)
	dateEnd := len(out)
	out = mime.AppendEnvelope(out, m.Envelope)
	envelopeEnd := len(out)
	out = mime.AppendBodyStructure(out, m.Root, true)
	out[2], out[3] = byte(sizeEnd-listHeader), byte(dateEnd-sizeEnd)
	binary.BigEndian.PutUint32(out[4:], uint32(envelopeEnd-dateEnd))
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-envelopeEnd))
	return out
}

// ParseList takes a list column apart without copying. The error is for damaged data only.
func ParseList(b []byte) (List, error) {
	if len(b) < listHeader || b[0] != listVersion {
		return List{}, errList
	}
	lengths := [4]uint64{
		uint64(b[2]), uint64(b[3]), uint64(binary.BigEndian.Uint32(b[4:])), uint64(binary.BigEndian.Uint32(b[8:])),
	}
	if lengths[0]+lengths[1]+lengths[2]+lengths[3] != uint64(len(b)-listHeader) {
		return List{}, errList
	}
	rest := b[listHeader:]
	cut := func(n uint64) []byte {
		piece := rest[:n:n]
		rest = rest[n:]
		return piece
	}
	return List{
		Attachments:  b[1]&listAttachments != 0,
		Size:         cut(lengths[0]),
		InternalDate: cut(lengths[1]), Envelope: cut(lengths[2]), BodyStructure: cut(lengths[3]),
	}, nil
}

// cleanDate brings a date of a client into the range that both PostgreSQL and INTERNALDATE can show, in whole seconds.
func cleanDate(t, now time.Time) time.Time {
	if t.IsZero() || t.Unix() < 0 || t.Unix() > math.MaxUint32 {
		t = now
	}
	return t.UTC().Truncate(time.Second)
}
