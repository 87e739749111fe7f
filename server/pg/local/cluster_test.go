package local_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg/local"
)

// TestMain lets this binary play the process that owns a cluster: "<binary> own-cluster <dir>" prints the DSN and waits.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "own-cluster" {
		os.Exit(ownCluster(os.Args[2]))
	}
	os.Exit(m.Run())
}

func ownCluster(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := local.Start(ctx, local.Config{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.DSN())
	<-ctx.Done()
	if err := c.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// recorder keeps log messages.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(p))
	return len(p), nil
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "")
}

func (r *recorder) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

func start(t *testing.T, cfg local.Config) *local.Cluster {
	t.Helper()
	c, err := local.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *local.Cluster) {
	t.Helper()
	if err := c.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	<-c.Done()
}

func query(ctx context.Context, dsn, sql string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var out string
	err = conn.QueryRow(ctx, sql).Scan(&out)
	return out, err
}

func mustQuery(t *testing.T, dsn, sql string) string {
	t.Helper()
	out, err := query(t.Context(), dsn, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func postmasterPID(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(text), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// alive reports whether a process runs. One that has ended but was not collected by a lazy init does not.
func alive(pid int) bool {
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		return !strings.Contains(string(status), "State:\tZ")
	}
	return syscall.Kill(pid, 0) == nil
}

// keep leaves a row that must never be lost.
func keep(t *testing.T, dsn string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "create table kept as select 1 as one"); err != nil {
		t.Fatal(err)
	}
}

func TestDataSurvivesACleanStopAndASecondStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data", "postgres") // as root: below a 0700 directory that the account cannot enter
	var logs recorder
	began := time.Now()
	c, err := local.Start(t.Context(), local.Config{Dir: dir, Logger: logs.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("first start: %v", time.Since(began))
	if !c.Healthy() {
		t.Error("a started cluster is not healthy")
	}
	keep(t, c.DSN())
	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on", "listen_addresses": "",
		"server_encoding": "UTF8", "unix_socket_permissions": "0700", "jit": "off",
	} {
		if got := mustQuery(t, c.DSN(), "show "+setting); got != want {
			t.Errorf("%s=%s, want %s", setting, got, want)
		}
	}
	if got := mustQuery(t, c.DSN(), "select datcollate from pg_database where datname = current_database()"); got != "C" {
		t.Errorf("collation %s", got)
	}
	pid := postmasterPID(t, dir)
	stop(t, c)
	if alive(pid) || c.Healthy() {
		t.Error("after Stop postgres still runs or counts as healthy")
	}

	began = time.Now()
	c = start(t, local.Config{Dir: dir, Logger: logs.logger()})
	t.Logf("second start: %v", time.Since(began))
	if got := mustQuery(t, c.DSN(), "select one::text from kept"); got != "1" {
		t.Errorf("kept row: %s", got)
	}
	if strings.Contains(logs.String(), "not properly shut down") {
		t.Error("the stop was not clean")
	}
}

func TestSecondServerOnTheSameDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, local.Config{Dir: dir})
	_, err := local.Start(t.Context(), local.Config{Dir: dir})
	var locked *local.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("got %v, want a refusal that names this process", err)
	}
	if !strings.Contains(err.Error(), "already uses the database in") {
		t.Errorf("text: %s", err)
	}
	if mustQuery(t, c.DSN(), "select 'fine'") != "fine" {
		t.Error("the first server was disturbed")
	}
}

func TestKilledPostmasterIsRestarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var logs recorder
	c := start(t, local.Config{Dir: dir, Logger: logs.logger()})
	keep(t, c.DSN())
	for range 2 {
		pid := postmasterPID(t, dir)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, "the cluster notices", func() bool { return !c.Healthy() })
		await(t, "the cluster is back", c.Healthy)
		if got := mustQuery(t, c.DSN(), "select one::text from kept"); got != "1" {
			t.Errorf("kept row: %s", got)
		}
	}
	if !strings.Contains(logs.String(), "postgres ended unexpectedly") {
		t.Error("the operator was told nothing")
	}
}

func TestStopDuringARestartEndsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, local.Config{Dir: dir})
	if err := syscall.Kill(postmasterPID(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the cluster notices", func() bool { return !c.Healthy() })
	stop(t, c)
	again := start(t, local.Config{Dir: dir})
	if mustQuery(t, again.DSN(), "select 'fine'") != "fine" {
		t.Error("no answer")
	}
}

func TestStopWithOpenSessionsIsClean(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, local.Config{Dir: dir})
	conn, err := pgx.Connect(t.Context(), c.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), "begin; select 1"); err != nil {
		t.Fatal(err)
	}
	stop(t, c)
	var logs recorder
	start(t, local.Config{Dir: dir, Logger: logs.logger()})
	if strings.Contains(logs.String(), "not properly shut down") {
		t.Error("an open session made the stop unclean")
	}
}

// owner starts this binary as the owner of the cluster in dir, as another account when cred is set, and returns the DSN.
func owner(t *testing.T, binary, dir string, cred *syscall.Credential) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(binary, "own-cluster", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("the owner did not start: %v\n%s", err, stderr.String())
	}
	return cmd, strings.TrimSpace(line)
}

func TestKilledServerTakesPostgresWithIt(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a child that its parent died; elsewhere the next start ends the old postmaster")
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd, _ := owner(t, binary, dir, nil)
	pid := postmasterPID(t, dir)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	await(t, "postgres ends by itself", func() bool { return !alive(pid) })
}

func TestKilledServerLeavesNoPostgresAndTheNextStartWorks(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd, dsn := owner(t, binary, dir, nil)
	keep(t, dsn)
	pid := postmasterPID(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// The next start comes at once, while the old postmaster may still be shutting down.
	var logs recorder
	c := start(t, local.Config{Dir: dir, Logger: logs.logger()})
	if alive(pid) {
		t.Error("the old postmaster still runs")
	}
	if got := mustQuery(t, c.DSN(), "select one::text from kept"); got != "1" {
		t.Errorf("kept row: %s", got)
	}
	if strings.Contains(logs.String(), "not properly shut down") {
		t.Error("the death of the server was not a clean stop of the database")
	}
}

func TestKillOfServerAndPostmasterTogetherRecovers(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd, dsn := owner(t, binary, dir, nil)
	keep(t, dsn)
	pid := postmasterPID(t, dir)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	c := start(t, local.Config{Dir: dir})
	if got := mustQuery(t, c.DSN(), "select one::text from kept"); got != "1" {
		t.Errorf("kept row: %s", got)
	}
}

func TestNormalUserRunsItsOwnCluster(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("every other test already runs as a normal user")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, errUID := strconv.Atoi(nobody.Uid)
	gid, errGID := strconv.Atoi(nobody.Gid)
	base, errDir := os.MkdirTemp("/tmp", "ms")
	if err := errors.Join(errUID, errGID, errDir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	binary := copyOfThisBinary(t, base)
	dir := filepath.Join(base, "home", "postgres")
	if err := errors.Join(os.Chmod(base, 0o755), os.Mkdir(filepath.Dir(dir), 0o700), os.Chown(filepath.Dir(dir), uid, gid)); err != nil {
		t.Fatal(err)
	}
	cred := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}
	cmd, dsn := owner(t, binary, dir, cred)
	if got := mustQuery(t, dsn, "select current_user::text"); got != local.Role {
		t.Errorf("root connects as %s", got)
	}
	pid := postmasterPID(t, dir)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	cmd, dsn = owner(t, binary, dir, cred)
	if alive(pid) {
		t.Error("the killed user's postmaster still runs")
	}
	keep(t, dsn)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the user's server did not stop cleanly: %v", err)
	}
	// Root may take the same directory over: the cluster keeps its account.
	c := start(t, local.Config{Dir: dir})
	if got := mustQuery(t, c.DSN(), "select one::text from kept"); got != "1" {
		t.Errorf("kept row: %s", got)
	}
	info, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != uid {
		t.Errorf("the data changed hands: %v", err)
	}
}

func copyOfThisBinary(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "owner")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRootUsesAnUnprivilegedAccountWhetherOrNotItCanReachTheDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for name, mode := range map[string]os.FileMode{"reachable": 0o755, "closed": 0o700} {
		base, err := os.MkdirTemp("/tmp", "ms")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(base) })
		if err := os.Chmod(base, mode); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(base, "postgres")
		c := start(t, local.Config{Dir: dir, User: "postgres"})
		held := strings.HasPrefix(mustQuery(t, c.DSN(), "show data_directory"), "/proc/self/fd/")
		if held != (mode == 0o700) {
			t.Errorf("%s: works through descriptors: %v", name, held)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", postmasterPID(t, dir)))
		if err != nil || strings.Contains(string(status), "Uid:\t0") || !strings.Contains(string(status), "Groups:\t \n") {
			t.Errorf("%s: postmaster runs with\n%s", name, status)
		}
		keep(t, c.DSN())
		mustQuery(t, c.DSN(), "select pg_reload_conf()::text")
	}
}

func TestPidFileWithANumberThatIsNowSomebodyElsesDoesNotStopTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop(t, start(t, local.Config{Dir: dir}))
	info, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	foreign := exec.Command("sleep", "100") // a process of the cluster's own account, which PostgreSQL would respect
	if os.Geteuid() == 0 {
		foreign.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}}
	}
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = foreign.Process.Kill()
		_ = foreign.Wait()
	}()
	text := fmt.Sprintf("%d\n%s\n1\n5432\n\n\n 1 1\nready\n", foreign.Process.Pid, filepath.Join(dir, "data"))
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, local.Config{Dir: dir})
	if mustQuery(t, c.DSN(), "select 'fine'") != "fine" {
		t.Error("no answer")
	}
}

func TestClusterOfAnUnknownVersionStopsWithAPreciseText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Start(t.Context(), local.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no PG_VERSION") {
		t.Errorf("a foreign directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := local.Start(t.Context(), local.Config{Dir: dir})
	var version *local.VersionError
	if !errors.As(err, &version) || version.Cluster != 12 || version.Dir != data {
		t.Errorf("got %v", err)
	}
}

func TestWrongSettingIsReportedInPostgreSQLsWords(t *testing.T) {
	t.Parallel()
	_, err := local.Start(t.Context(), local.Config{Dir: t.TempDir(), Settings: map[string]string{"work_mem": "many"}})
	if err == nil || !strings.Contains(err.Error(), "work_mem") {
		t.Errorf("got %v", err)
	}
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := local.Start(ctx, local.Config{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	c := start(t, local.Config{Dir: dir}) // an unfinished initdb is thrown away
	if mustQuery(t, c.DSN(), "select 'fine'") != "fine" {
		t.Error("no answer")
	}
}
