package imapd_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// TestMain runs the tests, or is the clients of the measurement of idle connections: they live in a process of their own, which is
// this program started again.
func TestMain(m *testing.M) {
	clients := flag.String("idle-clients", "", "be the clients of a measurement: address email connections ca-file")
	flag.Parse()
	if *clients == "" {
		os.Exit(m.Run())
	}
	if err := idleClients(strings.Fields(*clients), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// idleClients signs in so often, reads the mail, says that it is ready, and stays in IDLE until the end of in.
func idleClients(words []string, in io.Reader, out io.Writer) error {
	if len(words) != 4 {
		return fmt.Errorf("want address email connections ca-file, got %q", words)
	}
	n, err := strconv.Atoi(words[2])
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(words[3])
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	kept := make([]*tls.Conn, 0, n) // what nobody holds is closed by the collector
	for range n {
		nc, err := tls.Dial("tcp", words[0], &tls.Config{RootCAs: pool, ServerName: "localhost"})
		if err != nil {
			return err
		}
		kept = append(kept, nc)
		br := bufio.NewReader(nc)
		fmt.Fprintf(nc, "a LOGIN %s %q\r\nb SELECT INBOX\r\nc FETCH 1:* (FLAGS BODY.PEEK[])\r\nd IDLE\r\n", words[1], password)
		for line := ""; !strings.HasPrefix(line, "+ "); {
			if line, err = br.ReadString('\n'); err != nil {
				return err
			}
		}
	}
	fmt.Fprintln(out, "ready")
	_, err = io.Copy(io.Discard, in) // until whoever measures lets go
	runtime.KeepAlive(kept)
	return err
}

// TestAnIdleConnectionIsSmall measures what a TLS connection in IDLE costs the server: heap and stacks, after it has read mail.
func TestAnIdleConnectionIsSmall(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("memory is not what it is in service")
	}
	const connections, most = 200, 60 << 10
	e := newEnv(t)
	w := e.person("ann")
	for i := range 50 {
		w.deliver("INBOX", note(i)+strings.Repeat("0123456789abcdef\r\n", 2000))
	}
	w.in("INBOX") // what the first session costs is not the price of one
	before := memory()
	stop := e.startIdleClients(w, connections)
	defer stop()
	each := (memory() - before) / connections
	t.Logf("%.1f KiB for each of %d connections", float64(each)/1024, connections)
	if each > most {
		t.Errorf("an idle connection costs %d octets, more than %d", each, most)
	}
}

func memory() uint64 {
	for range 3 {
		debug.FreeOSMemory() // stacks shrink by a half at each collection
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func (e *env) startIdleClients(w *person, n int) (stop func()) {
	e.t.Helper()
	pair, _ := certificateOnce()
	ca := filepath.Join(e.t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600); err != nil {
		e.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], fmt.Sprintf("-idle-clients=%s %s %d %s", e.secure, w.email, n, ca))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	said, lines := "", bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		said += lines.Text() + "\n"
	}
	if lines.Text() != "ready" {
		e.t.Fatalf("the clients did not come up:\n%s", said)
	}
	return func() {
		in.Close()
		io.Copy(io.Discard, out) //nolint:errcheck // the end is what counts
		cmd.Wait()               //nolint:errcheck // as above
	}
}

// large makes a mailbox of n small messages.
func (w *person) large(n int) {
	w.e.t.Helper()
	var wg sync.WaitGroup
	parts := make(chan []int)
	for range 4 {
		wg.Go(func() {
			for part := range parts {
				letters := make([]mailbox.Letter, len(part))
				for i, k := range part {
					var err error
					if letters[i], err = w.tryLetter("INBOX", note(k)); err != nil {
						w.e.t.Error(err)
						return
					}
				}
				if _, err := w.e.mailboxes.Deliver(w.e.t.Context(), letters); err != nil {
					w.e.t.Error(err)
				}
			}
		})
	}
	for from := 0; from < n; from += 100 {
		part := make([]int, 0, 100)
		for i := from; i < min(n, from+100); i++ {
			part = append(part, i)
		}
		parts <- part
	}
	close(parts)
	wg.Wait()
}

func BenchmarkLargeMailbox(b *testing.B) {
	e := newEnv(b)
	w := e.person("ann")
	w.large(10_000)
	c := w.in("INBOX")
	for name, command := range map[string]string{
		"select":         "SELECT INBOX",
		"flags":          "FETCH 1:* (UID FLAGS)",
		"list":           "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
		"header fields":  "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (From Subject)])",
		"bodies":         "FETCH 1:* BODY.PEEK[]",
		"search subject": `SEARCH SUBJECT "note 777"`,
		"search text":    `SEARCH TEXT "note 777"`,
		"one message":    "UID FETCH 5000 BODY.PEEK[]",
		"store one":      `UID STORE 5000 FLAGS.SILENT (\Seen)`,
		"noop":           "NOOP",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.skim(command)
			}
		})
	}
}

// skim sends a command and reads its answer without keeping it.
func (c *client) skim(command string) {
	tag := c.start("%s", command)
	for {
		line, err := c.br.ReadSlice('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if strings.HasPrefix(string(line[:min(len(line), len(tag)+1)]), tag+" ") {
			return
		}
	}
}
