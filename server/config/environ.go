package config

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// Environ returns the environment of the process as NAME=value texts. Nothing
// else in the program reads it.
func Environ() []string { return os.Environ() }

// Getenv returns the value of one variable in such a list, the last one given.
func Getenv(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func (l *loader) environ(environ []string) {
	vars := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, envPrefix) && !foreign(name) {
			vars[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		l.variable(name, vars[name])
	}
}

func (l *loader) variable(name, value string) {
	o := origin{where: "environment " + name, file: "environment", name: name, explicit: true}
	f, fromFile := l.cat.findEnv(name)
	if f == nil {
		l.unknown(o, name, value, isPlannedEnv(name), slices.Collect(maps.Keys(l.cat.byEnv)), "_")
		return
	}
	l.assign(f, raw{text: value}, fromFile, o)
}

// foreign reports whether a variable with our prefix belongs to somebody else:
// the CLI and the SDKs, or the links that container runtimes set for a service
// called mailserver.
func foreign(name string) bool {
	switch name {
	case "MAILSERVER_API_URL", "MAILSERVER_API_KEY", "MAILSERVER_PORT", "MAILSERVER_NAME":
		return true
	}
	return strings.HasPrefix(name, "MAILSERVER_PORT_") ||
		strings.HasPrefix(name, "MAILSERVER_SERVICE_") ||
		strings.HasPrefix(name, "MAILSERVER_ENV_")
}
