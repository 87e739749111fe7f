package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/yaml"
)

// Spec gives the OpenAPI 3.1 document in YAML, the same for the same program: openapi/openapi.yaml, and what the server shows.
func Spec() ([]byte, error) {
	doc, err := document()
	if err != nil {
		return nil, err
	}
	return doc.yaml, nil
}

// rendered is the document in both forms.
type rendered struct{ json, yaml []byte }

// document builds the document from an API of its own: what is added for readers must not change what a server checks.
func document() (rendered, error) {
	a, err := New(Deps{})
	if err != nil {
		return rendered{}, err
	}
	polish(a.huma.OpenAPI())
	shareProblems(a.huma.OpenAPI())
	var out rendered
	if out.json, err = json.Marshal(a.huma.OpenAPI()); err != nil {
		return rendered{}, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	var text bytes.Buffer
	text.WriteString("# Written by `make gen` from package api. Do not edit.\n")
	if err := yaml.Convert(&text, bytes.NewReader(out.json)); err != nil {
		return rendered{}, fmt.Errorf("write the OpenAPI document as YAML: %w", err)
	}
	out.yaml = text.Bytes()
	return out, nil
}

// schemaName names a type's schema: Page[Domain] is DomainPage.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if item, ok := strings.CutPrefix(name, "Page"); ok && item != "" {
		return item + "Page"
	}
	return name
}

// schemaTexts says what each schema is, where no field does.
func schemaTexts() map[string]string {
	return map[string]string{
		"APIKey":             "A program's credential without its secret.",
		"APIKeyCreate":       "An API key to be made.",
		"APIKeyCreated":      "A new API key with its text, which is shown this once.",
		"APIKeyPage":         "A page of API keys, newest first.",
		"Address":            "A display name and an address, as a message has them.",
		"AddressInput":       "An address: text such as a@b.test or Name <a@b.test>, or an object with email and name.",
		"AddressesInput":     "An address or a list of addresses.",
		"AttachmentInput":    "A file of an email to be sent.",
		"Blob":               "A file that was uploaded to be attached to emails.",
		"DKIMKey":            "A key with which mail of a domain is signed, without its private part.",
		"DKIMKeyCreate":      "A DKIM key to be made or imported.",
		"DKIMKeyExport":      "A DKIM key with its private part.",
		"DKIMKeyPage":        "A page of DKIM keys, newest first.",
		"DKIMKeyUpdate":      "A merge patch of a DKIM key: absent fields stay.",
		"DNSRecord":          "A DNS record that a domain should have.",
		"DNSRecordPage":      "The DNS records of a domain.",
		"Domain":             "A hosted mail domain.",
		"DomainCreate":       "A domain to be hosted.",
		"DomainPage":         "A page of domains, newest first.",
		"DomainRelay":        "A domain's smart host, without its password.",
		"DomainRelaySet":     "What a domain's smart host shall be.",
		"DomainUpdate":       "A merge patch of a domain: absent fields stay.",
		"Email":              "A sent email and what became of it.",
		"EmailAccepted":      "An accepted email: it is on stable storage for every recipient.",
		"EmailBatch":         "Emails to be sent together.",
		"EmailBatchAccepted": "What became of the emails of a batch, in their order.",
		"EmailBatchItem":     "One email of a batch: accepted, or refused with a problem.",
		"EmailPage":          "A page of emails, newest first.",
		"EmailSend":          "An email to be sent.",
		"EmailSigner":        "A DKIM key that would sign an email.",
		"EmailValidation":    "What would become of an email.",
		"Event":              "One entry of the ledger.",
		"EventPage":          "A page of events.",
		"HeaderPair":         "One header field.",
		"HeadersInput":       "Header fields: an object of names and values, or a list of pairs.",
		"Mailbox":            "A mailbox (folder) of a user.",
		"MailboxCreate":      "A mailbox to be made.",
		"MailboxPage":        "A page of mailboxes, in the order of their names.",
		"MailboxUpdate":      "A merge patch of a mailbox: absent fields stay.",
		"Message":            "A message, parsed.",
		"MessageAttachment":  "A file in a message.",
		"MessageMove":        "Where a message goes.",
		"MessageSummary":     "A message in a list.",

		"MessageSummaryPage":   "A page of messages, newest first.",
		"MessageUpdate":        "A merge patch of a message's flags: absent fields stay.",
		"NamedAddress":         "An address with a display name.",
		"PasswordChange":       "A new password.",
		"Problem":              "An error (RFC 9457). Branch on code; /problems/{code} says what to do next.",
		"ProblemError":         "One finding about the input.",
		"QueueDestination":     "Where mail goes, with how much waits for it and what is known of it.",
		"QueueDestinationPage": "A page of destinations, by name.",
		"QueueEntry":           "One recipient of an email that waits.",
		"QueueEntryChanged":    "A delivery after an action.",
		"QueueEntryPage":       "A page of the queue, oldest first.",
		"QueueRetried":         "How much became due.",
		"QueueRetry":           "What becomes due now. Fields that are absent do not restrict.",
		"Recipient":            "One recipient of an email and the result so far.",
		"RecipientForecast":    "What would become of one recipient.",
		"RecipientAccepted":    "One recipient of an accepted email.",
		"Session":              "A signed-in browser session.",
		"SessionCreate":        "A sign-in.",
		"SinkMessage":          "A delivery that development mode kept instead of making it.",
		"SinkMessagePage":      "A page of the sink, newest first.",
		"StatsConnections":     "How many connections are open.",
		"StatsCounts":          "How often what happened in a stretch of time.",
		"StatsOverview":        "How the server does now.",
		"StatsPoint":           "One value of a series.",
		"StatsQueue":           "What waits to be sent.",
		"StatsSeries":          "One metric over time.",
		"StatsServer":          "The node that answers.",
		"StatsTimeseries":      "Some metrics over the same time.",
		"Tag":                  "A label of an email.",
		"TagInput":             "A label of an email to be sent.",
		"TagsInput":            "Labels: names, or objects with name and value.",
		"User":                 "A person with a mailbox.",
		"UserCreate":           "A user to be made.",
		"UserPage":             "A page of users, newest first.",
		"UserUpdate":           "A merge patch of a user: absent fields stay.",
	}
}
