package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// account is who runs PostgreSQL.
type account struct {
	name     string
	uid, gid int
	// drop is whether this process is root and starts PostgreSQL as another account.
	drop bool
}

// serviceAccounts are tried in this order when this process is root and nothing else decides.
func serviceAccounts() []string { return []string{"mailserver", "postgres"} }

// chooseAccount decides under which account the cluster runs. owner is the uid that owns an existing data directory, -1 when
// there is none: the files of a cluster belong to exactly one account, so its owner wins over a guess.
func chooseAccount(configured string, euid, owner int) (account, error) {
	if euid != 0 {
		return ownAccount(euid, owner)
	}
	if configured != "" {
		return configuredAccount(configured, owner)
	}
	if owner > 0 {
		return lookupUID(owner, true)
	}
	for _, name := range serviceAccounts() {
		u, err := user.Lookup(name)
		if err == nil {
			return fromUser(u, true)
		}
	}
	return account{}, &AccountError{Reason: "this process is root, which PostgreSQL refuses, and neither an account mailserver nor an " +
		"account postgres exists: set database.embedded.user to an unprivileged account"}
}

func ownAccount(euid, owner int) (account, error) {
	if owner >= 0 && owner != euid {
		return account{}, &AccountError{Reason: fmt.Sprintf("the database belongs to %s, but this process is %s: "+
			"start as that account or as root, or use another data directory", describeUID(owner), describeUID(euid))}
	}
	return lookupUID(euid, false)
}

func configuredAccount(name string, owner int) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, &AccountError{Reason: fmt.Sprintf("database.embedded.user %q: no such account", name)}
	}
	acc, err := fromUser(u, true)
	if err != nil {
		return account{}, err
	}
	if owner > 0 && owner != acc.uid {
		return account{}, &AccountError{Reason: fmt.Sprintf("the database belongs to %s, but database.embedded.user is %q: "+
			"change the setting, or give the files to %s with chown -R", describeUID(owner), name, name)}
	}
	return acc, nil
}

func lookupUID(uid int, drop bool) (account, error) {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return account{}, &AccountError{Reason: fmt.Sprintf("uid %d has no entry in the list of accounts (/etc/passwd), which PostgreSQL "+
			"requires: add one, or set database_url to use a PostgreSQL elsewhere", uid)}
	}
	return fromUser(u, drop)
}

func fromUser(u *user.User, drop bool) (account, error) {
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if err := errors.Join(errUID, errGID); err != nil {
		return account{}, fmt.Errorf("private PostgreSQL: account %s: %w", u.Username, err)
	}
	if uid == 0 {
		return account{}, &AccountError{Reason: fmt.Sprintf("account %s is root, which PostgreSQL refuses: "+
			"set database.embedded.user to an unprivileged account", u.Username)}
	}
	return account{name: u.Username, uid: uid, gid: gid, drop: drop}, nil
}

func describeUID(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return fmt.Sprintf("uid %d", uid)
	}
	return u.Username
}

// credential is what the child is started with: no supplementary groups of ours.
func (a account) credential() *syscall.Credential {
	if !a.drop {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: []uint32{}}
}

// own gives a directory or file to the cluster's account.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// clients are the accounts of the operating system that may connect as Role: root, the cluster's own account and the service's.
func (a account) clients() []string {
	names := []string{"root", a.name}
	if _, err := user.Lookup(Role); err == nil && a.name != Role {
		names = append(names, Role)
	}
	return names
}

// blockedParent returns the first directory from / down to dir that the account cannot enter, or "" when it can enter all. Access
// lists are not looked at: with them the answer may be too careful, which costs nothing.
func (a account) blockedParent(dir string) (string, error) {
	for _, parent := range parents(dir) {
		info, err := os.Stat(parent)
		if err != nil {
			return "", fmt.Errorf("private PostgreSQL: %w", err)
		}
		if !a.mayEnter(info) {
			return parent, nil
		}
	}
	return "", nil
}

// parents lists dir and all directories above it, from / down.
func parents(dir string) []string {
	var list []string
	for {
		list = append(list, dir)
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	slices.Reverse(list)
	return list
}

func (a account) mayEnter(info fs.FileInfo) bool {
	uid, gid := owners(info)
	mode := info.Mode().Perm()
	switch {
	case uid == a.uid:
		return mode&0o100 != 0
	case gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// owners returns the uid and gid of a file, -1 when the file system has none.
func owners(info fs.FileInfo) (uid, gid int) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(stat.Uid), int(stat.Gid)
}
