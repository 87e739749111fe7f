package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// raw is a value as it was written: one text, a list, or pairs.
type raw struct {
	text  string
	list  []string
	pairs map[string]string
	shape shape
}

type shape int

const (
	// shapeFlat is text that also stands for a list or pairs, as in the environment.
	shapeFlat shape = iota
	shapeScalar
	shapeList
	shapePairs
)

// String is how the value is shown in an error.
func (r raw) String() string {
	switch r.shape {
	case shapeList:
		return strings.Join(r.list, ",")
	case shapePairs:
		return joinPairs(r.pairs)
	case shapeFlat, shapeScalar:
	}
	return r.text
}

// fieldKind says how a value is read.
type fieldKind int

const (
	kindText fieldKind = iota
	kindBool
	kindInt
	kindSize
	kindDuration
	kindTexts
	kindPrefixes
	kindDurations
	kindPairs
)

func (f *field) kind() fieldKind {
	switch f.typ {
	case reflect.TypeFor[Size]():
		return kindSize
	case reflect.TypeFor[time.Duration]():
		return kindDuration
	case reflect.TypeFor[[]netip.Prefix]():
		return kindPrefixes
	case reflect.TypeFor[[]time.Duration]():
		return kindDurations
	}
	switch f.typ.Kind() {
	case reflect.Bool:
		return kindBool
	case reflect.Int:
		return kindInt
	case reflect.Slice:
		return kindTexts
	case reflect.Map:
		return kindPairs
	default:
		return kindText
	}
}

func (k fieldKind) isNumber() bool { return k == kindInt || k == kindSize || k == kindDuration }

func (k fieldKind) isList() bool { return k == kindTexts || k == kindPrefixes || k == kindDurations }

// parse reads a value that somebody wrote. keep is false when the value stands
// for the default. The error says only what is wrong with the value.
func (f *field) parse(r raw) (v any, keep bool, err error) {
	kind := f.kind()
	switch {
	case kind == kindPairs:
		v, err = parsePairs(r)
		return v, err == nil, err
	case kind.isList():
		v, err = f.parseList(r)
		return v, err == nil, err
	case r.shape == shapeList || r.shape == shapePairs:
		return nil, false, errors.New("is not a single value")
	case r.text == "":
		// An empty listener is off; every other empty scalar is the default.
		return "", f.tag.Get("check") == "listen", nil
	}
	v, err = f.parseScalar(r.text)
	if err != nil {
		return nil, false, err
	}
	if kind.isNumber() && reflect.ValueOf(v).Int() == 0 {
		return v, f.zeroIsOff(), nil
	}
	return v, true, f.checkRange(v)
}

func (f *field) zeroIsOff() bool {
	return f.tag.Get("zero") == "off" || f.tag.Get("lift") == "true"
}

func (f *field) parseScalar(text string) (any, error) {
	switch f.kind() {
	case kindBool:
		return parseBool(text)
	case kindInt:
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return nil, errors.New("is not a whole number")
		}
		return int(n), nil
	case kindSize:
		return ParseSize(text)
	case kindDuration:
		return parseDuration(text)
	case kindText, kindTexts, kindPrefixes, kindDurations, kindPairs:
	}
	return text, f.checkText(text)
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errors.New("is not a duration like 90s, 5m or 2h")
	}
	return d, nil
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("is not true or false")
}

// checkRange holds a non-zero number against the field's min and max.
func (f *field) checkRange(v any) error {
	if !f.kind().isNumber() {
		return nil
	}
	return f.checkBounds(reflect.ValueOf(v).Int(), f.parseScalar)
}

// checkBounds holds a number against min and max, which parse reads.
func (f *field) checkBounds(n int64, parse func(string) (any, error)) error {
	for _, bound := range []string{"min", "max"} {
		text := f.tag.Get(bound)
		if text == "" {
			continue
		}
		limit, err := parse(text)
		if err != nil {
			return fmt.Errorf("cannot be compared with %s", text)
		}
		switch m := reflect.ValueOf(limit).Int(); {
		case bound == "min" && n < m:
			return fmt.Errorf("is less than the lowest allowed value %s", text)
		case bound == "max" && n > m:
			return fmt.Errorf("is more than the highest allowed value %s", text)
		}
	}
	return nil
}

func (f *field) parseList(r raw) (any, error) {
	items := r.list
	switch r.shape {
	case shapeFlat:
		items = splitComma(r.text)
	case shapeScalar:
		if r.text != "" {
			return nil, errors.New("is not a list")
		}
	case shapePairs:
		return nil, errors.New("is not a list")
	case shapeList:
	}
	switch f.kind() {
	case kindPrefixes:
		return parsePrefixes(items)
	case kindDurations:
		return f.parseDurations(items)
	default:
	}
	for _, item := range items {
		if err := f.checkText(item); err != nil {
			return nil, fmt.Errorf("has the item %q, which %w", printable(item), err)
		}
	}
	return items, nil
}

func (f *field) parseDurations(items []string) (any, error) {
	var list []time.Duration
	for _, item := range items {
		d, err := parseDuration(item)
		if err == nil {
			err = f.checkBounds(int64(d), func(bound string) (any, error) { return parseDuration(bound) })
		}
		if err != nil {
			return nil, fmt.Errorf("has the item %q, which %w", printable(item), err)
		}
		list = append(list, d)
	}
	return list, nil
}

func parsePrefixes(items []string) (any, error) {
	var list []netip.Prefix
	for _, item := range items {
		p, err := netip.ParsePrefix(item)
		if err != nil {
			return nil, fmt.Errorf("has the item %q, which is not a network like 10.0.0.0/8", printable(item))
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

func parsePairs(r raw) (any, error) {
	switch r.shape {
	case shapePairs:
		return r.pairs, nil
	case shapeFlat, shapeScalar:
		if r.text == "" {
			return map[string]string(nil), nil
		}
	case shapeList:
	}
	if r.shape != shapeFlat {
		return nil, errors.New("is not a mapping of names to values")
	}
	pairs := map[string]string{}
	for _, item := range splitComma(r.text) {
		name, value, ok := strings.Cut(item, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, fmt.Errorf("has the item %q, which is not name=value", printable(item))
		}
		if _, twice := pairs[name]; twice {
			return nil, fmt.Errorf("names %q twice", printable(name))
		}
		pairs[name] = value
	}
	return pairs, nil
}

// splitComma splits at commas, trims blanks and drops empty items.
func splitComma(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// format writes a value in the form of the environment.
func format(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return formatDuration(v)
	case []string:
		return strings.Join(v, ",")
	case []netip.Prefix:
		list := make([]string, len(v))
		for i, p := range v {
			list[i] = p.String()
		}
		return strings.Join(list, ",")
	case []time.Duration:
		list := make([]string, len(v))
		for i, d := range v {
			list[i] = formatDuration(d)
		}
		return strings.Join(list, ",")
	case map[string]string:
		return joinPairs(v)
	default:
		return fmt.Sprint(v)
	}
}

// formatDuration writes 5m, not 5m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if rest, ok := strings.CutSuffix(text, "m0s"); ok {
		text = rest + "m"
	}
	if rest, ok := strings.CutSuffix(text, "h0m"); ok {
		text = rest + "h"
	}
	return text
}

func joinPairs(pairs map[string]string) string {
	list := make([]string, 0, len(pairs))
	for name, value := range pairs {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}
