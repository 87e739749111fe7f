package pgtest

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

const (
	tmpfsMagic = 0x01021994
	// memoryRoom is how much must be free before tests use a memory file system: a container's default of 64 MB is too small.
	memoryRoom = 4 << 30
)

// runBase is where the clusters of test processes live, and whether that is memory.
func runBase() (dir string, inMemory bool) {
	const shm = "/dev/shm"
	var stat syscall.Statfs_t
	if syscall.Statfs(shm, &stat) == nil && stat.Type == tmpfsMagic && stat.Bavail*uint64(stat.Bsize) >= memoryRoom {
		return filepath.Join(shm, "mailserver-pgtest-"+strconv.Itoa(os.Getuid())), true
	}
	return cacheBase(), false
}
