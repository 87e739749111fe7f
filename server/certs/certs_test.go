package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/certs"
	"github.com/mailserver-dev/mailserver/server/clock"
)

const day = 24 * time.Hour

func fake() *clock.Fake { return clock.NewFake(clock.System().Now()) }

func selfSigned(t *testing.T, dir string, clk clock.Clock, names ...string) *certs.Pair {
	t.Helper()
	p, err := certs.SelfSigned(dir, names, []net.IP{net.IPv4(192, 0, 2, 1)}, clk)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// handshake connects to a server with the pair and returns its leaf.
func handshake(t *testing.T, p *certs.Pair, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		server := tls.Server(conn, p.TLSConfig())
		if server.HandshakeContext(context.Background()) == nil {
			_, _ = io.Copy(io.Discard, server)
		}
	}()
	conn, err := (&tls.Dialer{Config: client}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func trust(t *testing.T, p *certs.Pair, clk clock.Clock, name string) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(read(t, p.CAFile))) {
		t.Fatal("ca.pem is no certificate")
	}
	return &tls.Config{RootCAs: pool, ServerName: name, Time: clk.Now}
}

func TestAClientThatTrustsTheAuthorityConnectsByEveryName(t *testing.T) {
	t.Parallel()
	clk := fake()
	p := selfSigned(t, t.TempDir(), clk, "mail.demo.test", "Demo.test", "203.0.113.9", "localhost", "")
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "mail.demo.test", "demo.test", "192.0.2.1", "203.0.113.9"} {
		if _, err := handshake(t, p, trust(t, p, clk, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handshake(t, p, trust(t, p, clk, "other.test")); err == nil {
		t.Error("the certificate is good for a name that is not ours")
	}
	if _, err := handshake(t, p, &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("a client that does not trust the authority connected")
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	p := selfSigned(t, t.TempDir(), fake())
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if _, err := handshake(t, p, old); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestFilesAreKeptAcrossStartsAndPrivate(t *testing.T) {
	t.Parallel()
	dir, clk := filepath.Join(t.TempDir(), "tls"), fake()
	p := selfSigned(t, dir, clk, "mail.demo.test")
	ca, cert := read(t, p.CAFile), read(t, p.CertFile)
	clk.Advance(300 * day)
	again := selfSigned(t, dir, clk, "mail.demo.test")
	if read(t, again.CAFile) != ca || read(t, again.CertFile) != cert {
		t.Error("a second start made new certificates")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", entry.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v %v", info.Mode(), err)
	}
}

func TestTheLeafIsRenewedAndTheAuthorityKept(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*clock.Fake, *certs.Pair) []string{
		"near its end": func(clk *clock.Fake, _ *certs.Pair) []string { clk.Advance(370 * day); return []string{"a.test"} },
		"another name": func(*clock.Fake, *certs.Pair) []string { return []string{"a.test", "b.test"} },
		"no leaf":      func(_ *clock.Fake, p *certs.Pair) []string { _ = os.Remove(p.CertFile); return []string{"a.test"} },
		"no ca.pem":    func(_ *clock.Fake, p *certs.Pair) []string { _ = os.Remove(p.CAFile); return nil },
		"foreign key": func(_ *clock.Fake, p *certs.Pair) []string {
			_ = os.WriteFile(p.KeyFile, nil, 0o600)
			return []string{"a.test"}
		},
		"clock is back": func(clk *clock.Fake, _ *certs.Pair) []string { clk.Set(clk.Now().Add(-day)); return []string{"a.test"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, clk := t.TempDir(), fake()
			p := selfSigned(t, dir, clk, "a.test")
			ca, cert := read(t, p.CAFile), read(t, p.CertFile)
			names := spoil(clk, p)
			p = selfSigned(t, dir, clk, names...)
			if read(t, p.CAFile) != ca {
				t.Error("the authority was replaced")
			}
			if read(t, p.CertFile) == cert {
				t.Error("the leaf was not renewed")
			}
			if name == "clock is back" {
				return // such an authority is not valid yet either, for a strict client
			}
			if _, err := handshake(t, p, trust(t, p, clk, "localhost")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestARunningServerRenewsItsLeaf(t *testing.T) {
	t.Parallel()
	clk := fake()
	p := selfSigned(t, t.TempDir(), clk)
	before, ca := p.NotAfter(), read(t, p.CAFile)
	clk.Advance(380 * day)
	leaf, err := handshake(t, p, trust(t, p, clk, "localhost"))
	if err != nil {
		t.Fatal(err)
	}
	if !leaf.NotAfter.After(before) || p.Err() != nil || read(t, p.CAFile) != ca {
		t.Errorf("the leaf still ends %v, %v", leaf.NotAfter, p.Err())
	}
}

func TestAnAuthorityThatEndsIsReplacedInTime(t *testing.T) {
	t.Parallel()
	dir, clk := t.TempDir(), fake()
	ca := read(t, selfSigned(t, dir, clk).CAFile)
	clk.Advance(9*365*day - 20*day)
	p := selfSigned(t, dir, clk)
	if read(t, p.CAFile) == ca {
		t.Error("the authority would end before its leaf")
	}
	if _, err := handshake(t, p, trust(t, p, clk, "localhost")); err != nil {
		t.Error(err)
	}
}

func TestADamagedAuthorityIsNotReplacedSilently(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	selfSigned(t, dir, fake())
	if err := os.WriteFile(filepath.Join(dir, "ca-key.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.SelfSigned(dir, nil, nil, fake()); err == nil {
		t.Error("no error")
	}
}

func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	t.Parallel()
	clk := fake()
	first, second := selfSigned(t, t.TempDir(), clk, "first.test"), selfSigned(t, t.TempDir(), clk, "second.test")
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c"), filepath.Join(dir, "k")
	install := func(from, to string) {
		t.Helper()
		if err := os.WriteFile(to+".tmp", []byte(read(t, from)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(to+".tmp", to); err != nil {
			t.Fatal(err)
		}
		stamp := clk.Now() // tells the new file from an old one of the same size
		if err := os.Chtimes(to, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	install(first.CertFile, certFile)
	install(first.KeyFile, keyFile)
	p, err := certs.Files(certFile, keyFile, clk)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		t.Helper()
		cert, err := p.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.DNSNames[1]
	}
	if got := shown(); got != "first.test" {
		t.Fatalf("shows %s", got)
	}

	clk.Advance(time.Minute)
	install(second.CertFile, certFile)
	if got := shown(); got != "first.test" || p.Err() == nil {
		t.Errorf("with half of the new files it shows %s, %v", got, p.Err())
	}
	clk.Advance(time.Minute)
	install(second.KeyFile, keyFile)
	if got := shown(); got != "second.test" || p.Err() != nil {
		t.Errorf("with both new files it shows %s, %v", got, p.Err())
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	clk.Advance(time.Minute)
	if got := shown(); got != "second.test" || p.Err() == nil {
		t.Errorf("without its files it shows %s, %v", got, p.Err())
	}
}

func TestMissingOrWrongFilesAreAnErrorAtStart(t *testing.T) {
	t.Parallel()
	p := selfSigned(t, t.TempDir(), fake())
	other := selfSigned(t, t.TempDir(), fake())
	for _, files := range [][2]string{{"/nowhere", p.KeyFile}, {p.CertFile, "/nowhere"}, {p.CertFile, other.KeyFile}, {p.KeyFile, p.CertFile}} {
		if _, err := certs.Files(files[0], files[1], fake()); err == nil {
			t.Errorf("%v: no error", files)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.SelfSigned(file, nil, nil, fake()); err == nil {
		t.Error("a file was taken for a folder")
	}
}

func TestOpenSSLAcceptsTheChain(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed (apt install openssl)")
	}
	p := selfSigned(t, t.TempDir(), clock.System(), "mail.demo.test")
	out, err := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-verify_hostname", "mail.demo.test",
		"-CAfile", p.CAFile, p.CertFile).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
