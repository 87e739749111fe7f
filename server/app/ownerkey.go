package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// ownerKey makes sure that somebody can administer a new server: an API key with every scope lies in <data>/owner.key, readable by
// the server's own account only. With it the first domain and the first owner are created. Deleting the file makes the next start
// write a new one.
func (a *App) ownerKey(ctx context.Context) error {
	path := filepath.Join(a.cfg.DataDir, "owner.key")
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	create := account.CreateKey{Name: "owner.key of " + a.cfg.Hostname, Scopes: account.AllScopes(), Mode: account.ModeLive}
	_, text, err := a.Accounts.CreateKey(ctx, mail.System("owner.key"), create)
	if err != nil {
		return fmt.Errorf("make the owner's key: %w", err)
	}
	if err := WritePrivate(path, []byte(text+"\n")); err != nil {
		return fmt.Errorf("write the owner's key: %w", err)
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "an API key with every scope was written for the owner", slog.String("file", path))
	return nil
}

// WritePrivate replaces a file of mode 0600 in one step.
func WritePrivate(path string, content []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
