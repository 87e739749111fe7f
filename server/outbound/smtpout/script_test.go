package smtpout

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// script is a server that follows transcripts, one for each connection in the order in which they come. Lines of a transcript:
//
//	S: text    say it; neighbouring lines go out in one write
//	C: text    the client must say exactly this next
//	TLS        do the handshake; PLAIN answer it with something that is no TLS, and close
//	DRIP text  say a line octet by octet for ever
//	SPAM text  say a line again and again until the client goes
//	GATE       wait until the test opens the gate; ARRIVE tells it that the script is here
//	CLOSE      close; RESET close with RST
//	EOF        the client must close now
//
// At the end of a transcript the client may say QUIT and must close.
type script struct {
	t        *testing.T
	addr     netip.AddrPort
	cert     tls.Certificate
	roots    *x509.CertPool
	gate     chan struct{}
	arrived  chan struct{}
	listener net.Listener

	mu    sync.Mutex
	lines [][]string
	next  int
	wg    sync.WaitGroup
}

// serve starts a script at an address such as "127.0.0.1:0".
func serve(t *testing.T, address string, transcripts ...string) *script {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, listener: l, addr: netip.MustParseAddrPort(l.Addr().String()), gate: make(chan struct{}), arrived: make(chan struct{}, 100)}
	s.cert, s.roots = certificate(t, "mx.dest.test", "relay.test")
	for _, text := range transcripts {
		s.lines = append(s.lines, strings.Split(strings.TrimSpace(text), "\n"))
	}
	s.wg.Go(s.accept)
	t.Cleanup(func() {
		l.Close()
		s.wg.Wait()
		if s.next != len(s.lines) {
			t.Errorf("%s: %d connections, want %d", s.addr, s.next, len(s.lines))
		}
	})
	return s
}

func (s *script) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		n := s.next
		s.next++
		s.mu.Unlock()
		if n >= len(s.lines) {
			s.t.Errorf("%s: connection %d was not expected", s.addr, n+1)
			conn.Close()
			continue
		}
		s.wg.Go(func() { s.play(conn, s.lines[n]) })
	}
}

func (s *script) play(raw net.Conn, lines []string) {
	conn, r := raw, bufio.NewReader(raw)
	defer func() { conn.Close() }()
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	var out bytes.Buffer
	for _, line := range append(lines, "END") {
		line = strings.TrimSpace(line)
		word, text, _ := strings.Cut(line, " ")
		if word == "" {
			continue
		}
		if word == "S:" {
			out.WriteString(text + "\r\n")
			continue
		}
		_, _ = io.Copy(conn, &out)
		switch word {
		case "C:":
			got, err := r.ReadString('\n')
			if got != text+"\r\n" {
				s.t.Errorf("%s: the client said %q (%v), want %q", s.addr, got, err, text)
				return
			}
		case "TLS":
			tlsConn := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}})
			if err := tlsConn.Handshake(); err != nil {
				return // the client says what it thinks of it
			}
			conn, r = tlsConn, bufio.NewReader(tlsConn)
		case "PLAIN":
			_, _ = r.Peek(100)
			_, _ = io.WriteString(conn, "this is no TLS at all\r\n")
			return
		case "DRIP", "SPAM":
			s.pour(conn, word, text)
			return
		case "GATE":
			<-s.gate
		case "ARRIVE":
			s.arrived <- struct{}{}
		case "RESET":
			_ = raw.(*net.TCPConn).SetLinger(0)
			raw.Close()
			return
		case "CLOSE":
			return
		case "EOF":
			if got, err := r.ReadString('\n'); err == nil {
				s.t.Errorf("%s: the client said %q instead of going", s.addr, got)
			}
			return
		case "END":
			got, err := r.ReadString('\n')
			if err == nil && got == "QUIT\r\n" {
				_, _ = io.WriteString(conn, "221 2.0.0 bye\r\n")
				_, err = r.ReadString('\n')
			}
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				s.t.Errorf("%s: after the transcript came %q (%v)", s.addr, got, err)
			}
		default:
			s.t.Errorf("unknown line %q", line)
		}
	}
}

// pour speaks until the client goes.
func (s *script) pour(conn net.Conn, how, text string) {
	for i := 0; ; i++ {
		piece := text + "\r\n"
		if how == "DRIP" {
			piece = text[i%len(text):][:1]
			<-time.After(5 * time.Millisecond)
		}
		if _, err := io.WriteString(conn, piece); err != nil {
			return
		}
	}
}

// certificate makes a certificate that vouches for itself.
func certificate(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// world is a client whose domain dest.test has mx.dest.test at the script's address.
type world struct {
	*Client
	clk  *clock.Fake
	fake *dns.Fake
	logs *strings.Builder
}

// meet makes a world with a client. Timeouts are short where a test may run into them.
func meet(t *testing.T, s *script, change ...func(*Config)) *world {
	t.Helper()
	cfg := Config{
		Hostname: "our.test",
		Allow:    []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Shuffle:  func(int, func(int, int)) {},
		Timeouts: Timeouts{Quit: time.Second, Grace: 200 * time.Millisecond},
	}
	records := map[string][]string{"MX dest.test": {"10 mx.dest.test"}}
	if s != nil {
		cfg.Port = int(s.addr.Port())
		records["A mx.dest.test"] = []string{s.addr.Addr().String()}
		cfg.Roots = s.roots
	}
	for _, f := range change {
		f(&cfg)
	}
	w := &world{clk: clock.NewFake(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)), fake: dns.NewFake(records), logs: &strings.Builder{}}
	w.Client = New(cfg, w.fake, w.clk, slog.New(slog.NewTextHandler(w.logs, nil)))
	return w
}

// courier gives a courier to dest.test that is closed when the test ends.
func (w *world) courier(t *testing.T) *Courier {
	t.Helper()
	c := w.Courier("dest.test")
	t.Cleanup(c.Close)
	return c
}

func addresses(list ...string) []mail.Address {
	var out []mail.Address
	for _, text := range list {
		local, domain, _ := strings.Cut(text, "@")
		out = append(out, mail.Address{Local: local, Domain: domain})
	}
	return out
}

// letter is a letter from alice@our.test.
func letter(body string, to ...string) Letter {
	if len(to) == 0 {
		to = []string{"bob@dest.test"}
	}
	return Letter{
		From: addresses("alice@our.test")[0], To: addresses(to...), Size: int64(len(body)),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil },
	}
}

const hi = "Subject: hi\r\n\r\nhi\r\n"

// show writes results in a line each, as tests expect them.
func show(results []Result) string {
	var lines []string
	for _, r := range results {
		line := r.Outcome.String() + " " + r.Reply()
		if r.Class != "" {
			line += " (" + r.Class + ")"
		}
		if r.TLS != "" {
			line += " " + r.TLS
		}
		if r.HostTrouble {
			line += " trouble"
		}
		if r.MaybeDelivered {
			line += " maybe"
		}
		if r.RetryAfter > 0 {
			line += " after " + r.RetryAfter.String()
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func want(t *testing.T, got []Result, lines ...string) {
	t.Helper()
	shown := show(got)
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "$SIZE", strconv.Itoa(len(hi)))
	}
	if expected := strings.Join(lines, "\n"); shown != expected {
		t.Errorf("got\n%s\nwant\n%s", shown, expected)
	}
}

// Pieces of transcripts.
const (
	greeting = `S: 220 mx.dest.test ESMTP
C: EHLO our.test
S: 250-mx.dest.test
S: 250-PIPELINING
S: 250-SIZE 10000000
S: 250 8BITMIME
`
	envelope1 = `C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<bob@dest.test>
S: 250 2.1.0 ok
S: 250 2.1.5 ok
`
	content = `C: DATA
S: 354 go
C: Subject: hi
C: 
C: hi
C: .
S: 250 2.0.0 queued
`
	reset = `C: RSET
`
	resetOK = `S: 250 2.0.0 flushed
`
)
