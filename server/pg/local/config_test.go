package local

import (
	"slices"
	"strings"
	"testing"
)

func TestSettingsThatWouldLoseMailAreRefused_D4(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"fsync", "FSYNC", " full_page_writes", "synchronous_commit", "data_directory", "hba_file", "ident_file",
		"unix_socket_directories", "listen_addresses", "bad name", "", "a=b", "-c",
	} {
		cfg := Config{Dir: t.TempDir(), Settings: map[string]string{name: "off"}}
		if err := cfg.complete(); err == nil || !strings.Contains(err.Error(), "setting") {
			t.Errorf("setting %q: error %v, want a refusal", name, err)
		}
	}
}

func TestSettingsOverrideTheProfileAndNeverDurability(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), Settings: map[string]string{"Shared_Buffers": "256MB", "pg_stat_statements.max": "10"}}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	args := arguments(cfg, 18, "/run/x")
	for _, want := range []string{
		"shared_buffers=256MB", "pg_stat_statements.max=10", "fsync=on", "full_page_writes=on", "synchronous_commit=on",
		"listen_addresses=", "unix_socket_directories=/run/x", "unix_socket_permissions=0700", "jit=off", "io_method=sync",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("arguments lack %q", want)
		}
	}
	if slices.Contains(arguments(cfg, 15, "/run/x"), "io_method=sync") {
		t.Error("PostgreSQL 15 does not know io_method")
	}
}

func TestStandardProfileGrowsWithTheMachine(t *testing.T) {
	t.Parallel()
	for memory, want := range map[uint64]string{
		0: "64MB", 2 << 30: "64MB", 4 << 30: "64MB", 7 << 30: "64MB", 8 << 30: "128MB", 33 << 30: "512MB", 4 << 40: "4096MB",
	} {
		if got := profileSettings(ProfileStandard, memory, 15)["shared_buffers"]; got != want {
			t.Errorf("%d bytes of memory: shared_buffers %s, want %s", memory, got, want)
		}
	}
	cfg := Config{Dir: t.TempDir(), Profile: "huge"}
	if err := cfg.complete(); err == nil {
		t.Error("an unknown profile was accepted")
	}
}

func TestLogLinesKeepTheirWeight(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"LOG:  database system is ready": "DEBUG database system is ready",
		"FATAL:  no room":                "WARN no room",
		"PANIC:  could not write":        "ERROR could not write",
		"something: else":                "DEBUG something: else",
	} {
		level, message := severity(line)
		if got := level.String() + " " + message; got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
