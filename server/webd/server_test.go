package webd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/certs"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/webd"
)

// serve starts a server on loopback and returns its address. It is stopped
// with the test.
func serve(t *testing.T, opts webd.ServerOptions) (*webd.Server, string) {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	srv := webd.NewServer(opts)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return srv, ln.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func hello() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestTimeout)
			return
		}
		_, _ = io.WriteString(w, r.Proto)
	})
}

func TestHTTPSSpeaksHTTP2WithOurCertificate(t *testing.T) {
	t.Parallel()
	pair, err := certs.SelfSigned(t.TempDir(), nil, nil, clock.System())
	if err != nil {
		t.Fatal(err)
	}
	_, addr := serve(t, webd.ServerOptions{Handler: hello(), TLS: pair.TLSConfig()})
	ca, err := os.ReadFile(pair.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("https://"+addr+"/", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "HTTP/2.0" {
		t.Errorf("%s", body)
	}
}

func TestASlowHeaderIsCutOff_S13(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, webd.ServerOptions{Handler: hello(), Limits: config.HTTPLimits{HeaderTimeout: 50 * time.Millisecond}})
	conn := dial(t, addr)
	send(t, conn, "GET / HTTP/1.1\r\nHost: x\r\n")
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the connection was not closed by the server: %v", err)
	}
}

func TestAHugeHeaderIsRefused_S13(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, webd.ServerOptions{Handler: hello()})
	for size, want := range map[int]int{16 << 10: http.StatusOK, 48 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		conn := dial(t, addr)
		send(t, conn, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("a", size)+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: %d", size, resp.StatusCode)
		}
	}
}

func TestConnectionsBeyondTheLimitAreClosedAndPlacesComeBack_S14(t *testing.T) {
	t.Parallel()
	metrics := obs.NewMetrics()
	_, addr := serve(t, webd.ServerOptions{Handler: hello(), Limits: config.HTTPLimits{Connections: 2, ConnectionsPerIP: 1}, Metrics: metrics})
	request := func(conn net.Conn) error {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
	// Loopback is not counted per address, so two fit.
	first, second := dial(t, addr), dial(t, addr)
	for _, conn := range []net.Conn{first, second} {
		if err := request(conn); err != nil {
			t.Fatal(err)
		}
	}
	if err := request(dial(t, addr)); err == nil {
		t.Error("a third connection was served")
	}
	if got := active(t, metrics); got != "2" {
		t.Errorf("%s active connections", got)
	}
	first.Close()
	deadline := time.Now().Add(10 * time.Second)
	for request(dial(t, addr)) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the place did not come back")
		}
	}
}

func active(t *testing.T, m *obs.Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	for line := range strings.Lines(rec.Body.String()) {
		if value, ok := strings.CutPrefix(line, `mailserver_active_connections{protocol="http"} `); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestShutdownLetsARequestFinishAndEndsStreamsByTheHook(t *testing.T) {
	t.Parallel()
	started, stopping := make(chan struct{}), make(chan struct{})
	srv := webd.NewServer(webd.ServerOptions{
		Logger: slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(started)
			<-stopping
			_, _ = io.WriteString(w, "whole")
		}),
	})
	srv.OnShutdown(func() { close(stopping) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-started
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-answer; got != "whole" {
		t.Errorf("the client got %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	srv := webd.NewServer(webd.ServerOptions{
		Logger: slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(started)
			<-r.Context().Done()
		}),
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	send(t, dial(t, ln.Addr().String()), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestServeReportsAListenerThatIsGone(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := webd.NewServer(webd.ServerOptions{Handler: hello(), Logger: slog.New(slog.DiscardHandler)}).Serve(ln); err == nil {
		t.Error("no error")
	}
}
