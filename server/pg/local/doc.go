// Package local runs the private PostgreSQL cluster that the server uses when no database_url is configured. It finds the
// binaries on the machine, creates the cluster once, starts it as a child on a unix socket, restarts it when it dies and stops
// it cleanly. It never downloads anything, never listens on TCP, never sends SIGKILL to PostgreSQL and never upgrades a
// cluster to another major version.
//
// Inside Config.Dir there are
//
//	lock   held (flock) by the one process that owns the cluster; the kernel frees it when that process ends, however it ends
//	data   the PostgreSQL data directory; it appears complete (initdb works in data.new, which is then renamed)
//	run    the socket directory, mode 0700, unless the path would be too long for a socket
//
// PostgreSQL refuses to run as root. A server that runs as root gives the cluster to an unprivileged account, which often
// cannot pass through the directories above (/root is 0700). On Linux the child then gets the two directories as open
// descriptors and works through /proc/self/fd, so that nothing has to be moved or opened to others.
package local
