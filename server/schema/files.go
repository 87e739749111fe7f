package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/mailserver-dev/mailserver/migrations"
)

// Migration is one SQL file.
type Migration struct {
	// Version is the number at the front of the name, Name the file's name.
	Version int64
	Name    string
}

var fileName = regexp.MustCompile(`^([0-9]{14})_[a-z0-9_]+\.sql$`)

// files lists the migrations in order. A name that goose would silently skip is an error.
func files(fsys fs.FS) ([]Migration, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list the migrations: %w", err)
	}
	list := make([]Migration, 0, len(names))
	for _, name := range names {
		match := fileName.FindStringSubmatch(name)
		if match == nil {
			return nil, fmt.Errorf("migration %q: want a name like 20261125150000_what_it_does.sql", name)
		}
		version, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %q: %w", name, err)
		}
		if len(list) > 0 && list[len(list)-1].Version == version {
			return nil, fmt.Errorf("migration %q has the version of %q", name, list[len(list)-1].Name)
		}
		list = append(list, Migration{Version: version, Name: name})
	}
	return list, nil
}

// Fingerprint is a short text that changes whenever any migration does; test support keeps prepared databases by it.
func Fingerprint() (string, error) {
	sum := sha256.New()
	list, err := files(migrations.FS)
	if err != nil {
		return "", err
	}
	for _, m := range list {
		text, err := fs.ReadFile(migrations.FS, m.Name)
		if err != nil {
			return "", fmt.Errorf("read migration %s: %w", m.Name, err)
		}
		fmt.Fprintf(sum, "%s %d\n%s\n", m.Name, len(text), text)
	}
	river, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return "", fmt.Errorf("the queue's migrations: %w", err)
	}
	for _, m := range river.AllVersions() {
		fmt.Fprintf(sum, "%d\n%s\n", m.Version, m.SQLUp)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
