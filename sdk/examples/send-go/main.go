// Command send-go hosts a domain, sends an email from it and waits until it is delivered:
//
//	export MAILSERVER_API_URL=https://mail.example.test MAILSERVER_API_KEY=ms_live_…
//	send-go -domain example.test -from shop@example.test -to you@example.test
//
// Running it again finds the domain that is there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

func main() {
	name := flag.String("domain", "", "the domain to send from")
	from := flag.String("from", "", "the sender")
	to := flag.String("to", "", "the recipient")
	flag.Parse()
	if *name == "" || *from == "" || *to == "" {
		flag.Usage()
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := send(ctx, *name, *from, *to); err != nil {
		fmt.Fprintln(os.Stderr, explain(err))
		os.Exit(1)
	}
}

func send(ctx context.Context, name, from, to string) error {
	client, err := mailserver.FromEnv(mailserver.WithUserAgent("send-go"))
	if err != nil {
		return err
	}
	domain, err := client.Domains.Create(ctx, mailserver.DomainCreate{Name: name})
	if mailserver.IsCode(err, mailserver.CodeAlreadyExists) {
		domain, err = client.Domains.GetByName(ctx, name)
	}
	if err != nil {
		return err
	}
	fmt.Println("domain", domain.Name, domain.Status)

	accepted, err := client.Emails.Send(ctx, mailserver.EmailSend{
		From: from, To: []string{to}, Subject: "Your receipt", Text: "Thank you.",
	})
	if err != nil {
		return err
	}
	fmt.Println("accepted", accepted.ID)

	if _, err := client.Emails.Wait(ctx, accepted.ID, mailserver.EmailStatusDelivered); err != nil {
		return err
	}
	for event, err := range client.Emails.Events(ctx, accepted.ID) {
		if err != nil {
			return err
		}
		fmt.Println("event", event.Type)
	}
	return nil
}

// explain says what a program can do about an error: the code is stable, the text is for people.
func explain(err error) string {
	var p *mailserver.Problem
	if !errors.As(err, &p) {
		return err.Error()
	}
	text := fmt.Sprintf("problem %s: %s", p.Code, p.Detail)
	for _, e := range p.Errors {
		text += "\nfield " + e.Location
	}
	return text + "\nrequest " + p.RequestID
}
