package main

import (
	"fmt"
	"runtime"
	"text/tabwriter"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/config"
)

type versionCmd struct {
	JSON bool `help:"Print one JSON object and nothing else." name:"json"`
}

// Run prints the version.
func (c versionCmd) Run(env environment) error {
	if c.JSON {
		return env.printJSON(map[string]string{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	_, err := fmt.Fprintf(env.stdout, "mailserver %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

type openapiCmd struct{}

// Run prints the document that the API serves, as YAML.
func (openapiCmd) Run(env environment) error {
	doc, err := api.Spec()
	if err != nil {
		return err
	}
	_, err = env.stdout.Write(doc)
	return err
}

type configCmd struct {
	common
	Dev bool `help:"Show the defaults of \"mailserver dev\"."`
}

// Run prints every key with value, default and source. Secrets are hidden.
func (c configCmd) Run(env environment) error {
	set := config.Serve
	if c.Dev {
		set = config.Dev
	}
	cfg, err := c.load(env, set)
	if err != nil {
		return err
	}
	rows := cfg.Explain()
	if c.JSON {
		return env.printJSON(map[string]any{"settings": rows})
	}
	w := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tVALUE\tDEFAULT\tSOURCE")
	for _, r := range rows {
		source := r.Source
		if r.Note != "" {
			source += " (" + r.Note + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Key, dash(r.Value), dash(r.Default), source)
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
