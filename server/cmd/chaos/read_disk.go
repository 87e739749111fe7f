package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// outboundFolder keeps what was sent; it belongs to no user.
const outboundFolder = "outbound"

// readDisk reads every message file below the data directory. names maps a folder to the account.
func (w *world) readDisk(data string, names map[string]apiUser) error {
	root := filepath.Join(data, "maildir")
	owners, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		name := owner.Name()
		if user, ok := names[name]; ok {
			name = account(user.Email)
		} else if name != outboundFolder {
			continue // reported by verify
		}
		if err := w.readFolder(filepath.Join(root, owner.Name(), "cur"), name); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) readFolder(dir, owner string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed while we read
		}
		if err != nil {
			return err
		}
		_, size, _ := strings.Cut(f.Name(), ",S=")
		w.files = append(w.files, diskFile{account: owner, name: f.Name(), content: examine(raw), whole: size == strconv.Itoa(len(raw))})
	}
	return nil
}
