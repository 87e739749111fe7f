//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// D-1 and the promise of Idempotency-Key across kill -9: a request that is repeated with its key has exactly one effect, whether
// the server died before the effect or between the effect and the answer.
func TestARepeatedRequestHasOneEffectHoweverTheServerDies(t *testing.T) {
	need(t, "curl", "curl")
	dir, env := t.TempDir(), freePorts(t)
	openUp(t, dir)
	s := start(t, dir, env, "--seed", "none")
	subjects := []string{"before-effect", "after-effect-1", "after-effect-2", "after-effect-3"}
	for _, subject := range subjects {
		conn := s.sendWithoutReading(t, subject)
		made := ""
		if strings.HasPrefix(subject, "after-effect") {
			eventually(t, "the effect is there", func() bool {
				made = s.emailID(t, subject)
				return made != ""
			})
		}
		s.kill(t)
		conn.Close()
		s = start(t, dir, env, "--seed", "none")
		id := s.send(t.Context(), subject)
		if id == "" || made != "" && id != made {
			t.Fatalf("%s: made as %q, the repeated request gave %q", subject, made, id)
		}
		if again := s.send(t.Context(), subject); again != id {
			t.Errorf("%s: the third time it is %q, not %s", subject, again, id)
		}
	}
	alice := s.Users[0]
	for _, subject := range subjects {
		var found string
		eventually(t, subject+" is in the mailbox", func() bool {
			out, _ := s.tryShell(t, fmt.Sprintf(`curl -s --cacert %s "imaps://%s/INBOX?SUBJECT%%20%s" -u '%s:%s'`,
				s.CAFile, s.Listen["imaps"], subject, alice.Email, alice.Password))
			found = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(out), "* SEARCH"))
			return found != ""
		})
		if len(strings.Fields(found)) != 1 {
			t.Errorf("%s is there %d times", subject, len(strings.Fields(found)))
		}
	}
}

// sendWithoutReading posts an email and never looks at the answer.
func (s *server) sendWithoutReading(t *testing.T, subject string) net.Conn {
	t.Helper()
	conn := dial(t, s.Listen["http"])
	body := letterBody(subject)
	fmt.Fprintf(conn, "POST /v1/emails HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Idempotency-Key: key-%s\r\nContent-Length: %d\r\n\r\n%s", s.Listen["http"], s.APIKey, subject, len(body), body)
	return conn
}

// emailID finds the email of the subject among the newest ones.
func (s *server) emailID(t *testing.T, subject string) string {
	t.Helper()
	out, err := s.tryShell(t, fmt.Sprintf(`curl -s %s/emails -H 'Authorization: Bearer %s'`, s.APIURL, s.APIKey))
	var list struct {
		Items []struct{ ID, Subject string }
	}
	if err != nil || json.Unmarshal([]byte(out), &list) != nil {
		return ""
	}
	for _, e := range list.Items {
		if e.Subject == subject {
			return e.ID
		}
	}
	return ""
}

func letterBody(subject string) string {
	return fmt.Sprintf(`{"from":"app@demo.test","to":"alice@demo.test","subject":%q,"text":"x"}`, subject)
}

// send posts an email under a key made of the subject and gives its id, or "" when the answer was lost.
func (s *server) send(ctx context.Context, subject string) string {
	body := letterBody(subject)
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.APIURL+"/emails", bytes.NewReader([]byte(body)))
		if err != nil {
			return ""
		}
		req.Header.Set("Authorization", "Bearer "+s.APIKey)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "key-"+subject)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return ""
		}
		raw, err := io.ReadAll(res.Body)
		res.Body.Close()
		var answer struct{ ID string }
		if err == nil && res.StatusCode == http.StatusAccepted && json.Unmarshal(raw, &answer) == nil {
			return answer.ID
		}
		if res.StatusCode != http.StatusConflict { // 409: the killed attempt still holds the key; it is taken over in time
			return ""
		}
		<-time.After(time.Second)
	}
	return ""
}
