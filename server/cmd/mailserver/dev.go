package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/mailserver-dev/mailserver/server/app"
	"github.com/mailserver-dev/mailserver/server/config"
)

type devCmd struct {
	common
	Reset bool   `help:"Delete the data directory first."`
	Seed  string `help:"Sample mail: demo or none." enum:"demo,none" default:"demo"`
}

// Run starts everything, prints the first five minutes, and serves until a signal ends the context.
func (c devCmd) Run(ctx context.Context, env environment) error {
	begin := time.Now() //nolint:forbidigo // how long a person waited, not the server's clock
	cfg, err := c.load(env, config.Dev)
	if err != nil {
		return err
	}
	fmt.Fprintln(env.stderr, "starting PostgreSQL and the mail server ...")
	opts := options(newLogger(cfg, env))
	opts.Reset, opts.MovePorts = c.Reset, true
	a, err := app.Start(ctx, cfg, opts)
	if err != nil {
		return interrupted(ctx, err)
	}
	info, err := c.prepare(ctx, cfg, a)
	if err == nil && c.JSON {
		err = json.NewEncoder(env.stdout).Encode(info)
	} else if err == nil {
		err = printReady(env, info, cfg.Outbound.Mode, a.Moved(), time.Since(begin)) //nolint:forbidigo // as above
	}
	if err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		return interrupted(ctx, errors.Join(err, a.Stop(stopping)))
	}
	return wait(ctx, a, stopWithin)
}

// interrupted replaces the errors that Ctrl-C causes in whatever was going on.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return errors.New("interrupted before the server was ready; the next start completes what was begun")
}

// devInfo is what dev.json holds.
type devInfo struct {
	PID        int               `json:"pid"`
	Data       string            `json:"data"`
	Domain     string            `json:"domain"`
	APIURL     string            `json:"api_url"`
	ConsoleURL string            `json:"console_url"`
	DAVURL     string            `json:"dav_url"`
	Listen     map[string]string `json:"listen"`
	CAFile     string            `json:"ca_file"`
	Owner      app.Login         `json:"owner"`
	APIKey     string            `json:"api_key"`
	TestAPIKey string            `json:"test_api_key"`
	Users      []app.Login       `json:"users"`
}

// prepare makes the demo objects, or finds those of an earlier start, and writes dev.json and env.
func (c devCmd) prepare(ctx context.Context, cfg *config.Config, a *app.App) (*devInfo, error) {
	path := filepath.Join(cfg.DataDir, "dev.json")
	var before devInfo
	if raw, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(raw, &before); err != nil {
			return nil, fmt.Errorf("%s is damaged: %w; start with --reset", path, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	known := app.Demo{Domain: "demo.test", Owner: before.Owner, Users: before.Users, APIKey: before.APIKey, TestAPIKey: before.TestAPIKey}
	var info *devInfo
	save := func(d app.Demo) error {
		info = describe(cfg, a, d)
		raw, err := json.MarshalIndent(info, "", "  ")
		if err != nil {
			return err
		}
		return errors.Join(app.WritePrivate(path, raw), app.WritePrivate(filepath.Join(cfg.DataDir, "env"), info.exports()))
	}
	demo, err := app.SeedDemo(ctx, a, known, c.Seed == "demo", save)
	if err != nil {
		return nil, err
	}
	err = save(demo)
	return info, err
}

// describe makes the content of dev.json. Listeners that do not exist yet are there with an empty address.
func describe(cfg *config.Config, a *app.App, d app.Demo) *devInfo {
	listen := map[string]string{"sieve": "", "dav": ""}
	maps.Copy(listen, a.Listening())
	base := "http://" + listen["http"]
	if listen["http"] == "" {
		base = "https://" + listen["https"]
	}
	return &devInfo{
		PID: os.Getpid(), Data: cfg.DataDir, Domain: d.Domain, Listen: listen, CAFile: a.CAFile(), Owner: d.Owner, Users: d.Users,
		APIURL: base + "/v1", ConsoleURL: base, APIKey: d.APIKey, TestAPIKey: d.TestAPIKey,
	}
}

// exports is <data>/env: what a shell sources.
func (d *devInfo) exports() []byte {
	var b strings.Builder
	set := func(name, value string) {
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	set("API", d.APIURL)
	set("KEY", d.APIKey)
	for _, u := range d.Users {
		local, _, _ := strings.Cut(u.Email, "@")
		set(strings.ToUpper(local)+"_PASSWORD", u.Password)
	}
	set("ADMIN_PASSWORD", d.Owner.Password)
	set("CA", d.CAFile)
	return []byte(b.String())
}

const readyText = `
mailserver ready in {{.Seconds}}s    data: {{.Data}}    stop: Ctrl-C    reset: make run RESET=1
{{range .Moved}}  note: {{.}}
{{end}}  Console    {{.ConsoleURL}}    {{.Owner.Email}} / {{.Owner.Password}}
  API        {{.APIURL}}    docs {{.ConsoleURL}}/docs
  API key    {{.APIKey}}
{{range .Users}}  User       {{.Email}} / {{.Password}}
{{end}}  SMTP       {{or .Listen.smtp "off"}}    submission {{or .Listen.submission "off"}} (STARTTLS), {{or .Listen.submissions "off"}} (TLS)
  IMAP       {{or .Listen.imaps "off"}} (TLS), {{or .Listen.imap "off"}} (STARTTLS)    certificate {{.CAFile}}
  {{.Elsewhere}}

Send one:
  . {{.Data}}/env
  curl -s $API/emails -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
    -d '{"from":"app@{{.Domain}}","to":["alice@{{.Domain}}"],"subject":"hello","text":"it works"}'

Read it:
  . {{.Data}}/env
  curl -s --cacert $CA "imaps://{{.Listen.imaps}}/INBOX;UID=*" -u "alice@{{.Domain}}:$ALICE_PASSWORD"

`

// elsewhere says what becomes of mail to other domains.
func elsewhere(mode string, info *devInfo) string {
	switch mode {
	case "sink":
		return "Mail to other domains is kept and shown at " + info.APIURL + "/sink/messages; nothing leaves this machine."
	case "none":
		return "Mail to other domains is refused (outbound.mode is none)."
	}
	return "Mail to other domains LEAVES this machine (outbound.mode is " + mode + ")."
}

func printReady(env environment, info *devInfo, mode string, moved []string, took time.Duration) error {
	t, err := template.New("ready").Option("missingkey=zero").Parse(readyText)
	if err != nil {
		return err
	}
	shown := *info
	shown.Data, shown.CAFile = short(info.Data), short(info.CAFile)
	return t.Execute(env.stdout, struct {
		*devInfo
		Seconds   string
		Moved     []string
		Elsewhere string
	}{&shown, fmt.Sprintf("%.1f", took.Seconds()), moved, elsewhere(mode, info)})
}

// short gives a path below the working directory as people type it.
func short(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return "./" + rel
}
