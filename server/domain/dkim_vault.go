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
	// the vault afterwards: an operator's own, when it was there before and the given one is not imported.
	keep(k DKIMKey, private crypto.Signer, imported bool) (kept crypto.Signer, sealed []byte, err error)
	// open gives the private part; sealed is what lies in the row. Any error means that it cannot be read now.
	open(k DKIMKey, sealed []byte) (crypto.Signer, error)
}

// sealedVault seals private keys into their rows.
type sealedVault struct{ box *seal.Box }

func (v sealedVault) place(k DKIMKey) string {
	return seal.Place("dkim_key", k.ID.UUID(), "sealed_key")
}

func (v sealedVault) keep(k DKIMKey, private crypto.Signer, _ bool) (crypto.Signer, []byte, error) {
	der, err := encodePrivate(private)
	if err != nil {
		return nil, nil, err
	}
	sealed, err := v.box.Seal(v.place(k), der)
	if err != nil {
		return nil, nil, errNoMasterKey(err)
	}
	return private, sealed, nil
}

func (v sealedVault) open(k DKIMKey, sealed []byte) (crypto.Signer, error) {
	der, err := v.box.Open(v.place(k), sealed)
	if err != nil {
		return nil, err
	}
	return decodePrivate(der)
}

// fileVault keeps private keys as PEM files <dir>/<domain>/<selector>.pem. They are the operator's: the server writes one that is
// not there, and never replaces or deletes one. Names of domains and selectors are labels, so no path leads out of dir.
type fileVault struct{ dir string }

func (v fileVault) path(k DKIMKey) string {
	return filepath.Join(v.dir, k.DomainName, k.Selector+".pem")
}

func (v fileVault) keep(k DKIMKey, private crypto.Signer, imported bool) (crypto.Signer, []byte, error) {
	text, err := pemOf(private)
	if err != nil {
		return nil, nil, err
	}
	path := v.path(k)
	err = writeOnce(path, text)
	if !errors.Is(err, fs.ErrExist) {
		return private, nil, err
	}
	there, err := v.open(k, nil)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Conflict, "already-exists", "the file of this selector is there and cannot be used; see the server's log").At("selector")
	}
	if imported && !samePublic(there, private) {
		return nil, nil, fault.New(fault.Conflict, "already-exists", "the file of this selector holds another key").At("selector")
	}
	if have, err := algorithmOf(there); err != nil || have.RSA() != k.Algorithm.RSA() {
		return nil, nil, fault.New(fault.Conflict, "already-exists", "the file of this selector holds a key of another algorithm").At("selector")
	}
	return there, nil, nil
}

func (v fileVault) open(k DKIMKey, _ []byte) (crypto.Signer, error) {
	path := v.path(k)
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("DKIM key: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("DKIM key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("DKIM key %s can be read by others (mode %04o); type: chmod 0600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(file, pemMost+1))
	if err != nil {
		return nil, fmt.Errorf("DKIM key %s: %w", path, err)
	}
	private, err := parsePrivate(text)
	if err != nil {
		return nil, fmt.Errorf("DKIM key %s: %w", path, err)
	}
	if have, _ := algorithmOf(private); have.RSA() != k.Algorithm.RSA() {
		return nil, fmt.Errorf("DKIM key %s is not of the algorithm %s", path, k.Algorithm)
	}
	return private, nil
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
