package mailserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

// server answers each "METHOD /path" with a status and a body, as a mailserver would.
func server(answers map[string]string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.Method+" "+r.URL.Path]
		status := map[string]int{http.MethodPost + "/v1/emails": 202, http.MethodPost + "/v1/domains": 201}[r.Method+r.URL.Path]
		if !ok || body == exists {
			status = 409
			w.Header().Set("Content-Type", "application/problem+json")
		} else {
			w.Header().Set("Content-Type", "application/json")
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, body)
	}))
}

func Example() {
	s := server(map[string]string{
		"POST /v1/emails":      `{"id":"eml_1","status":"queued","recipients":[]}`,
		"GET /v1/emails/eml_1": emailStep("delivered", "delivered").body,
	})
	defer s.Close()
	ctx := context.Background()

	client, err := mailserver.New(s.URL, mailserver.WithAPIKey("ms_live_example"))
	if err != nil {
		fmt.Println(err)
		return
	}
	accepted, err := client.Emails.Send(ctx, mailserver.EmailSend{
		From: mailserver.NameAddress("Shop", "shop@example.test"), To: []string{"you@example.test"}, Subject: "Your receipt", Text: "Thank you.",
	}, mailserver.IdempotencyKey("order-42-receipt-go"))
	if err != nil {
		fmt.Println(err)
		return
	}
	email, err := client.Emails.Wait(ctx, accepted.ID, mailserver.EmailStatusDelivered)
	fmt.Println(email.Status, err)
	// Output: delivered <nil>
}

func ExampleIsCode() {
	s := server(map[string]string{"POST /v1/domains": exists, "GET /v1/domains": pageOf("", "example.test").body})
	defer s.Close()
	ctx := context.Background()
	client, err := mailserver.New(s.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	dom, err := client.Domains.Create(ctx, mailserver.DomainCreate{Name: "example.test"})
	if mailserver.IsCode(err, mailserver.CodeAlreadyExists) {
		dom, err = client.Domains.GetByName(ctx, "example.test")
	}
	fmt.Println(dom.Name, err)
	// Output: example.test <nil>
}

func ExampleProblem() {
	s := server(map[string]string{"POST /v1/domains": exists})
	defer s.Close()
	client, err := mailserver.New(s.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Domains.Create(context.Background(), mailserver.DomainCreate{Name: "example.test"})
	var p *mailserver.Problem
	if errors.As(err, &p) {
		fmt.Println(p.Status, p.Code, p.RequestID)
	}
	// Output: 409 already-exists req_1
}

func ExampleDomains_All() {
	s := server(map[string]string{"GET /v1/domains": pageOf("", "one.test", "two.test").body})
	defer s.Close()
	client, err := mailserver.New(s.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	var names []string
	for d, err := range client.Domains.All(context.Background(), mailserver.ListDomains{Status: mailserver.DomainStatusVerified}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		names = append(names, d.Name)
	}
	slices.Sort(names)
	fmt.Println(names)
	// Output: [one.test two.test]
}

func ExampleEvents_Stream() {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, opening+happened(1)+"event: stats.tick\ndata: {\"queue\":{\"queued\":2}}\n\n")
	}))
	defer s.Close()
	client, err := mailserver.New(s.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	watch := mailserver.StreamEvents{Types: []string{"email.*", mailserver.StreamTick}}
	for event, err := range client.Events.Stream(ctx, watch) {
		if err != nil {
			fmt.Println(err) // the end of the context, or a problem that waiting does not solve
			return
		}
		switch {
		case event.Event != nil:
			fmt.Println(event.Type, event.Event.Subject)
		case event.Stats != nil:
			fmt.Println(event.Stats.Queue.Queued, "wait")
			return
		case event.Type == mailserver.StreamReset:
			fmt.Println("too much was missed: read your lists anew")
		}
	}
	// Output:
	// email.delivered eml_1
	// 2 wait
}
