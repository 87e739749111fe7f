package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/obs"
)

func logger(format string) (*slog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	return obs.NewLogger(&out, obs.LogOptions{Log: config.Log{Level: "debug", Format: format}}), &out
}

// line returns the only JSON line of out without time.
func line(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines: %s", n, out)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil {
		t.Errorf("time: %v", err)
	}
	delete(got, "time")
	return got
}

func TestALineCarriesTheIdsOfItsContext_A81(t *testing.T) {
	t.Parallel()
	ctx := obs.WithMessageID(obs.WithConnID(obs.WithRequestID(t.Context(), "req_1"), "con_2"), "msg_3")
	for name, c := range map[string]struct {
		log  func(*slog.Logger)
		want map[string]any
	}{
		"plain": {
			func(l *slog.Logger) { l.InfoContext(ctx, "stored", slog.Int("n", 1)) },
			map[string]any{"level": "INFO", "msg": "stored", "n": 1.0, "request_id": "req_1", "conn_id": "con_2", "msg_id": "msg_3"},
		},
		"no ids": {
			func(l *slog.Logger) { l.WarnContext(t.Context(), "stored") },
			map[string]any{"level": "WARN", "msg": "stored"},
		},
		"in a group": {
			func(l *slog.Logger) {
				l.With(slog.Int("a", 1)).WithGroup("g").With(slog.Int("b", 2)).InfoContext(ctx, "stored", slog.Int("c", 3))
			},
			map[string]any{
				"level": "INFO", "msg": "stored", "a": 1.0, "g": map[string]any{"b": 2.0, "c": 3.0},
				"request_id": "req_1", "conn_id": "con_2", "msg_id": "msg_3",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, out := logger("json")
			c.log(log)
			if diff := cmp.Diff(c.want, line(t, out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSiblingLoggersDoNotShareTheirGroups(t *testing.T) {
	t.Parallel()
	log, out := logger("json")
	parent := log.WithGroup("g").With(slog.Int("p", 0))
	a, b := parent.With(slog.Int("a", 1)), parent.With(slog.Int("b", 2))
	a.InfoContext(t.Context(), "x")
	b.InfoContext(t.Context(), "x")
	if lines := strings.Split(out.String(), "\n"); strings.Contains(lines[0], `"b"`) || strings.Contains(lines[1], `"a"`) {
		t.Error(out)
	}
}

func TestIdsOfRequestsAndConnectionsAreFresh(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		seen[obs.NewRequestID()], seen[obs.NewConnID()] = true, true
	}
	if len(seen) != 200 {
		t.Errorf("%d different ids of 200", len(seen))
	}
	if got := obs.RequestID(context.Background()) + obs.ConnID(context.Background()) + obs.MessageID(context.Background()); got != "" {
		t.Errorf("an empty context has ids: %q", got)
	}
}

func TestTheLevelHoldsLinesBack(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1, "": 3, "loud": 3} {
		var out bytes.Buffer
		log := obs.NewLogger(&out, obs.LogOptions{Log: config.Log{Level: level, Format: "json"}})
		for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			log.Log(t.Context(), l, "x")
		}
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("level %q wrote %d lines, want %d", level, got, want)
		}
	}
}

func TestAutoIsJSONUnlessThereIsATerminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	obs.NewLogger(file, obs.LogOptions{Log: config.Log{Format: "auto"}}).InfoContext(t.Context(), "x")
	content, err := os.ReadFile(file.Name())
	if err != nil || !json.Valid(content) {
		t.Errorf("%s %v", content, err)
	}
	log, out := logger("text")
	log.InfoContext(t.Context(), "x y", slog.String("k", "v"))
	if got := out.String(); !strings.HasSuffix(got, " INF x y k=v\n") {
		t.Errorf("text on no terminal: %q", got)
	}
}

type valuer struct{ secret string }

func (v valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", "n"), slog.String("password", v.secret))
}

type account struct {
	Email    string
	Password string
	AppToken string
}

type broken struct{ text *string }

func (b *broken) Error() string { return *b.text }

// planted is what must never reach a log.
const planted = "pl4nt3d"

// plants are the ways in which a careless caller would log a secret.
func plants() map[string]slog.Attr {
	jwt := "eyJhbGciOiJFZERTQSJ9.eyJzdWIi" + planted + ".c2ln" + planted
	return map[string]slog.Attr{
		"password":            slog.String("password", planted),
		"new_password":        slog.String("new_password", planted),
		"token":               slog.Any("refresh_token", planted),
		"authorization":       slog.String("Authorization", "Bearer "+planted),
		"secret":              slog.Any("client_secret", []byte(planted)),
		"cookie":              slog.String("set-cookie", "session="+planted),
		"body":                slog.Any("body", map[string]string{"a": planted}),
		"key":                 slog.String("api_key", planted),
		"private key":         slog.String("dkim.private.key", planted),
		"totp":                slog.Int("totp", 123456),
		"live key in prose":   slog.String("detail", "the key ms_live_"+planted+" is spent"),
		"test key":            slog.String("detail", "ms_test_"+planted),
		"webhook secret":      slog.String("detail", "whsec_"+planted+"=="),
		"bearer in prose":     slog.String("header", "authorized by bearer "+planted+"x"),
		"basic":               slog.String("header", "Basic "+planted+"=="),
		"jwt":                 slog.String("detail", "got "+jwt),
		"smtp auth":           slog.String("line", "AUTH PLAIN "+planted+"AGFs"),
		"imap authenticate":   slog.String("line", "a1 authenticate plain "+planted+"=="),
		"imap login":          slog.String("line", `a1 LOGIN alice@demo.test "`+planted+` x"`),
		"database url":        slog.String("detail", "dial postgres://u:"+planted+"@db/x"),
		"database words":      slog.Any("err", errors.New("cannot connect: host=db password="+planted+" user=u")),
		"wrapped error":       slog.Any("err", fmt.Errorf("outer: %w", errors.New(`{"password":"`+planted+`"}`))),
		"struct":              slog.Any("account", account{"a@b.test", planted, planted}),
		"pointer":             slog.Any("account", &account{"a@b.test", planted, planted}),
		"header map":          slog.Any("headers", http.Header{"Cookie": {"a=" + planted}, "Authorization": {"x " + planted}}),
		"log valuer":          slog.Any("who", valuer{planted}),
		"secret group":        slog.Group("credentials", slog.String("user", planted)),
		"nested group":        slog.Group("a", slog.Group("b", slog.String("passphrase", planted))),
		"pem":                 slog.String("detail", "x -----BEGIN PRIVATE KEY-----\n"+planted+"\n-----END PRIVATE KEY----- y"),
		"cut pem":             slog.String("detail", "-----BEGIN EC PRIVATE KEY-----\n"+planted),
		"cookie header":       slog.String("detail", "Cookie: a=1; session="+planted),
		"query":               slog.String("url", "/reset?token="+planted+"&x=1"),
		"quoted with blanks":  slog.String("detail", `password="x `+planted+`"`),
		"raw bytes":           slog.Any("data", []byte(planted)),
		"string slice":        slog.Any("args", []string{"--x", "password=" + planted}),
		"multiline auth trap": slog.String("line", "EHLO x\r\nAUTH PLAIN "+planted+"\r\n"),
	}
}

func TestPlantedSecretsNeverReachTheLog_S37(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		for name, attr := range plants() {
			log, out := logger(format)
			log.InfoContext(t.Context(), "as an attribute", attr)
			log.With(attr).InfoContext(t.Context(), "on the logger")
			log.WithGroup("g").With(attr).InfoContext(t.Context(), "in a group", attr)
			if attr.Value.Kind() == slog.KindString && attr.Key == "detail" {
				log.InfoContext(t.Context(), "message with "+attr.Value.String())
			}
			if strings.Contains(out.String(), planted) || strings.Contains(out.String(), "123456") {
				t.Errorf("%s %s: %s", format, name, out)
			}
			if strings.Count(out.String(), "\n") < 3 {
				t.Errorf("%s %s: lines were lost: %s", format, name, out)
			}
		}
	}
}

func TestHarmlessValuesStayReadable(t *testing.T) {
	t.Parallel()
	log, out := logger("json")
	log.InfoContext(t.Context(), "mail stored in 3 ms: ok",
		slog.String("token_id", "key_1"), slog.Int("body_bytes", 7), slog.String("spf", "pass"),
		slog.String("url", "https://example.test/a?b=c"), slog.Any("err", errors.New("dial tcp: basic trouble")),
		slog.Duration("took", time.Second), slog.Any("list", []string{"a", "b"}), slog.Any("nothing", nil),
		slog.String("addr", "alice@demo.test"), slog.Bool("ok", true))
	want := map[string]any{
		"level": "INFO", "msg": "mail stored in 3 ms: ok", "token_id": "key_1", "body_bytes": 7.0, "spf": "pass",
		"url": "https://example.test/a?b=c", "err": "dial tcp: basic trouble", "took": 1e9, "list": "[a b]",
		"nothing": nil, "addr": "alice@demo.test", "ok": true,
	}
	if diff := cmp.Diff(want, line(t, out)); diff != "" {
		t.Error(diff)
	}
}

func TestControlCharactersCannotForgeALineOrMoveTheCursor_S38(t *testing.T) {
	t.Parallel()
	hostile := "EHLO \x1b[31mred\x1b[0m\r\n{\"level\":\"ERROR\"}\x00\x7f\u0085\u009b\u202e\u2028\xff\t\uFFFD"
	want := `EHLO \x1b[31mred\x1b[0m\r\n{"level":"ERROR"}\x00\x7f\u0085\u009b\u202e\u2028\xff\t` + "\uFFFD"
	log, out := logger("json")
	log.InfoContext(t.Context(), hostile, slog.String("ehlo", hostile), slog.Any("err", errors.New(hostile)))
	got := line(t, out)
	for _, key := range []string{"msg", "ehlo", "err"} {
		if got[key] != want {
			t.Errorf("%s: %q", key, got[key])
		}
	}
	log, out = logger("text")
	log.InfoContext(t.Context(), hostile, slog.String("ehlo", hostile))
	if text := strings.TrimSuffix(out.String(), "\n"); strings.ContainsAny(text, "\x1b\r\n\x00\x7f\u0085\u009b\u202e\u2028") {
		t.Errorf("text: %q", text)
	}
}

func TestALogLineIsBoundedAndSurvivesBrokenValues(t *testing.T) {
	t.Parallel()
	log, out := logger("json")
	var none *broken
	log.InfoContext(t.Context(), "x", slog.String("long", strings.Repeat("a", 1<<20)), slog.Any("err", none))
	if out.Len() > 10<<10 {
		t.Errorf("a line of %d bytes", out.Len())
	}
	if got := line(t, out)["err"]; got != "[unprintable *obs_test.broken]" {
		t.Errorf("err: %v", got)
	}
}

func BenchmarkALineOfAMessage(b *testing.B) {
	log, out := logger("json")
	ctx := obs.WithConnID(b.Context(), "con_abcdefghijklmnopqrstuvwxyz")
	for b.Loop() {
		out.Reset()
		log.InfoContext(ctx, "message stored", slog.String("stage", "store"), slog.String("from", "alice@demo.test"),
			slog.String("verdict", "accept"), slog.Int("bytes", 4711), slog.Duration("took", time.Millisecond))
	}
}

func FuzzAnyTextIsSafe(f *testing.F) {
	f.Add("ms_live_x", "\x1b[0m")
	f.Add("Bearer x", "password=\"")
	f.Fuzz(func(t *testing.T, key, text string) {
		log, out := logger("json")
		log.InfoContext(t.Context(), text, slog.String("k"+key, text))
		if bytes.Count(out.Bytes(), []byte("\n")) != 1 || !json.Valid(out.Bytes()) {
			t.Errorf("%q", out)
		}
	})
}
