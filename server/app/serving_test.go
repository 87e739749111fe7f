package app

import (
	"os"
	"path/filepath"
	"testing"
)

// Tools find the server that runs, whatever killed servers, other nodes and half-written files are in the folder beside it.
func TestOnlyARunningServerOfThisMachineIsFound(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	dir := filepath.Join(data, servingDir)
	found := func(want string) {
		t.Helper()
		if got, err := ServingURL(data); err != nil || got != want {
			t.Errorf("found %q, %v; want %q", got, err, want)
		}
	}
	found("")
	one, err := announcement(dir, "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	found("http://127.0.0.1:1")
	if err := one.Close(); err != nil { // as the kernel does with a killed process
		t.Fatal(err)
	}
	found("")
	for name, text := range map[string]string{"unfinished": hostname() + "\n", "elsewhere": "another-" + hostname() + "\nhttp://127.0.0.1:3\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found("")
	two, err := announcement(dir, "http://127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	beside, err := announcement(dir, "http://127.0.0.1:2") // another node of the same directory
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	found("http://127.0.0.1:2")
	if _, err := os.Stat(one.Name()); !os.IsNotExist(err) {
		t.Errorf("what the killed server left is still there: %v", err)
	}
	for _, name := range []string{filepath.Join(dir, "unfinished"), filepath.Join(dir, "elsewhere"), two.Name(), beside.Name()} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
