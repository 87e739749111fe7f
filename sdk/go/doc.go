// Package mailserver is the Go SDK of a mailserver: domains, users, keys, sending and mailboxes over its REST API.
//
//	client, err := mailserver.New("https://mail.example.test", mailserver.WithAPIKey(os.Getenv("MAILSERVER_API_KEY")))
//	accepted, err := client.Emails.Send(ctx, mailserver.EmailSend{
//		From: "app@example.test", To: []string{"you@example.test"}, Subject: "Hi", Text: "It works.",
//	})
//	email, err := client.Emails.Wait(ctx, accepted.ID, mailserver.EmailStatusDelivered)
//
// What the client does for you:
//
//   - It repeats a request that failed on the way or was answered 429, 502, 503 or 504, with growing pauses or after what
//     Retry-After says, when repeating is safe: GET, PUT and DELETE, and whatever carries an Idempotency-Key. Every POST carries
//     one; give your own with [IdempotencyKey] to be safe across restarts of your program too. A DELETE that is sent again and
//     finds nothing has succeeded: the first one did it.
//   - It turns every error of the API into a [Problem]. Branch on its code with [IsCode]; the codes are the Code constants.
//   - The All methods walk through every page of a list.
//
// Every method takes a context, which bounds it together with its repetitions. A [Client] keeps its connections and may be used
// by many goroutines. The package sdk/go/api has the generated types and client below it; it changes with the contract, while
// the names here stay.
package mailserver
