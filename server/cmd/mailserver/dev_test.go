package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/app"
)

func TestThePrintoutSaysWhatIsOffAndWhetherMailLeaves(t *testing.T) {
	t.Parallel()
	info := &devInfo{
		Data: "/srv/mail", Domain: "demo.test", APIURL: "http://127.0.0.1:8080/v1", ConsoleURL: "http://127.0.0.1:8080",
		Listen: map[string]string{"http": "127.0.0.1:8080", "smtp": "127.0.0.1:2525"}, Owner: app.Login{Email: "admin@demo.test", Password: "secret"},
	}
	for mode, want := range map[string]string{
		"sink": "nothing leaves this machine", "none": "is refused", "direct": "LEAVES this machine", "relay": "LEAVES this machine",
	} {
		var out bytes.Buffer
		if err := printReady(environment{stdout: &out}, info, mode, []string{"port 1 is busy, so 2"}, time.Second); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{want, "Console    http://127.0.0.1:8080    admin@demo.test / secret", "submission off (STARTTLS)", "port 1 is busy"} {
			if !strings.Contains(out.String(), text) {
				t.Errorf("with mode %s it does not say %q:\n%s", mode, text, out.String())
			}
		}
		if strings.Contains(out.String(), "no value") {
			t.Errorf("with mode %s it shows a hole:\n%s", mode, out.String())
		}
	}
}
