package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Set chooses between the defaults of `mailserver serve` and `mailserver dev`.
type Set int

// The two sets of defaults.
const (
	Serve Set = iota
	Dev
)

// Source is where a configuration comes from. What comes later overrides:
// defaults, File, Environ, Flags.
type Source struct {
	// File is the path of a YAML file, "" for none. A named file must exist.
	File string
	// Environ is NAME=value texts, of which those with MAILSERVER_ matter.
	// Callers pass Environ().
	Environ []string
	// Flags maps keys (data_dir) to values in the form of the environment.
	Flags map[string]string
	// Defaults is the set of defaults.
	Defaults Set
	// MachineName stands for an empty hostname. "" asks the system.
	MachineName string
}

const (
	maxFileBytes   = 1 << 20
	maxSecretBytes = 64 << 10
)

// origin says who set a key.
type origin struct {
	// where is the text for `mailserver config`: "default", "config.yaml:3", ...
	where string
	// file, line and name are those of an Error about the value.
	file string
	line int
	name string
	// explicit is false for defaults and what follows from them.
	explicit bool
}

type loader struct {
	cat  *catalog
	cfg  *Config
	errs Errors
}

// Load reads, merges and checks a configuration. The error is an Errors with
// every fault that was found.
func Load(src Source) (*Config, error) {
	l := &loader{cat: newCatalog(), cfg: &Config{origins: map[string]origin{}, set: src.Defaults}}
	l.defaults()
	l.file(src.File)
	l.environ(src.Environ)
	l.flags(src.Flags)
	l.complete(src)
	if len(l.errs) > 0 {
		return nil, l.errs
	}
	return l.cfg, nil
}

// Default returns the configuration when nobody sets anything, for a machine
// called localhost.
func Default(set Set) *Config {
	l := &loader{cat: newCatalog(), cfg: &Config{origins: map[string]origin{}, set: set}}
	l.defaults()
	l.complete(Source{Defaults: set, MachineName: "localhost"})
	return l.cfg
}

func (l *loader) defaults() {
	for _, f := range l.cat.fields {
		l.useDefault(f)
	}
}

func (l *loader) flags(flags map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		o := origin{where: "flag", file: "flags", name: key, explicit: true}
		f, fromFile := l.cat.find(key)
		if f == nil {
			l.unknown(o, key, flags[key], isPlanned(key), slices.Collect(maps.Keys(l.cat.byKey)), ".")
			continue
		}
		l.assign(f, raw{text: flags[key]}, fromFile, o)
	}
}

// assign gives a field the value that somebody wrote.
func (l *loader) assign(f *field, r raw, fromFile bool, o origin) {
	shown := r.String()
	if have := l.cfg.origins[f.key]; f.secret && have.explicit && have.file == o.file && have.name != o.name {
		l.fail(o, "", "is given here and as "+have.name+"; keep one")
		return
	}
	if fromFile && r.shape != shapeList && r.shape != shapePairs {
		secret, err := readSecret(r.text)
		if err != nil {
			l.fail(o, shown, err.Error())
			return
		}
		r = raw{text: secret}
	}
	v, keep, err := f.parse(r)
	if err != nil {
		if f.secret {
			shown = ""
		}
		l.fail(o, shown, err.Error())
		return
	}
	if !keep {
		l.useDefault(f)
		return
	}
	target := l.value(f)
	target.Set(reflect.ValueOf(v).Convert(target.Type()))
	l.cfg.origins[f.key] = o
}

// useDefault sets the field as if nobody had written anything.
func (l *loader) useDefault(f *field) {
	o := origin{where: "default", file: "defaults", name: f.key}
	target := l.value(f)
	target.SetZero()
	l.cfg.origins[f.key] = o
	v, keep, err := f.parse(raw{text: f.defaultText(l.cfg.set)})
	switch {
	case err != nil:
		l.fail(o, f.defaultText(l.cfg.set), err.Error())
	case keep:
		target.Set(reflect.ValueOf(v).Convert(target.Type()))
	}
}

func (l *loader) value(f *field) reflect.Value {
	return reflect.ValueOf(l.cfg).Elem().FieldByIndex(f.index)
}

func (l *loader) fail(o origin, value, problem string) {
	l.errs = append(l.errs, &Error{File: o.file, Line: o.line, Key: o.name, Value: value, Problem: problem})
}

// unknown reports a name that is no key: planned for later, or a slip with the
// nearest of the known names.
func (l *loader) unknown(o origin, name, value string, planned bool, known []string, sep string) {
	if looksSecret(name, value) {
		value = ""
	}
	if planned {
		l.fail(o, value, notAvailable)
		return
	}
	e := &Error{File: o.file, Line: o.line, Key: name, Value: value, Problem: unknownKey}
	if len(l.errs) < maxErrors {
		slices.Sort(known)
		e.Nearest = nearest(name, known, sep)
	}
	if f, _ := l.cat.find(e.Nearest); f != nil && f.secret {
		e.Value = ""
	}
	l.errs = append(l.errs, e)
}

// looksSecret is generous: hiding a harmless value costs little.
func looksSecret(name, value string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"pass", "secret", "token", "key", "url", "credential", "dsn"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return strings.Contains(value, "@") || strings.Contains(value, "ms_live_") || strings.Contains(value, "ms_test_")
}

// readSecret returns the content of the named file without its last line end.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	content, err := readFile(path, maxSecretBytes)
	return strings.TrimRight(string(content), "\r\n"), err
}

// readFile returns the content of a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case int64(len(content)) > limit:
		return nil, fmt.Errorf("is larger than %s", Size(limit))
	}
	return content, nil
}

// unreadable names the cause without the path, which the caller shows.
func unreadable(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
