package config

import "reflect"

// Row is one key in the table of `mailserver config`, in the order of the struct.
type Row struct {
	Key string `json:"key"`
	// Value is in the form of the environment, hidden for a secret that is set.
	Value string `json:"value"`
	// Default is what the value would be if nobody had set it.
	Default string `json:"default"`
	// Source is "default", "file:line", "environment NAME", "flag", "machine"
	// (the name of the host) or "limits.profile none".
	Source string `json:"source"`
	// Note is a remark, usually "".
	Note string `json:"note,omitempty"`
}

const hidden = "(hidden)"

// Explain returns every key with its value, its default and who set it.
func (c *Config) Explain() []Row {
	cat, plain := newCatalog(), Default(c.set)
	plain.Hostname = ""
	rows := make([]Row, 0, len(cat.fields))
	for _, f := range cat.fields {
		rows = append(rows, Row{
			Key:     f.key,
			Value:   f.show(c),
			Default: f.show(plain),
			Source:  c.origins[f.key].where,
			Note:    f.tag.Get("note"),
		})
	}
	return rows
}

// show writes the field's value in c.
func (f *field) show(c *Config) string {
	text := format(reflect.ValueOf(c).Elem().FieldByIndex(f.index).Interface())
	if f.secret && text != "" {
		return hidden
	}
	return text
}
