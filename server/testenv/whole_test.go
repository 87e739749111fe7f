package testenv_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/testenv"
)

const letter = "From: Someone <someone@outside.test>\r\nTo: alice@demo.test\r\nSubject: %s\r\nDate: Wed, 25 Nov 2026 15:00:00 +0000\r\n" +
	"Message-ID: <%s@outside.test>\r\n\r\nhello alice\r\n"

// A1, A4, A5, A6: a letter from outside is refused or kept at once, and a client in IDLE sees it.
func TestALetterArrivesAndIsPushedToAWaitingClient(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	seen := make(chan uint32, 16)
	c := s.IMAPWith(t, s.Alice(), &imapclient.UnilateralDataHandler{Mailbox: func(data *imapclient.UnilateralDataMailbox) {
		if data.NumMessages != nil {
			seen <- *data.NumMessages
		}
	}})
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	idle, err := c.Idle()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := s.Arrive("someone@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "first", "m1")); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-seen:
		if n != 1 {
			t.Errorf("EXISTS %d, want 1", n)
		}
		t.Logf("pushed %s after the connection to port 25 was opened", time.Since(begin))
	case <-time.After(testenv.Patience):
		t.Fatal("the waiting client was not told")
	}
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Wait(); err != nil {
		t.Fatal(err)
	}
	body := fetchOne(t, c, 1)
	for _, want := range []string{"Return-Path: <someone@outside.test>", "Delivered-To: alice@demo.test", "Received: from", "Authentication-Results: localhost; none", "hello alice"} {
		if !strings.Contains(body, want) {
			t.Errorf("the letter lacks %q:\n%s", want, body)
		}
	}
	if err := s.Arrive("someone@outside.test", []string{"nobody@demo.test"}, "x"); err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("a letter to nobody was answered %v", err)
	}
	if err := s.Arrive("someone@outside.test", []string{"a@elsewhere.test"}, "x"); err == nil || !strings.Contains(err.Error(), "relaying denied") {
		t.Errorf("a letter to a foreign domain was answered %v: an open relay", err)
	}
}

func fetchOne(t *testing.T, c *imapclient.Client, seq uint32) string {
	t.Helper()
	messages, err := c.Fetch(imap.SeqSetNum(seq), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{}}}).Collect()
	if err != nil || len(messages) != 1 || len(messages[0].BodySection) != 1 {
		t.Fatalf("fetch %d: %d messages, %v", seq, len(messages), err)
	}
	return string(messages[0].BodySection[0].Bytes)
}

// The four ways of one program: an API email is filed for a local user, kept by the sink for others, and its history is told.
func TestAnAPIEmailReachesTheMailboxAndTheSink(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	client := s.SDK(t)
	accepted, err := client.Emails.Send(t.Context(), mailserver.EmailSend{
		From: "Shop <shop@demo.test>", To: []string{s.Alice().Email, "x@elsewhere.test"}, Bcc: []string{"bob@demo.test"}, Subject: "Grüße", Text: "hello",
		HTML: "<p>hello</p>", Attachments: []mailserver.Attachment{{Filename: "ä.txt", Content: []byte("hi")}}, Tags: []mailserver.Tag{{Name: "receipt"}},
		Metadata: map[string]string{"order": "42"}, Headers: map[string]string{"X-Order": "42"},
	})
	if err != nil || len(accepted.Recipients) != 3 {
		t.Fatalf("%+v, %v", accepted, err)
	}
	email := wait(t, client, accepted.ID)
	if email.Metadata["order"] != "42" || len(email.Tags) != 1 || email.Tags[0].Name != "receipt" {
		t.Errorf("the email came back as %+v", email)
	}
	for _, r := range email.Recipients {
		want := "local"
		if strings.HasSuffix(r.Email, "elsewhere.test") {
			want = "sink"
		}
		if r.Transport != want {
			t.Errorf("%s went by %q, want %q", r.Email, r.Transport, want)
		}
	}
	c := s.IMAP(t, s.Alice())
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	body := fetchOne(t, c, 1)
	if !strings.Contains(body, "X-Order: 42") || strings.Contains(strings.ToLower(body), "bcc:") || strings.Contains(body, "bob@demo.test") {
		t.Errorf("the letter reads\n%s", body)
	}
	var types []string
	testenv.Eventually(t, "the history is complete", func() bool {
		types = nil
		for e, err := range client.Emails.Events(t.Context(), accepted.ID) {
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, e.Type)
		}
		return len(types) == 4
	})
	if types[0] != "email.accepted" || types[1] != "email.delivered" {
		t.Errorf("history %q", types)
	}
	sink, err := client.Sink.List(t.Context(), mailserver.ListSink{})
	if err != nil || len(sink.Items) != 1 || sink.Items[0].To != "x@elsewhere.test" {
		t.Errorf("the sink holds %+v, %v", sink, err)
	}
}

// wait gives an email when it is delivered.
func wait(t *testing.T, client *mailserver.Client, id string) *mailserver.Email {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	defer cancel()
	email, err := client.Emails.Wait(ctx, id, mailserver.EmailStatusDelivered)
	if err != nil {
		t.Fatal(err)
	}
	return email
}

// lossy does the first request of each method and loses the answer.
type lossy struct {
	lost map[string]int
}

// RoundTrip implements http.RoundTripper.
func (l *lossy) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && l.lost[req.Method] == 0 {
		l.lost[req.Method] = res.StatusCode
		res.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return res, err
}

// DESIGN §4, idempotency: when the answer is lost on the way, the SDK asks again, and the email is sent once.
func TestALostAnswerSendsNothingTwice(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	wire := &lossy{lost: map[string]int{}}
	client := s.SDK(t, mailserver.WithHTTPClient(&http.Client{Transport: wire}))
	accepted, err := client.Emails.Send(t.Context(), mailserver.EmailSend{From: "a@demo.test", To: []string{s.Bob().Email}, Text: "once"})
	if err != nil || wire.lost[http.MethodPost] != http.StatusAccepted {
		t.Fatalf("%v; the lost answer was %d", err, wire.lost[http.MethodPost])
	}
	var all []string
	for e, err := range client.Emails.All(t.Context(), mailserver.ListEmails{Recipient: s.Bob().Email}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.ID)
	}
	if len(all) != 1 || all[0] != accepted.ID {
		t.Errorf("the server has %q, the answer was %s", all, accepted.ID)
	}
}

// A test key runs the whole way and touches no mailbox.
func TestMailOfATestKeyTouchesNoMailbox(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	accepted, err := s.SDKAs(t, s.Demo.TestAPIKey).Emails.Send(t.Context(), mailserver.EmailSend{
		From: "a@demo.test", To: []string{s.Alice().Email}, Text: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	if email := wait(t, s.SDK(t), accepted.ID); email.Recipients[0].Transport != "test" {
		t.Errorf("transport %q", email.Recipients[0].Transport)
	}
	status, err := s.IMAP(t, s.Alice()).Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	if err != nil || *status.NumMessages != 0 {
		t.Errorf("the mailbox was touched: %+v, %v", status, err)
	}
}

// S-6, S-7, I-59: who submits can neither be spoofed nor be spied on.
func TestASubmitterWritesInTheirOwnNameOnly_S6(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	good := "From: Alice <alice@demo.test>\r\nTo: bob@demo.test\r\nBcc: secret@elsewhere.test\r\nSubject: own\r\n\r\nhi\r\n"
	if err := s.Submit(s.Alice(), []string{s.Bob().Email}, good); err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string]string{
		"From of another":          "From: bob@demo.test\r\n\r\nx\r\n",
		"two From fields":          "From: alice@demo.test\r\nFrom: bob@demo.test\r\n\r\nx\r\n",
		"two authors":              "From: alice@demo.test, bob@demo.test\r\n\r\nx\r\n",
		"Sender of another":        "From: alice@demo.test\r\nSender: bob@demo.test\r\n\r\nx\r\n",
		"a group with another":     "From: g: bob@demo.test;\r\n\r\nx\r\n",
		"an address as the name":   "From: \"alice@demo.test\" <bob@demo.test>\r\n\r\nx\r\n",
		"no From at all":           "Subject: x\r\n\r\nx\r\n",
		"two Subject fields":       "From: alice@demo.test\r\nSubject: a\r\nSubject: b\r\n\r\nx\r\n",
		"a foreign domain as From": "From: alice@elsewhere.test\r\n\r\nx\r\n",
	} {
		if err := s.Submit(s.Alice(), []string{s.Bob().Email}, message); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	c := s.IMAP(t, s.Bob())
	testenv.Eventually(t, "bob has the letter", func() bool {
		status, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
		return err == nil && *status.NumMessages == 1
	})
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	body := fetchOne(t, c, 1)
	if strings.Contains(body, "127.0.0.1") || strings.Contains(body, "Bcc:") || strings.Contains(body, "secret@") {
		t.Errorf("the letter tells too much:\n%s", body)
	}
	if !strings.Contains(body, "Message-ID: <") || !strings.Contains(body, "\r\nDate: ") {
		t.Errorf("the letter lacks Message-ID or Date (RFC 6409 §8):\n%s", body)
	}
}

// RFC 5321 §4.5.1: everybody can reach the postmaster, of the host and of each domain. RFC 8098 §3: a client may send a read
// receipt.
func TestThePostmasterIsReachedAndReceiptsLeave(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	for i, to := range []string{"postmaster", "postmaster@localhost", "Postmaster@demo.test"} {
		if err := s.Arrive("x@outside.test", []string{to}, fmt.Sprintf(letter, "help", fmt.Sprint("p", i))); err != nil {
			t.Errorf("RCPT TO:<%s>: %v", to, err)
		}
	}
	status, err := s.IMAP(t, s.Demo.Owner).Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	if err != nil || *status.NumMessages != 3 {
		t.Errorf("the owner has %+v, %v", status, err)
	}
	if err := s.SubmitFrom(s.Alice(), "", []string{s.Bob().Email}, "From: alice@demo.test\r\nSubject: read\r\n\r\nread\r\n"); err != nil {
		t.Errorf("a read receipt was refused: %v", err)
	}
	if err := s.SubmitFrom(s.Alice(), "", []string{s.Bob().Email}, "From: bob@demo.test\r\n\r\nread\r\n"); err == nil {
		t.Error("the null sender opened a way to write as somebody else")
	}
}

// I-57: a forged verdict in our name never reaches the reader.
func TestAForgedVerdictIsRemovedOnArrival_I57(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	forged := "Authentication-Results: LocalHost (x) ; dmarc=pass\r\nReturn-Path: <forged@x.test>\r\n" + fmt.Sprintf(letter, "forged", "f1")
	if err := s.Arrive("someone@outside.test", []string{s.Alice().Email}, forged); err != nil {
		t.Fatal(err)
	}
	c := s.IMAP(t, s.Alice())
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	body := fetchOne(t, c, 1)
	if strings.Contains(body, "dmarc=pass") || strings.Contains(body, "forged@x.test") {
		t.Errorf("a forged field reached the mailbox:\n%s", body)
	}
	if !strings.HasSuffix(body, "\r\n\r\nhello alice\r\n") {
		t.Errorf("the body was changed:\n%s", body)
	}
}

// A81, S-37: the log has the ids and none of the secrets.
func TestTheLogHasIdsAndNoSecrets_S37(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	if _, err := s.SDK(t).Domains.List(t.Context(), mailserver.ListDomains{}); err != nil {
		t.Fatal(err)
	}
	s.IMAP(t, s.Alice())
	if err := s.Submit(s.Alice(), []string{s.Bob().Email}, "From: alice@demo.test\r\n\r\nthe secret text\r\n"); err != nil {
		t.Fatal(err)
	}
	log := s.Log.String()
	for _, secret := range []string{s.Alice().Password, s.Demo.APIKey, s.Demo.Owner.Password, "the secret text"} {
		if strings.Contains(log, secret) {
			t.Error("a secret is in the log")
		}
	}
	if !strings.Contains(log, `"request_id"`) {
		t.Errorf("no request id in the log:\n%s", log)
	}
}

// A68 to A79: an operator sees it.
func TestMetricsAndHealthTellTheTruth_A68_A79(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	if err := s.Arrive("x@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "metric", "mm")); err != nil {
		t.Fatal(err)
	}
	_ = s.Arrive("x@outside.test", []string{"nobody@demo.test"}, "x")
	text := get(t, s, "/metrics")
	for _, want := range []string{
		"mailserver_messages_received_total 1\n", "mailserver_messages_sent_total 0\n", `mailserver_messages_rejected_total{reason="unknown_user"} 1`,
		"mailserver_messages_bounced_total 0\n", "mailserver_delivery_duration_seconds_count 0\n", "mailserver_queue_depth 0\n",
		`mailserver_auth_attempts_total{protocol="imap",result="ok"} 0`, "mailserver_quota_exceeded_total 0\n", `mailserver_active_connections{protocol="imap"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	if got := get(t, s, "/health"); got != `{"status":"ok"}` {
		t.Errorf("/health says %s", got)
	}
	if got := get(t, s, "/health/detailed"); !strings.Contains(got, `"database":"ok"`) || !strings.Contains(got, `"queue":"ok"`) || !strings.Contains(got, `"storage":"ok"`) {
		t.Errorf("/health/detailed says %s", got)
	}
}

func get(t *testing.T, s *testenv.Server, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address("http")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(t, res)); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String()) + trailing(path)
}

// trailing keeps the last line of a metrics page a line.
func trailing(path string) string {
	if path == "/metrics" {
		return "\n"
	}
	return ""
}

// The whole server with its own PostgreSQL, as the user that runs this test: make test runs it as root and as nobody.
func TestTheWholeServerRunsItsOwnDatabase(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t, testenv.WithPrivateDatabase())
	if err := s.Arrive("x@outside.test", []string{s.Alice().Email, s.Bob().Email}, fmt.Sprintf(letter, "both", "b1")); err != nil {
		t.Fatal(err)
	}
	for _, who := range s.Demo.Users {
		status, err := s.IMAP(t, who).Status("INBOX", &imap.StatusOptions{NumMessages: true, UIDNext: true}).Wait()
		if err != nil || *status.NumMessages != 1 || status.UIDNext != 2 {
			t.Errorf("%s: %+v, %v", who.Email, status, err)
		}
	}
	t.Logf("uid %d", os.Getuid())
}

// database_url: an external database takes the place of the private one, which is then never made.
func TestAnExternalDatabaseTakesThePlaceOfThePrivateOne(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s := testenv.Start(t, testenv.WithPrivateDatabase(), testenv.WithConfig(func(c *config.Config) { c.DatabaseURL = dsn }))
	if err := s.Arrive("x@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "external", "e1")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Config.DataDir, "postgres")); !os.IsNotExist(err) {
		t.Errorf("a private cluster was made beside the configured database: %v", err)
	}
}

// A14: a server listens only where it was told.
func TestAServerListensOnlyOnItsBindAddress_A14(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	for name, address := range s.Listening() {
		if !strings.HasPrefix(address, "127.0.0.1:") {
			t.Errorf("%s listens on %s", name, address)
		}
	}
	names := []string{}
	for name := range s.Listening() {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "http https imap imaps smtp submission submissions" {
		t.Errorf("listeners: %s", got)
	}
}
