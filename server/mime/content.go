package mime

import (
	"strings"
)

// contentField takes a Content- field into the part.
func (s *scanner) contentField(value string) {
	h := &s.header
	p := h.part
	switch h.kind { //nolint:exhaustive // the caller has checked that it is one of these
	case fieldContentType:
		h.typed = true
		s.contentType(p, value)
	case fieldContentEncoding:
		if p.Encoding = truncate(strings.ToLower(firstWord(value)), maxType); p.Encoding == "7bit" {
			p.Encoding = ""
		}
	case fieldContentDisposition:
		s.disposition(p, value)
	case fieldContentID:
		p.ID = s.keep(value)
	case fieldContentDescription:
		p.Description = s.keep(value)
	case fieldContentLanguage:
		for tag := range strings.SplitSeq(value, ",") {
			if tag = strings.TrimSpace(tag); tag != "" && len(p.Language) < maxLanguages {
				p.Language = append(p.Language, s.keep(tag))
			}
		}
	case fieldContentLocation:
		p.Location = s.keep(value)
	case fieldContentMD5:
		p.MD5 = s.keep(value)
	}
}

// contentType reads a Content-Type; media types are short and always kept. One that cannot be understood means text/plain (RFC 2045 §5.2).
func (s *scanner) contentType(p *Part, value string) {
	media, params, over := parseParams(value)
	if over {
		s.limit(LimitParams)
	}
	p.Params = s.keepParams(params)
	major, minor, ok := strings.Cut(media, "/")
	if ok && isToken(major) && isToken(minor) && len(media) <= maxType {
		p.Type, p.Subtype = major, minor
	}
	if len(p.Params) < len(params) && p.IsMultipart() {
		s.header.sealed = LimitMeta // the boundary may be missing
	}
}

// disposition reads a Content-Disposition. One without a type is an attachment (RFC 2183 §2.8).
func (s *scanner) disposition(p *Part, value string) {
	kind, params, over := parseParams(value)
	if strings.Contains(kind, "=") {
		kind, params, over = parseParams("attachment;" + value)
	}
	if over {
		s.limit(LimitParams)
	}
	if !isToken(kind) || len(kind) > maxType {
		kind = "attachment"
	}
	p.Disposition, p.DispParams = kind, s.keepParams(params)
}

func (s *scanner) keepParams(list []Param) []Param {
	kept := list[:0]
	for _, p := range list {
		const overhead = 16
		if s.meta < len(p.Name)+len(p.Value)+overhead {
			s.limit(LimitMeta)
			break
		}
		s.meta -= len(p.Name) + len(p.Value) + overhead
		kept = append(kept, p)
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// envelopeField takes a field into the envelope. The first field of a name counts, but recipients are collected.
func (s *scanner) envelopeField(e *Envelope, raw []byte, first bool) {
	switch kind := s.header.kind; kind {
	case fieldTo:
		s.addresses(&e.To, raw)
	case fieldCc:
		s.addresses(&e.Cc, raw)
	case fieldBcc:
		s.addresses(&e.Bcc, raw)
	default:
		if first {
			s.singleField(e, kind, raw)
		}
	}
}

func (s *scanner) singleField(e *Envelope, kind field, raw []byte) {
	switch kind { //nolint:exhaustive // the others are not of the envelope
	case fieldFrom:
		s.addresses(&e.From, raw)
	case fieldSender:
		s.addresses(&e.Sender, raw)
	case fieldReplyTo:
		s.addresses(&e.ReplyTo, raw)
	case fieldDate:
		s.text(&e.Date, &e.Blank, BlankDate, raw)
	case fieldSubject:
		s.text(&e.Subject, &e.Blank, BlankSubject, raw)
	case fieldInReplyTo:
		s.text(&e.InReplyTo, &e.Blank, BlankInReplyTo, raw)
	case fieldMessageID:
		s.text(&e.MessageID, &e.Blank, BlankMessageID, raw)
	case fieldReferences:
		if s.header.entity.root {
			for _, id := range ids(clean(raw), maxReferences) {
				if id = s.keep(id); id != "" {
					s.msg.References = append(s.msg.References, id)
				}
			}
		}
	}
}

func (s *scanner) text(dst *string, blank *BlankField, bit BlankField, raw []byte) {
	value := clean(raw)
	if value == "" {
		*blank |= bit
	}
	*dst = s.keep(value)
}

func (s *scanner) addresses(dst *[]EnvelopeAddress, raw []byte) {
	list, over := ParseAddressList(string(raw))
	if len(list) > 0 && len(*dst) > 0 && len(list)+len(*dst) > MaxAddresses {
		list, over = nil, true // a repeated field
	}
	if over {
		s.limit(LimitAddresses)
	}
	for i := range list {
		const overhead = 24
		size := len(list[i].Name) + len(list[i].Route) + len(list[i].Mailbox) + len(list[i].Host) + overhead
		if s.meta < size {
			s.limit(LimitMeta)
			list = nil // a part of a list would be read as the whole
			break
		}
		s.meta -= size
	}
	*dst = append(*dst, list...)
}
