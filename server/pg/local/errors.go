package local

import (
	"errors"
	"fmt"
	"strings"
)

// minMajor is the oldest PostgreSQL whose features the schema may use.
const minMajor = 15

// NotInstalledError says that no usable PostgreSQL is on the machine. Its text names the one command to type. Programs end with
// exit code 3.
type NotInstalledError struct {
	// Command installs PostgreSQL on this machine; empty when the package manager is not known.
	Command string
	// Looked lists the directories that were tried.
	Looked []string
	// TooOld is the version that was found but is below 15; 0 when nothing was found.
	TooOld int
}

func (e *NotInstalledError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "PostgreSQL %d or newer is not installed", minMajor)
	if e.TooOld > 0 {
		fmt.Fprintf(&b, " (found version %d)", e.TooOld)
	}
	if e.Command != "" {
		fmt.Fprintf(&b, ". Type:\n\n    %s\n\nthen start again, or set database_url to use a PostgreSQL elsewhere.", e.Command)
		return b.String()
	}
	fmt.Fprintf(&b, " (looked in %s). Install it, set database.embedded.bin_dir to the directory of its programs, "+
		"or set database_url to use a PostgreSQL elsewhere.", strings.Join(e.Looked, ", "))
	return b.String()
}

// VersionError says that the cluster was written by a major version of PostgreSQL that is not installed. Programs end with exit
// code 3. The data is untouched.
type VersionError struct {
	// Dir is the data directory, Cluster its major version, Installed the newest that was found.
	Dir                string
	Cluster, Installed int
	// Command installs the matching version; empty when the package manager is not known.
	Command string
}

func (e *VersionError) Error() string {
	text := fmt.Sprintf("the database in %s was written by PostgreSQL %d, but only PostgreSQL %d was found; "+
		"a major version cannot open the files of another. ", e.Dir, e.Cluster, e.Installed)
	if e.Command == "" {
		return text + fmt.Sprintf("Install PostgreSQL %d beside it and start again.", e.Cluster)
	}
	return text + fmt.Sprintf("Type:\n\n    %s\n\nand start again. Nothing was changed.", e.Command)
}

// AccountError says that no account was found under which the cluster can run. Programs end with exit code 3.
type AccountError struct{ Reason string }

func (e *AccountError) Error() string { return "private PostgreSQL: " + e.Reason }

// LockedError says that another process already runs the cluster in Dir. PID is 0 when it is not known.
type LockedError struct {
	Dir string
	PID int
}

func (e *LockedError) Error() string {
	who := "another mailserver"
	if e.PID > 0 {
		who = fmt.Sprintf("another mailserver (process %d)", e.PID)
	}
	return fmt.Sprintf("%s already uses the database in %s: stop it first, or give this one another data directory", who, e.Dir)
}

// UnreachableError says that the cluster's account cannot enter a directory above the cluster. Programs end with exit code 3.
type UnreachableError struct {
	// Account is the cluster's account, Parent the directory it cannot enter, Dir the cluster's directory.
	Account, Parent, Dir string
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("private PostgreSQL runs as account %s, which cannot enter %s, a directory above %s. "+
		"Use a data directory elsewhere (for example --data /var/lib/mailserver), or let others pass: chmod o+x %s",
		e.Account, e.Parent, e.Dir, e.Parent)
}

// Missing reports whether err says that something is missing or wrong on this machine which its text names, so that the program
// ends with exit code 3: PostgreSQL itself, the right version of it, an account, a way to the directory.
func Missing(err error) bool {
	var notInstalled *NotInstalledError
	var version *VersionError
	var account *AccountError
	var unreachable *UnreachableError
	return errors.As(err, &notInstalled) || errors.As(err, &version) || errors.As(err, &account) || errors.As(err, &unreachable)
}
