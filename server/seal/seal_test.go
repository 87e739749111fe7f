package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mailserver-dev/mailserver/server/seal"
)

func key(b byte) seal.Key { return seal.Key(bytes.Repeat([]byte{b}, seal.KeySize)) }

func box(t *testing.T, keys ...seal.Key) *seal.Box {
	t.Helper()
	b, err := seal.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func text(k seal.Key) string { return base64.StdEncoding.EncodeToString(k[:]) }

func logger(into *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(into, nil)) }

func TestWhatIsSealedOpensInItsPlaceOnly_S35(t *testing.T) {
	t.Parallel()
	b := box(t, key(1))
	here, there := seal.Place("dkim_key", "1", "private_key"), seal.Place("dkim_key", "2", "private_key")
	sealed, err := b.Seal(here, []byte("secret"))
	if err != nil || bytes.Contains(sealed, []byte("secret")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	if plain, err := b.Open(here, sealed); err != nil || string(plain) != "secret" {
		t.Fatalf("%q, %v", plain, err)
	}
	if _, err := b.Open(there, sealed); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("another row's ciphertext opens: %v", err)
	}
	again, _ := b.Seal(here, []byte("secret"))
	if bytes.Equal(sealed, again) {
		t.Error("two sealings are the same: the nonce is not random")
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := b.Open(here, changed); err == nil {
			t.Errorf("a change of octet %d is not noticed", i)
		}
	}
	for n := range sealed {
		if _, err := b.Open(here, sealed[:n]); !errors.Is(err, seal.ErrTampered) {
			t.Errorf("the first %d octets: %v", n, err)
		}
	}
}

func TestAWrongKeyIsToldFromTampering_S35(t *testing.T) {
	t.Parallel()
	sealed, _ := box(t, key(1)).Seal("a", []byte("secret"))
	for name, b := range map[string]*seal.Box{"another key": box(t, key(2)), "no key": box(t), "no box": nil} {
		if _, err := b.Open("a", sealed); !errors.Is(err, seal.ErrNoKey) || errors.Is(err, seal.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, b := range []*seal.Box{nil, box(t)} {
		if _, err := b.Seal("a", nil); !errors.Is(err, seal.ErrNoKey) || b.Ready() == nil {
			t.Errorf("sealed without a key: %v", err)
		}
	}
}

func TestAfterARotationTheOldKeyStillOpensAndTheNewOneSeals(t *testing.T) {
	t.Parallel()
	old, _ := box(t, key(1)).Seal("a", []byte("secret"))
	both := box(t, key(2), key(1))
	if plain, err := both.Open("a", old); err != nil || string(plain) != "secret" {
		t.Fatalf("%q, %v", plain, err)
	}
	sealed, err := both.Seal("a", []byte("new"))
	if id, ok := seal.IDOf(sealed); err != nil || !ok || id != key(2).ID() {
		t.Errorf("sealed with %v, %v", id, err)
	}
	if _, err := box(t, key(1)).Open("a", sealed); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("%v", err)
	}
}

func TestTheFirstStartMakesAKeyThatNobodyElseReads_S35(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log bytes.Buffer
	b, err := seal.Open(seal.Options{Dir: dir, Log: logger(&log)})
	if err != nil || b.Ready() != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "master.key")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	content, _ := os.ReadFile(path)
	if keys, err := seal.ParseKeys(string(content)); err != nil || len(keys) != 1 || keys[0] == (seal.Key{}) || strings.Contains(log.String(), strings.TrimSpace(string(content))) {
		t.Fatalf("%v, log %s", err, &log)
	}
	sealed, _ := b.Seal("a", []byte("secret"))
	again, err := seal.Open(seal.Options{Dir: dir, Log: logger(&log)})
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open("a", sealed); err != nil || string(plain) != "secret" {
		t.Errorf("after a restart: %q, %v", plain, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestServersThatStartAtOnceShareOneKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	boxes := make([]*seal.Box, 16)
	var wg sync.WaitGroup
	for i := range boxes {
		wg.Go(func() {
			boxes[i], _ = seal.Open(seal.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		})
	}
	wg.Wait()
	sealed, err := boxes[0].Seal("a", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range boxes {
		if _, err := b.Open("a", sealed); err != nil {
			t.Errorf("server %d: %v", i, err)
		}
	}
}

func TestALostKeyIsNeverReplaced_S35(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log bytes.Buffer
	b, err := seal.Open(seal.Options{Dir: dir, InUse: []seal.KeyID{key(1).ID()}, Log: logger(&log)})
	if err != nil || !errors.Is(b.Ready(), seal.ErrNoKey) {
		t.Fatalf("%v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("made %v", left)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), key(1).ID().String()) || !strings.Contains(log.String(), "key_unavailable") {
		t.Errorf("log: %s", &log)
	}
	log.Reset()
	// Another key opens nothing either, and says so.
	if b, err = seal.Open(seal.Options{Dir: dir, Keys: text(key(2)), InUse: []seal.KeyID{key(1).ID()}, Log: logger(&log)}); err != nil || b.Knows(key(1).ID()) {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "level=ERROR") || strings.Contains(log.String(), text(key(2))) {
		t.Errorf("log: %s", &log)
	}
	log.Reset()
	if b, err = seal.Open(seal.Options{Dir: dir, Keys: text(key(2)) + "," + text(key(1)), InUse: []seal.KeyID{key(1).ID()}, Log: logger(&log)}); err != nil || !b.Knows(key(1).ID()) || log.Len() > 0 {
		t.Errorf("%v %s", err, &log)
	}
}

func TestAKeyFileThatOthersCanReadIsRefused_S35(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o440, 0o404, 0o600, 0o400, 0o620} {
		dir := t.TempDir()
		path := filepath.Join(dir, "master.key")
		if err := os.WriteFile(path, []byte(text(key(1))), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := seal.Open(seal.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if open := mode&0o077 != 0; open != (err != nil) || open && !strings.Contains(err.Error(), "chmod 0400 "+path) {
			t.Errorf("%04o: %v", mode, err)
		}
	}
}

func TestWhatIsNoKeyIsRefusedAndNotRepeated(t *testing.T) {
	t.Parallel()
	k := key(7)
	for _, good := range []string{
		text(k), strings.TrimRight(text(k), "="), text(k) + "\n", hex.EncodeToString(k[:]), strings.ToUpper(hex.EncodeToString(k[:])),
		text(k) + "\n" + text(key(8)), text(k) + ", " + text(k),
	} {
		if keys, err := seal.ParseKeys(good); err != nil || keys[0] != k {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", " ", "hunter2", text(k)[:40], text(k) + "AAAA", strings.Repeat("g", 64), text(k) + "\nhunter2", strings.Repeat(text(k)+" ", 17)} {
		if _, err := seal.ParseKeys(bad); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), text(k)[:20]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "master.key"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(seal.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "master.key") {
		t.Errorf("an empty file: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	k := key(1)
	b, err := seal.New(k)
	if err != nil {
		f.Fatal(err)
	}
	sealed, _ := b.Seal("a", []byte("secret"))
	f.Add(sealed)
	f.Add([]byte{})
	f.Add(append([]byte{1}, k[:]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if plain, err := b.Open("a", data); err == nil && string(plain) != "secret" {
			t.Fatalf("%x opens as %q", data, plain)
		}
		if keys, err := seal.ParseKeys(string(data)); err == nil && len(keys) == 0 {
			t.Fatal("no key and no error")
		}
	})
}
