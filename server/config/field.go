package config

import (
	"reflect"
	"strings"
)

const envPrefix = "MAILSERVER_"

// field is one key of the configuration, derived from the struct.
type field struct {
	key    string
	env    string
	secret bool
	index  []int
	typ    reflect.Type
	tag    reflect.StructTag
}

// catalog is every key that this program knows.
type catalog struct {
	fields   []*field
	byKey    map[string]*field
	byEnv    map[string]*field
	sections map[string]bool
}

// newCatalog walks the structure of Config.
func newCatalog() *catalog {
	c := &catalog{byKey: map[string]*field{}, byEnv: map[string]*field{}, sections: map[string]bool{}}
	c.walk(reflect.TypeFor[Config](), "", nil)
	return c
}

func (c *catalog) walk(typ reflect.Type, prefix string, index []int) {
	for i := range typ.NumField() {
		sf := typ.Field(i)
		name := sf.Tag.Get("key")
		if name == "" {
			continue
		}
		key := prefix + name
		at := append(append([]int{}, index...), i)
		if sf.Type.Kind() == reflect.Struct {
			c.sections[key] = true
			c.walk(sf.Type, key+".", at)
			continue
		}
		f := &field{
			key:    key,
			env:    envName(key),
			secret: sf.Tag.Get("secret") == "true",
			index:  at,
			typ:    sf.Type,
			tag:    sf.Tag,
		}
		c.fields = append(c.fields, f)
		c.byKey[f.key] = f
		c.byEnv[f.env] = f
	}
}

// envName is the environment variable of a key.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// find returns the field of a key, or of the key whose secret the named file
// holds (database_url_file).
func (c *catalog) find(key string) (f *field, fromFile bool) {
	return find(c.byKey, key, "_file")
}

// findEnv is find for names of environment variables.
func (c *catalog) findEnv(name string) (f *field, fromFile bool) {
	return find(c.byEnv, name, "_FILE")
}

func find(by map[string]*field, name, suffix string) (*field, bool) {
	if f := by[name]; f != nil {
		return f, false
	}
	if base, ok := strings.CutSuffix(name, suffix); ok {
		if f := by[base]; f != nil && f.secret {
			return f, true
		}
	}
	return nil, false
}

// defaultText is the field's default in the form of the environment.
func (f *field) defaultText(set Set) string {
	if set == Dev {
		if text, ok := f.tag.Lookup("dev"); ok {
			return text
		}
	}
	return f.tag.Get("default")
}

// planned are keys, or sections with all below them, that are part of the
// contract and whose feature this version does not have.
func planned() []string {
	return []string{
		"body.s3",
		"inbound.dkim",
		"inbound.dmarc",
		"inbound.greylist",
		"inbound.spf",
		"outbound.mta_sts",
		"tls.acme",
		"webhooks",
	}
}

func isPlanned(key string) bool {
	for _, p := range planned() {
		if key == p || strings.HasPrefix(key, p+".") {
			return true
		}
	}
	return false
}

func isPlannedEnv(name string) bool {
	for _, p := range planned() {
		if env := envName(p); name == env || strings.HasPrefix(name, env+"_") {
			return true
		}
	}
	return false
}
