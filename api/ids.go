package api

import (
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// parseID reads an id of a path or a query; where names its place.
func parseID[K mail.Kind](text, where string, into *mail.ID[K]) error {
	id, err := mail.ParseID[K](text)
	if err != nil {
		var kind K
		return fault.New(fault.Malformed, "invalid-id", "%s must be an id that begins with %s_", where, kind.Prefix()).At(where)
	}
	*into = id
	return nil
}

// optionalID is parseID for a parameter that may be absent.
func optionalID[K mail.Kind](text, where string, into *mail.ID[K]) error {
	if text == "" {
		return nil
	}
	return parseID(text, where, into)
}

// bodyID is parseID for a field of the body, where a bad id is a bad value.
func bodyID[K mail.Kind](text, where string, into *mail.ID[K]) error {
	id, err := mail.ParseID[K](text)
	if err != nil {
		var kind K
		return located(where, "must be an id that begins with "+kind.Prefix()+"_")
	}
	*into = id
	return nil
}

func idText[K mail.Kind](ids []mail.ID[K]) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}
