package seal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	keyFile = "master.key"
	// keysMost bounds how many keys are known at once, fileMost the size of the file.
	keysMost = 16
	fileMost = 4 << 10
)

// Options say where the key is.
type Options struct {
	// Dir is the data directory. The key lies in its file master.key unless Keys is set.
	Dir string
	// Keys is the text of the keys (seal.key), as ParseKeys reads it.
	Keys string
	// InUse are the ids of the keys with which something was sealed. While there are any, no new key is made.
	InUse []KeyID
	Log   *slog.Logger
}

// Open finds the key, or makes it when nothing was sealed yet. It fails for a key that cannot be read as one and for a file that
// others can read. A key that is missing although something was sealed with it is logged as an error; the box then cannot open
// that, and the server serves what needs no secret.
func Open(opts Options) (*Box, error) {
	keys, err := opts.find()
	if err != nil {
		return nil, err
	}
	box, err := New(keys...)
	if err != nil {
		return nil, err
	}
	for _, id := range opts.InUse {
		if !box.Knows(id) {
			opts.Log.Error("key_unavailable: the master key with which secrets in the database are sealed is missing; sessions and signatures "+
				"that need them are held until it is back in master.key or seal.key and the server was restarted",
				slog.String("key_id", id.String()), slog.String("file", filepath.Join(opts.Dir, keyFile)))
		}
	}
	return box, nil
}

func (o Options) find() ([]Key, error) {
	if o.Keys != "" {
		keys, err := ParseKeys(o.Keys)
		if err != nil {
			return nil, fmt.Errorf("seal.key: %w", err)
		}
		return keys, nil
	}
	path := filepath.Join(o.Dir, keyFile)
	keys, err := readKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if len(o.InUse) > 0 {
		return nil, nil
	}
	if err := makeKey(o.Dir, path); err != nil {
		return nil, fmt.Errorf("make the master key: %w", err)
	}
	o.Log.Info("the master key that seals secrets in the database was made; keep a copy of it apart from the backups of the database",
		slog.String("file", path))
	return readKeys(path)
}

// ParseKeys reads keys of 32 octets in base64 or hexadecimal digits, separated by white space or commas, the newest first: the
// first one seals, all of them open. The error never quotes a key.
func ParseKeys(text string) ([]Key, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	if len(words) == 0 || len(words) > keysMost {
		return nil, fmt.Errorf("want 1 to %d keys, have %d", keysMost, len(words))
	}
	keys := make([]Key, 0, len(words))
	for i, word := range words {
		k, err := parseKey(word)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, len(words), err)
		}
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func parseKey(word string) (Key, error) {
	var raw []byte
	var err error
	if len(word) == hex.EncodedLen(KeySize) {
		raw, err = hex.DecodeString(word)
	} else {
		raw, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(word, "="))
	}
	if err != nil || len(raw) != KeySize {
		return Key{}, errors.New("want 32 octets as base64 (openssl rand -base64 32) or 64 hexadecimal digits")
	}
	return Key(raw), nil
}

// readKeys reads the file, which nobody but its owner may be able to read.
func readKeys(path string) ([]Key, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if err := private(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, fileMost))
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	keys, err := ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

func private(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("the master key %s is no regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("the master key %s can be read by others (mode %04o); type: chmod 0400 %s", path, mode, path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("the master key %s belongs to another account (uid %d); type: chown %d %s", path, stat.Uid, os.Geteuid(), path)
	}
	return nil
}

// makeKey writes a new key. The file appears under its name only when it is complete and on disk, and never in place of another
// one: of two servers that start at once the second uses the first one's key.
func makeKey(dir, path string) error {
	var k Key
	_, _ = rand.Read(k[:]) // never fails since Go 1.24: it ends the program instead
	next := path + "." + rand.Text()
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o400)
	if err != nil {
		return err
	}
	defer os.Remove(next)
	_, err = file.WriteString(base64.StdEncoding.EncodeToString(k[:]) + "\n")
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Link(next, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
