package domain

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/seal"
)

// vault keeps the private parts of DKIM keys. There is one for each KeySource.
type vault interface {
	// keep stores the private part of a new key, whose row is not there yet. sealed goes into the row. kept is the key that is in
	// the vault afterwards: an operator's own, when it was there before, its selector was asked for and no other key is imported.
	keep(k DKIMKey, n newKey) (kept crypto.Signer, sealed []byte, err error)
	// holds reports whether something lies where the private part of a new key would be kept.
	holds(k DKIMKey) bool
	// open gives the private part; sealed is what lies in the row. Any error means that it cannot be read now.
	open(k DKIMKey, sealed []byte) (crypto.Signer, error)
}

// sealedVault seals private keys into their rows.
type sealedVault struct{ box *seal.Box }

func (v sealedVault) place(k DKIMKey) string {
	return seal.Place("dkim_key", k.ID.UUID(), "sealed_key")
}

func (sealedVault) holds(DKIMKey) bool { return false }

func (v sealedVault) keep(k DKIMKey, n newKey) (crypto.Signer, []byte, error) {
	der, err := encodePrivate(n.private)
	if err != nil {
		return nil, nil, err
	}
	sealed, err := v.box.Seal(v.place(k), der)
	if err != nil {
		return nil, nil, errNoMasterKey(err)
	}
	return n.private, sealed, nil
}

func (v sealedVault) open(k DKIMKey, sealed []byte) (crypto.Signer, error) {
	der, err := v.box.Open(v.place(k), sealed)
	if err != nil {
		return nil, err
	}
	return decodePrivate(der)
}

// fileVault keeps private keys as PEM files <dir>/<domain>/<selector>.pem. They are the operator's: the server writes one that is
// not there, and never replaces or deletes one. One that is there is used only for who asks for its selector: it may be of the time
// when the domain was somebody else's. Names of domains and selectors are labels, so no path leads out of dir.
type fileVault struct{ dir string }

func (v fileVault) path(k DKIMKey) string {
	return filepath.Join(v.dir, k.DomainName, k.Selector+".pem")
}

func (v fileVault) holds(k DKIMKey) bool {
	_, err := os.Lstat(v.path(k))
	return err == nil
}

func (v fileVault) keep(k DKIMKey, n newKey) (crypto.Signer, []byte, error) {
	text, err := pemOf(n.private)
	if err != nil {
		return nil, nil, err
	}
	path := v.path(k)
	err = writeOnce(path, text)
	if !errors.Is(err, fs.ErrExist) {
		return n.private, nil, err
	}
	if n.selector == "" {
		return nil, nil, fault.Wrap(err, fault.Conflict, "already-exists", "a file of this selector has just appeared; try again").At("selector")
	}
	there, err := v.open(k, nil)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Conflict, "already-exists", "the file of this selector is there and cannot be used; see the server's log").At("selector")
	}
	if n.imported && !samePublic(there, n.private) {
		return nil, nil, fault.New(fault.Conflict, "already-exists", "the file of this selector holds another key").At("selector")
	}
	if have, err := algorithmOf(there); err != nil || have.RSA() != k.Algorithm.RSA() {
		return nil, nil, fault.New(fault.Conflict, "already-exists", "the file of this selector holds a key of another algorithm").At("selector")
	}
	return there, nil, nil
}

func (v fileVault) open(k DKIMKey, _ []byte) (crypto.Signer, error) {
	path := v.path(k)
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // of a pipe nobody waits for the writer
	if err != nil {
		return nil, fmt.Errorf("DKIM key: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("DKIM key: %w", err)
	}
	if err := private(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, pemMost+1))
	if err != nil {
		return nil, fmt.Errorf("DKIM key %s: %w", path, err)
	}
	signer, err := parsePrivate(text)
	if err != nil {
		return nil, fmt.Errorf("DKIM key %s: %w", path, err)
	}
	if have, _ := algorithmOf(signer); have.RSA() != k.Algorithm.RSA() {
		return nil, fmt.Errorf("DKIM key %s is not of the algorithm %s", path, k.Algorithm)
	}
	return signer, nil
}

// private refuses a file that others can read or write: one of another account's is that account's key, not the operator's.
func private(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("DKIM key %s is no regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("DKIM key %s can be read by others (mode %04o); type: chmod 0600 %s", path, mode, path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("DKIM key %s belongs to another account (uid %d); type: chown %d %s", path, stat.Uid, os.Geteuid(), path)
	}
	return nil
}

func samePublic(a, b crypto.Signer) bool {
	one, err := publicOf(a)
	if err != nil {
		return false
	}
	other, err := publicOf(b)
	return err == nil && bytes.Equal(one, other)
}

// writeOnce writes a private file that must not exist. It is on disk under its name, whole, or not there.
func writeOnce(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("DKIM key: %w", err)
	}
	file, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("DKIM key: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("DKIM key: %w", err)
	}
	if err := os.Link(file.Name(), path); err != nil { // unlike a rename it never replaces
		return fmt.Errorf("DKIM key: %w", err)
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

func syncDir(path string) error {
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("DKIM key: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func errNoMasterKey(err error) error {
	return fault.Wrap(err, fault.Unavailable, "key-unavailable",
		"the master key that seals private keys is not available on this server; the operator has to bring it back")
}
