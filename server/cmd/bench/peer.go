package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// peerName is the column of the table.
const peerName = "postfix+dovecot"

// The programs of the peer, where Debian and Ubuntu put them.
const (
	postfixPath = "/usr/sbin/postfix"
	postfixDir  = "/usr/lib/postfix/sbin"
	postfixMeta = "/etc/postfix"
	postfixLibs = "/usr/lib/postfix"
	dovecotPath = "/usr/sbin/dovecot"
	doveadmPath = "/usr/bin/doveadm"
)

// firstUID is the uid of the first account; each has one of its own, because the kernel grants inotify instances per uid and
// Dovecot takes one for each idle connection.
const firstUID = 5001

// peer is a private instance of Postfix and Dovecot. Nothing of it lies outside base and sockets.
type peer struct {
	base    string // absolute; configuration, queue, mail and logs, on the disk under test
	sockets string // a short path for Dovecot's sockets, whose names must fit into 107 bytes
	sinkAt  string
	log     *os.File
	dialer  *dialer
	ports   []string // SMTP, submission, IMAPS, LMTP
	running *server
	version string
}

// newPeer writes the configuration, or says why the peer cannot run here.
func newPeer(ctx context.Context, base, sinkAt string, d *dialer) (*peer, error) {
	if err := peerMissing(); err != nil {
		return nil, err
	}
	p := &peer{base: base, sinkAt: sinkAt, dialer: d}
	var err error
	if p.version, err = peerVersion(ctx); err != nil {
		return nil, err
	}
	if p.ports, err = freePorts(ctx, 4); err != nil {
		return nil, err
	}
	if p.sockets, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	if err := p.write(ctx); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	if p.log, err = openLog(filepath.Join(base, "log", "console.log")); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return p, nil
}

// remove takes away what lies outside the folder of the run.
func (p *peer) remove() error { return os.RemoveAll(p.sockets) }

// peerMissing says what keeps the peer from running here.
func peerMissing() error {
	if os.Geteuid() != 0 {
		return errors.New("it takes root: Postfix and Dovecot change to other accounts")
	}
	for _, path := range []string{postfixPath, filepath.Join(postfixDir, "master"), dovecotPath, doveadmPath, "/usr/lib/dovecot/imap", "/usr/lib/dovecot/lmtp"} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s is not there: .ci/install-packages.sh peers installs it", path)
		}
	}
	return nil
}

// peerVersion asks both programs. The configuration that we write is that of Dovecot 2.3; 2.4 has another form.
func peerVersion(ctx context.Context) (string, error) {
	dovecot, err := exec.CommandContext(ctx, dovecotPath, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("dovecot --version: %w", err)
	}
	if !strings.HasPrefix(string(dovecot), "2.3.") {
		return "", fmt.Errorf("dovecot is %.20s, and the configuration is written for 2.3", dovecot)
	}
	postfix, err := exec.CommandContext(ctx, "/usr/sbin/postconf", "-d", "-h", "mail_version").Output()
	if err != nil {
		return "", fmt.Errorf("postconf: %w", err)
	}
	release, _, _ := strings.Cut(string(dovecot), " ")
	return "postfix " + strings.TrimSpace(string(postfix)) + ", dovecot " + strings.TrimSpace(release), nil
}

// write makes folders, certificate, accounts and configuration.
func (p *peer) write(ctx context.Context) error {
	for dir := p.base; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(filepath.Dir(dir)); err != nil || info.Mode()&0o001 == 0 {
			return fmt.Errorf("%s does not let the accounts of the peer pass", filepath.Dir(dir))
		}
	}
	for _, dir := range []string{"", "postfix", "queue", "data", "dovecot", "log", "mail"} {
		if err := os.MkdirAll(filepath.Join(p.base, dir), 0o755); err != nil { //nolint:gosec // other accounts pass through
			return err
		}
	}
	if err := os.Chmod(p.sockets, 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	if err := selfSigned(filepath.Join(p.base, "cert.pem"), filepath.Join(p.base, "key.pem")); err != nil {
		return err
	}
	if err := p.writeAccounts(ctx); err != nil {
		return err
	}
	if err := giveTo("postfix", filepath.Join(p.base, "data")); err != nil {
		return err
	}
	files := map[string]string{"dovecot/dovecot.conf": dovecotConf, "postfix/main.cf": postfixMain, "postfix/master.cf": postfixMaster}
	for name, text := range files {
		//nolint:gosec // the daemons read it as other accounts
		if err := os.WriteFile(filepath.Join(p.base, name), []byte(p.fill(text)), 0o644); err != nil {
			return err
		}
	}
	// "postfix check" makes the folders of the queue.
	check := exec.CommandContext(ctx, postfixPath, "-c", filepath.Join(p.base, "postfix"), "check")
	if out, err := check.CombinedOutput(); err != nil {
		return fmt.Errorf("postfix check: %w: %.300s", err, out)
	}
	return nil
}

// writeAccounts makes the accounts with a home each.
func (p *peer) writeAccounts(ctx context.Context) error {
	hash, err := exec.CommandContext(ctx, doveadmPath, "-c", os.DevNull, "pw", "-s", "SHA512-CRYPT", "-p", password).Output()
	if err != nil {
		return fmt.Errorf("doveadm pw: %w", err)
	}
	var lines strings.Builder
	for n, email := range append(accounts(), bigUser) {
		home := filepath.Join(p.base, "mail", email)
		if err := os.MkdirAll(home, 0o700); err != nil {
			return err
		}
		if err := os.Chown(home, firstUID+n, firstUID); err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%s:%s:%d:%d::%s::\n", email, strings.TrimSpace(string(hash)), firstUID+n, firstUID, home)
	}
	//nolint:gosec // Dovecot's account reads it; the password is in the source
	return os.WriteFile(filepath.Join(p.base, "dovecot", "users"), []byte(lines.String()), 0o644)
}

// giveTo makes an account of the system the owner of a folder.
func giveTo(name, dir string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, -1)
}

// fill puts paths and ports into a configuration.
func (p *peer) fill(text string) string {
	port := func(n int) string {
		_, text, _ := net.SplitHostPort(p.ports[n])
		return text
	}
	host, sinkPort, _ := net.SplitHostPort(p.sinkAt)
	return strings.NewReplacer(
		"{base}", p.base, "{sockets}", p.sockets, "{domain}", mailDomain, "{sink_domain}", sinkDomain,
		"{sink}", "["+host+"]:"+sinkPort, "{uid}", strconv.Itoa(firstUID), "{daemons}", postfixDir, "{meta}", postfixMeta, "{libs}", postfixLibs,
		"{smtp}", p.ports[0], "{submission}", p.ports[1], "{imaps}", port(2), "{lmtp}", port(3),
	).Replace(text)
}

// start runs Dovecot and Postfix in the foreground, as our own children.
func (p *peer) start(ctx context.Context) (*server, error) {
	s := &server{name: peerName, smtp: p.ports[0], submission: p.ports[1], imaps: p.ports[2], dialer: p.dialer, sends: true}
	p.running = s
	var err error
	if s.secure, err = trust(filepath.Join(p.base, "cert.pem")); err != nil {
		return nil, err
	}
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}
	for _, c := range []command{
		{path: dovecotPath, args: []string{"-F", "-c", filepath.Join(p.base, "dovecot", "dovecot.conf")}},
		{path: filepath.Join(postfixDir, "master"), args: []string{"-s", "-c", filepath.Join(p.base, "postfix")}},
	} {
		c.env, c.log = env, p.log
		if c.path != dovecotPath {
			c.env = append(c.env, "MAIL_CONFIG="+filepath.Join(p.base, "postfix"))
		}
		process, err := c.launch(ctx)
		if err != nil {
			return nil, err
		}
		s.processes = append(s.processes, process)
	}
	return s, p.await(ctx, s)
}

// await waits until every port answers.
func (p *peer) await(ctx context.Context, s *server) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for _, address := range p.ports {
		for {
			if err := s.alive(); err != nil {
				return fmt.Errorf("%w; see %s", err, filepath.Join(p.base, "log"))
			}
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", address)
			if err == nil {
				conn.Close()
				break
			}
			if !pause(ctx, 50*time.Millisecond) {
				return fmt.Errorf("%s: nobody listens at %s after %s; see %s", s.name, address, startWithin, filepath.Join(p.base, "log"))
			}
		}
	}
	return nil
}

// stop ends both, Postfix first: Dovecot's authentication waits for those who are connected to it.
func (p *peer) stop(ctx context.Context) error {
	if p.running == nil {
		return nil
	}
	var errs []error
	for _, process := range slices.Backward(p.running.processes) {
		errs = append(errs, process.stop(ctx, stopWithin))
	}
	p.running = nil
	return errors.Join(errs...)
}
