package pgtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg/local"
)

// kind is what a test's database is copied from.
type kind string

const (
	migrated kind = "ms_migrated"
	empty    kind = "template0"
)

// ahead is how many migrated databases are made before anybody asks.
const ahead = 3

// cluster is the PostgreSQL of one test process.
type cluster struct {
	dsn      string
	strategy string
	serial   atomic.Int64
	ready    chan string // migrated databases made ahead; closed when that fails
	broken   error       // why; set before
	orders   chan order  // everything that the one administrator does
	watcher  *os.File    // its end tells the watcher that this process is gone
	local    *local.Cluster
}

type order struct {
	ctx   context.Context //nolint:containedctx // one request
	sql   string
	reply chan error // nil when nobody waits
}

// startCluster copies the prepared cluster and starts the copy.
func startCluster(ctx context.Context) (*cluster, error) {
	prepared, err := prepare(ctx)
	if err != nil {
		return nil, err
	}
	base, inMemory := runBase()
	if err := makeBase(base); err != nil {
		return nil, err
	}
	sweep(base)
	dir, err := os.MkdirTemp(base, runPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, err
	}
	c := &cluster{ready: make(chan string, ahead), orders: make(chan order, 64), strategy: "wal_log"}
	if inMemory {
		c.strategy = "file_copy" // measured: 18 ms against 45 ms; on a disk it is the other way round
	}
	if c.watcher, err = watch(dir); err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "postgres")
	if err := copyTree(prepared, home); err != nil {
		return nil, err
	}
	if c.local, err = startLocal(ctx, home); err != nil {
		return nil, err
	}
	c.dsn = c.local.DSN()
	admin, err := pgx.Connect(ctx, withDatabase(c.dsn, "postgres"))
	if err != nil {
		return nil, err
	}
	go c.administrate(ctx, admin)
	go c.makeAhead(ctx)
	return c, nil
}

// startLocal starts a cluster for many small databases. Nothing here touches durability.
func startLocal(ctx context.Context, dir string) (*local.Cluster, error) {
	return local.Start(ctx, local.Config{
		Dir:    dir,
		Logger: slog.New(slog.DiscardHandler),
		Settings: map[string]string{
			"max_connections": "300",
			"autovacuum":      "off",
			"max_wal_size":    "1GB",
			"min_wal_size":    "80MB",
			"wal_compression": "off",
		},
	})
}

// administrate makes and drops databases one after the other, as PostgreSQL would do anyway.
func (c *cluster) administrate(ctx context.Context, admin *pgx.Conn) {
	for o := range c.orders {
		run := o.ctx
		if run == nil {
			run = ctx
		}
		_, err := admin.Exec(run, o.sql)
		if o.reply != nil {
			o.reply <- err
		}
	}
}

func (c *cluster) do(ctx context.Context, sql string) error {
	// A cancelled statement would cost the administrator its connection.
	reply := make(chan error, 1)
	select {
	case c.orders <- order{ctx: context.WithoutCancel(ctx), sql: sql, reply: reply}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cluster) makeAhead(ctx context.Context) {
	for {
		name, err := c.copy(ctx, migrated)
		if err != nil {
			c.broken = err
			close(c.ready)
			return
		}
		c.ready <- name
	}
}

// create returns the name of a new database.
func (c *cluster) create(ctx context.Context, from kind) (string, error) {
	if from != migrated {
		return c.copy(ctx, from)
	}
	select {
	case name, ok := <-c.ready:
		if !ok {
			return "", c.broken
		}
		return name, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (c *cluster) copy(ctx context.Context, from kind) (string, error) {
	name := "t" + strconv.FormatInt(c.serial.Add(1), 10)
	return name, c.do(ctx, fmt.Sprintf("create database %s template %s strategy %s", name, from, c.strategy))
}

// drop removes a database some time later; its sessions are ended.
func (c *cluster) drop(name string) {
	select {
	case c.orders <- order{sql: "drop database if exists " + name + " with (force)"}:
	default: // busy: it goes with the cluster
	}
}

// Names of the directories of running test processes: run-<pid>-<random>.
const runPrefix = "run-"

// sweep removes what a test process left behind whose watcher was killed too.
func sweep(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		rest, ok := strings.CutPrefix(entry.Name(), runPrefix)
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			os.RemoveAll(filepath.Join(base, entry.Name()))
		}
	}
}

// watchScript waits until its input ends, which happens when the test process does, however it does. Then it makes sure that
// PostgreSQL stops and removes the directory. It gives up after ten seconds.
const watchScript = `read -r _
pid=$(head -n 1 "$1/postgres/data/postmaster.pid" 2>/dev/null)
[ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null
i=0
while [ -e "$1/postgres/data/postmaster.pid" ] && [ $i -lt 100 ]; do
	sleep 0.1
	i=$((i + 1))
done
rm -rf "$1"`

// watch starts the watcher of a directory. The returned file must stay open.
func watch(dir string) (*os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	cmd := exec.Command("/bin/sh", "-c", watchScript, "sh", dir)
	cmd.Stdin = reader
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends the tests, not the cleaning up
	if err := cmd.Start(); err != nil {
		writer.Close()
		return nil, err
	}
	return writer, cmd.Process.Release()
}
