package local

import (
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Role is the PostgreSQL role that owns everything; Database is the database that Cluster.DSN names.
const (
	Role     = "mailserver"
	Database = "mailserver"
)

// port is part of the socket's file name; nothing listens on TCP.
const port = "5432"

// Profile names a set of memory settings.
type Profile string

const (
	// ProfileSmall fits machines up to 4 GiB; it is the default.
	ProfileSmall Profile = "small"
	// ProfileStandard doubles the caches with each doubling of Config.Memory above 4 GiB.
	ProfileStandard Profile = "standard"
)

// Config says where and how the cluster runs. Only Dir is required.
type Config struct {
	// Dir holds everything of the cluster, usually <data>/postgres. It is created with mode 0700.
	Dir string
	// BinDir is the directory of initdb and postgres. Empty: the newest PostgreSQL >= 15 found on the machine, or the one that
	// matches an existing cluster.
	BinDir string
	// User is the account the cluster runs as when this process is root. Empty: the owner of an existing cluster, else
	// mailserver, else postgres. As a normal user the cluster always runs as that user.
	User string
	// RuntimeDir is where the socket directory goes when its path below Dir is too long for a socket. Empty: /run as root, else
	// the directory for temporary files.
	RuntimeDir string
	// Settings override the profile, for example {"shared_buffers": "256MB"}. Settings that decide about durability, paths or
	// access are refused.
	Settings map[string]string
	// Profile is ProfileSmall when empty.
	Profile Profile
	// Memory is the machine's memory in bytes; only ProfileStandard looks at it.
	Memory uint64
	// Logger gets what PostgreSQL writes and what the supervisor does.
	Logger *slog.Logger
}

func (cfg *Config) complete() error {
	if cfg.Dir == "" {
		return fmt.Errorf("private PostgreSQL: no directory given")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return fmt.Errorf("private PostgreSQL: directory %q: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Profile == "" {
		cfg.Profile = ProfileSmall
	}
	if cfg.Profile != ProfileSmall && cfg.Profile != ProfileStandard {
		return fmt.Errorf("private PostgreSQL: profile %q: want %s or %s", cfg.Profile, ProfileSmall, ProfileStandard)
	}
	cfg.Settings, err = checkSettings(cfg.Settings)
	return err
}

var settingName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// deniedSettings are the supervisor's own or the durability contract's (D-4).
func deniedSettings() []string {
	return []string{
		"fsync", "full_page_writes", "synchronous_commit",
		"config_file", "data_directory", "external_pid_file", "hba_file", "ident_file",
		"listen_addresses", "port", "unix_socket_directories", "unix_socket_group", "unix_socket_permissions",
		"log_destination", "logging_collector",
	}
}

// checkSettings returns the settings with lower-case names, or an error that names the first refused one.
func checkSettings(in map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(in))
	for _, key := range slices.Sorted(maps.Keys(in)) {
		name := strings.ToLower(strings.TrimSpace(key))
		switch {
		case !settingName.MatchString(name):
			return nil, fmt.Errorf("private PostgreSQL: setting %q is not a setting name", key)
		case slices.Contains(deniedSettings(), name):
			return nil, fmt.Errorf("private PostgreSQL: setting %q cannot be changed: durability, paths and access belong to the server", name)
		case strings.ContainsRune(in[key], 0):
			return nil, fmt.Errorf("private PostgreSQL: setting %q: the value contains a NUL byte", name)
		}
		out[name] = in[key]
	}
	return out, nil
}

// arguments returns the -c arguments of postgres, in a stable order. The configuration files of the cluster are never edited.
func arguments(cfg Config, major int, socketDir string) []string {
	settings := profileSettings(cfg.Profile, cfg.Memory, major)
	maps.Copy(settings, cfg.Settings)
	maps.Copy(settings, map[string]string{
		"fsync":                   "on",
		"full_page_writes":        "on",
		"synchronous_commit":      "on",
		"listen_addresses":        "",
		"port":                    port,
		"unix_socket_directories": socketDir,
		"unix_socket_permissions": "0700",
		"log_destination":         "stderr",
		"logging_collector":       "off",
	})
	args := make([]string, 0, 2*len(settings))
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

func profileSettings(profile Profile, memory uint64, major int) map[string]string {
	factor := 1
	if profile == ProfileStandard {
		factor = memoryFactor(memory)
	}
	settings := map[string]string{
		"shared_buffers":                      fmt.Sprintf("%dMB", 64*factor),
		"effective_cache_size":                fmt.Sprintf("%dMB", 256*factor),
		"work_mem":                            fmt.Sprintf("%dMB", 4*factor),
		"maintenance_work_mem":                "64MB",
		"max_connections":                     "40",
		"jit":                                 "off",
		"huge_pages":                          "off",
		"wal_buffers":                         "2MB",
		"max_wal_size":                        "512MB",
		"autovacuum_max_workers":              "2",
		"autovacuum_work_mem":                 "32MB",
		"max_worker_processes":                "4",
		"max_parallel_workers_per_gather":     "0",
		"max_logical_replication_workers":     "0",
		"idle_in_transaction_session_timeout": "60s",
		"wal_compression":                     "on",
		"wal_level":                           "replica",
		"max_wal_senders":                     "2",
		"timezone":                            "UTC",
		"log_timezone":                        "UTC",
		// Statements and their values may hold addresses and letters: only the server's own state is logged.
		"log_min_messages":        "log",
		"log_min_error_statement": "panic",
		"log_error_verbosity":     "terse",
		"log_checkpoints":         "off",
		"log_line_prefix":         "",
	}
	if major >= 18 {
		settings["io_method"] = "sync"
	}
	return settings
}

// memoryFactor doubles with each doubling of memory above 4 GiB. At 64 MB per 4 GiB shared_buffers stay far below a quarter of
// the memory; the limit keeps work_mem sane on very large machines.
func memoryFactor(memory uint64) int {
	const base = 4 << 30
	factor := 1
	for factor < 64 && memory >= base*uint64(factor)*2 {
		factor *= 2
	}
	return factor
}
