package api

import (
	"encoding/json"
	"errors"
)

// errNull refuses null for a field of a merge patch that cannot be removed.
var errNull = errors.New(nullMessage)

// nullFields names the fields of an object that are null.
func nullFields(raw []byte) ([]string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	var out []string
	for name, value := range fields {
		if string(value) == "null" {
			out = append(out, name)
		}
	}
	return out, nil
}

// noNulls reads a merge patch of which no field can be removed.
func noNulls(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return err
	}
	nulls, err := nullFields(raw)
	if err == nil && len(nulls) > 0 {
		return errNull
	}
	return err
}
