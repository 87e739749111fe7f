package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// AddressInput is an address in one of its forms: "a@b.test", "Name <a@b.test>" or {"email": ..., "name": ...}. Text that is no
// address becomes the null address, which the flow refuses with its place.
type AddressInput outbound.Party

// NamedAddress is the object form of an address.
type NamedAddress struct {
	Email string `json:"email" example:"shop@example.test" maxLength:"320" doc:"The address."`
	Name  string `json:"name,omitempty" example:"Shop" maxLength:"512" doc:"The display name."`
}

// Schema implements huma.SchemaProvider.
func (AddressInput) Schema(r huma.Registry) *huma.Schema {
	return named(r, "AddressInput", &huma.Schema{
		OneOf:    []*huma.Schema{addressText(), r.Schema(reflect.TypeFor[NamedAddress](), true, "NamedAddress")},
		Examples: []any{"Shop <shop@example.test>"},
	})
}

// named puts a schema under a name of its own, so that generated clients have a type for it.
func named(r huma.Registry, name string, s *huma.Schema) *huma.Schema {
	s.PrecomputeMessages()
	r.Map()[name] = s
	return &huma.Schema{Ref: schemaPrefix + name}
}

func addressText() *huma.Schema {
	most := 900
	return &huma.Schema{Type: huma.TypeString, MaxLength: &most}
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *AddressInput) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '{' {
		var named NamedAddress
		if err := json.Unmarshal(raw, &named); err != nil {
			return err
		}
		*a = AddressInput(party(named.Name, named.Email))
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	*a = AddressInput(parseParty(text))
	return nil
}

// parseParty reads "Name <a@b>" or "a@b".
func parseParty(text string) outbound.Party {
	text = strings.Trim(text, " \t")
	open := strings.LastIndexByte(text, '<')
	if open < 0 || !strings.HasSuffix(text, ">") {
		return party("", text)
	}
	name := strings.Trim(text[:open], " \t")
	if len(name) >= 2 && name[0] == '"' && name[len(name)-1] == '"' {
		name = strings.ReplaceAll(strings.ReplaceAll(name[1:len(name)-1], `\"`, `"`), `\\`, `\`)
	}
	return party(name, text[open+1:len(text)-1])
}

func party(name, email string) outbound.Party {
	address, err := mail.ParseAddress(strings.Trim(email, " \t"))
	if err != nil {
		return outbound.Party{Name: name}
	}
	return outbound.Party{Name: name, Address: address}
}

// AddressesInput is one address or a list of them.
type AddressesInput []AddressInput

// Schema implements huma.SchemaProvider.
func (AddressesInput) Schema(r huma.Registry) *huma.Schema {
	most := 1000
	one := AddressInput{}.Schema(r)
	return named(r, "AddressesInput", &huma.Schema{
		OneOf:    []*huma.Schema{one, {Type: huma.TypeArray, Items: one, MaxItems: &most}},
		Examples: []any{[]any{"alice@example.test"}},
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *AddressesInput) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		var list []AddressInput
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		*a = list
		return nil
	}
	var one AddressInput
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*a = AddressesInput{one}
	return nil
}

func (a AddressesInput) parties() []outbound.Party {
	out := make([]outbound.Party, len(a))
	for i, one := range a {
		out[i] = outbound.Party(one)
	}
	return out
}

// HeadersInput are header fields: an object of names and values, or a list of pairs.
type HeadersInput []outbound.Header

// HeaderPair is one header field.
type HeaderPair struct {
	Name  string `json:"name" example:"X-Order" maxLength:"76" doc:"The field's name."`
	Value string `json:"value" example:"42" maxLength:"8192" doc:"The field's value, on one line."`
}

// Schema implements huma.SchemaProvider.
func (HeadersInput) Schema(r huma.Registry) *huma.Schema {
	most := 100
	return named(r, "HeadersInput", &huma.Schema{
		OneOf: []*huma.Schema{
			{Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeString}},
			{Type: huma.TypeArray, Items: r.Schema(reflect.TypeFor[HeaderPair](), true, "HeaderPair"), MaxItems: &most},
		},
		Examples: []any{map[string]any{"X-Order": "42"}},
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *HeadersInput) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		var pairs []HeaderPair
		if err := json.Unmarshal(raw, &pairs); err != nil {
			return err
		}
		*h = make(HeadersInput, len(pairs))
		for i, p := range pairs {
			(*h)[i] = outbound.Header(p)
		}
		return nil
	}
	var object map[string]string
	if err := json.Unmarshal(raw, &object); err != nil {
		return err
	}
	*h = make(HeadersInput, 0, len(object))
	for name, value := range object {
		*h = append(*h, outbound.Header{Name: name, Value: value})
	}
	slices.SortFunc(*h, func(a, b outbound.Header) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// TagInput is a label with its value.
type TagInput struct {
	Name  string `json:"name" example:"kind" minLength:"1" maxLength:"256" doc:"The label's name."`
	Value string `json:"value,omitempty" example:"receipt" maxLength:"256" doc:"The label's value."`
}

// TagsInput are labels: names, or names with values.
type TagsInput []outbound.Tag

// Schema implements huma.SchemaProvider.
func (TagsInput) Schema(r huma.Registry) *huma.Schema {
	most, length := 10, 256
	return named(r, "TagsInput", &huma.Schema{
		Type: huma.TypeArray, MaxItems: &most,
		Items: &huma.Schema{OneOf: []*huma.Schema{
			{Type: huma.TypeString, MaxLength: &length}, r.Schema(reflect.TypeFor[TagInput](), true, "TagInput"),
		}},
		Examples: []any{[]any{map[string]any{"name": "kind", "value": "receipt"}}},
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *TagsInput) UnmarshalJSON(raw []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	*t = make(TagsInput, 0, len(list))
	for _, item := range list {
		var name string
		var pair TagInput
		if err := json.Unmarshal(item, &name); err == nil {
			pair.Name = name
		} else if err := json.Unmarshal(item, &pair); err != nil {
			return errors.New("a tag is text or an object with name and value")
		}
		*t = append(*t, outbound.Tag(pair))
	}
	return nil
}
