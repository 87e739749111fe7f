package body

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/mailserver-dev/mailserver/server/fault"
)

const (
	maildir = "maildir"
	lost    = "lost"
	temp    = "tmp"
)

var (
	filePattern  = regexp.MustCompile(`^[0-9]{1,12}\.[a-z0-9-]{1,32}\.[0-9a-f]{32},S=[0-9]{1,18}$`)
	ownerPattern = regexp.MustCompile(`^(outbound|blobs|usr_[0-9a-z]{26})$`)
	nodePattern  = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

const (
	// Outbound is the owner of what waits to be sent and of what was sent.
	Outbound = "outbound"
	// Blobs is the owner of files that were uploaded to be attached.
	Blobs = "blobs"
)

// newName makes a file's name: the second, our node, 128 random bits, and the size (D-15).
func (s *Store) newName(size int64) string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24: it ends the program instead
	return strconv.FormatInt(s.clk.Now().Unix(), 10) + "." + s.node + "." + hex.EncodeToString(raw[:]) + ",S=" + strconv.FormatInt(size, 10)
}

// ValidName reports whether name is one that this package makes.
func ValidName(name string) bool { return filePattern.MatchString(name) }

// sizeOf gives the size that a valid name states.
func sizeOf(name string) int64 {
	_, text, _ := strings.Cut(name, ",S=")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func checkOwner(owner string) error {
	if !ownerPattern.MatchString(owner) {
		return fmt.Errorf("%q cannot own message files", owner)
	}
	return nil
}

// filePath gives the place of a file below the data directory, after a check of both names (S-34).
func filePath(owner, file string) (string, error) {
	if err := checkOwner(owner); err != nil {
		return "", err
	}
	if !ValidName(file) {
		return "", fault.New(fault.Gone, CodeMissing, "the content of this message is missing from the store")
	}
	return dirOf(owner, "cur") + "/" + file, nil
}

func dirOf(owner, sub string) string { return maildir + "/" + owner + "/" + sub }
