package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/sdk/go"
)

// explainProblem prints what the API said so that a person can go on: what, where, the code, what to do, the request's id.
func explainProblem(w io.Writer, p *mailserver.Problem) {
	fmt.Fprintf(w, "mailserver: %s\n", clean(p.Detail))
	for _, e := range p.Errors {
		if e.Message == p.Detail && len(p.Errors) == 1 {
			fmt.Fprintf(w, "  field    %s\n", clean(e.Location))
			continue
		}
		fmt.Fprintf(w, "  field    %s: %s (%s)\n", clean(e.Location), clean(e.Message), clean(e.Code))
	}
	fmt.Fprintf(w, "  code     %s (%d)\n", clean(first(p.Code, "none")), p.Status)
	for _, scope := range p.RequiredScopes {
		fmt.Fprintf(w, "  scope    %s\n", clean(scope))
	}
	if next := nextStep(p); next != "" {
		fmt.Fprintf(w, "  next     %s\n", next)
	}
	if p.RequestID != "" {
		fmt.Fprintf(w, "  request  %s\n", clean(p.RequestID))
	}
}

func nextStep(p *mailserver.Problem) string {
	switch {
	case p.RetryAfter > 0:
		return fmt.Sprintf("Try again in %s.", p.RetryAfter)
	case p.Code == mailserver.CodeValidationFailed && len(p.Errors) > 0:
		return "" // the fields say it
	}
	for _, c := range api.Codes() {
		if c.Code == p.Code {
			return c.Next
		}
	}
	return ""
}

// failure is what --json prints instead of the object when a command fails.
type failure struct {
	Error failureText `json:"error"`
}

type failureText struct {
	Detail    string                    `json:"detail"`
	Code      string                    `json:"code,omitempty"`
	Status    int64                     `json:"status,omitempty"`
	RequestID string                    `json:"request_id,omitempty"`
	Errors    []mailserver.ProblemError `json:"errors,omitempty"`
}

func failureOf(err error) failure {
	var p *mailserver.Problem
	if errors.As(err, &p) {
		return failure{failureText{Detail: p.Detail, Code: p.Code, Status: p.Status, RequestID: p.RequestID, Errors: p.Errors}}
	}
	return failure{failureText{Detail: err.Error()}}
}

// wantsJSON reports whether the command that was given speaks to a server and was told --json.
func wantsJSON(command *kong.Context) bool {
	var asked, speaks bool
	for _, flag := range command.Flags() {
		switch flag.Name {
		case "json":
			asked, _ = command.FlagValue(flag).(bool)
		case "url":
			speaks = true
		}
	}
	return asked && speaks
}
