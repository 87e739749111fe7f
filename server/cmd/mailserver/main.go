// Command mailserver is the mail server and its tools.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/pg/local"
)

// Exit codes.
const (
	exitOK      = 0
	exitError   = 1
	exitUsage   = 2
	exitMissing = 3 // something that the text names is not on this machine
)

// version is set when the program is built.
var version = "dev"

// cli is the command line.
type cli struct {
	Dev     devCmd     `cmd:"" help:"Start a whole server for development on loopback, with a demo domain and users."`
	Serve   serveCmd   `cmd:"" help:"Start the server."`
	Migrate migrateCmd `cmd:"" help:"Bring the database's schema up to date, or show where it stands."`
	Verify  verifyCmd  `cmd:"" help:"Check every message against the database and the disk. Exits 1 when something is wrong."`
	Config  configCmd  `cmd:"" help:"Show every setting with its value, its default and where the value comes from."`
	Openapi openapiCmd `cmd:"" help:"Print the API's OpenAPI document."`
	Version versionCmd `cmd:"" help:"Print the version."`
	Domain  domainCmd  `cmd:"" help:"Manage domains through the API."`
	User    userCmd    `cmd:"" help:"Manage users through the API."`
	DKIM    dkimCmd    `cmd:"" name:"dkim" help:"Manage DKIM keys through the API."`
	Queue   queueCmd   `cmd:"" help:"See and steer the mail that waits, through the API."`
	APIKey  apiKeyCmd  `cmd:"" name:"api-key" help:"Manage API keys through the API."`
}

// common are the flags of every server-side command.
type common struct {
	Config string `help:"Configuration file (YAML)." type:"path" placeholder:"FILE"`
	Data   string `help:"Data directory." type:"path" placeholder:"DIR"`
	JSON   bool   `help:"Print one JSON object and nothing else." name:"json"`
}

// load reads the configuration with the given set of defaults.
func (c common) load(env environment, set config.Set) (*config.Config, error) {
	flags := map[string]string{}
	if c.Data != "" {
		flags["data_dir"] = c.Data
	}
	return config.Load(config.Source{File: c.Config, Environ: env.environ, Flags: flags, Defaults: set})
}

// environment is what a command may touch of the outside.
type environment struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// printJSON prints one object.
func (e environment) printJSON(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	env := environment{environ: config.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	code := run(ctx, os.Args[1:], env)
	stop()
	os.Exit(code)
}

// run parses the arguments, carries the command out and gives the exit code.
func run(ctx context.Context, args []string, env environment) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("mailserver"), kong.Description("A mail server: SMTP, submission, IMAP and a REST API on PostgreSQL."),
		kong.Writers(env.stdout, env.stderr), kong.Exit(func(code int) { exited = code }), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(env))
	if err != nil {
		return report(env, err)
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(env.stderr, "mailserver: %v\nRun \"mailserver --help\" for the commands.\n", err)
		return exitUsage
	}
	err = command.Run()
	if err != nil && wantsJSON(command) {
		err = errors.Join(err, env.printJSON(failureOf(err)))
	}
	return report(env, err)
}

// report prints an error as a person can use it and gives its exit code.
func report(env environment, err error) int {
	if err == nil {
		return exitOK
	}
	var quiet quietError
	if errors.As(err, &quiet) {
		return exitError
	}
	var problem *mailserver.Problem
	if errors.As(err, &problem) {
		explainProblem(env.stderr, problem)
		return exitError
	}
	fmt.Fprintf(env.stderr, "mailserver: %v\n", err)
	var configErrors config.Errors
	var missing *missingError
	switch {
	case errors.As(err, &configErrors):
		return exitUsage
	case errors.As(err, &missing), local.Missing(err):
		return exitMissing
	}
	return exitError
}

// quietError ends the program with code 1 when the command has already said why.
type quietError struct{}

func (quietError) Error() string { return "failed" }
