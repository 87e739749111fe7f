//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// D-1 and the promise of Idempotency-Key across kill -9: whatever moment the server dies at, a request that is repeated with its
// key has exactly one effect, and what was acknowledged before is there.
func TestARepeatedRequestHasOneEffectHoweverTheServerDies(t *testing.T) {
	need(t, "curl", "curl")
	dir, env := t.TempDir(), freePorts(t)
	openUp(t, dir)
	s := start(t, dir, env, "--seed", "none")
	ids := map[string]string{}
	for round, wait := range []int{0, 3, 6, 10} {
		subject := fmt.Sprintf("round-%d", round)
		first := make(chan string, 1)
		go func() { first <- s.send(t.Context(), subject) }()
		<-time.After(time.Duration(wait) * time.Millisecond) // where the kill falls is the point of the test
		s.kill(t)
		told := <-first
		s = start(t, dir, env, "--seed", "none")
		id := s.send(t.Context(), subject)
		if id == "" {
			t.Fatalf("%s: the repeated request was not accepted", subject)
		}
		if told != "" && told != id {
			t.Errorf("%s: accepted as %s, after the kill as %s", subject, told, id)
		}
		if again := s.send(t.Context(), subject); again != id {
			t.Errorf("%s: the third time it is %q, not %s", subject, again, id)
		}
		ids[subject] = id
	}
	alice := s.Users[0]
	for subject := range ids {
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

// send posts an email under a key made of the subject and gives its id, or "" when the answer was lost.
func (s *server) send(ctx context.Context, subject string) string {
	body := fmt.Sprintf(`{"from":"app@demo.test","to":"alice@demo.test","subject":%q,"text":"x"}`, subject)
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
