package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// batchPath is where many emails are sent at once.
const batchPath = "/v1/emails/batch"

// EmailBatchAccepted says what became of the emails of a batch, in their order.
type EmailBatchAccepted struct {
	Items []EmailBatchItem `json:"items" nullable:"false" doc:"One entry for each email of the request, in its order."`
}

// EmailBatchItem is one email of a batch: an accepted one, or with mode=per_item the problem for which it was refused.
type EmailBatchItem struct {
	Index      int                 `json:"index" example:"0" doc:"The place of the email in the request, from 0."`
	ID         string              `json:"id,omitempty" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"The email's id; absent when it was refused."`
	Status     string              `json:"status,omitempty" enum:"scheduled,held,queued,sending,deferred,delivered,bounced,suppressed,cancelled,failed" example:"queued" doc:"The state of the whole email, as in EmailAccepted; absent when it was refused."`
	Recipients []RecipientAccepted `json:"recipients,omitempty" nullable:"false" doc:"One entry for each recipient; absent when the email was refused."`
	Problem    *Problem            `json:"problem,omitempty" doc:"Why the email was refused; absent when it was accepted."`
}

// EmailValidation says what would become of an email.
type EmailValidation struct {
	Valid      bool                `json:"valid" example:"true" doc:"Whether POST /v1/emails would accept it."`
	Problems   []ProblemError      `json:"problems" nullable:"false" doc:"What is wrong with it, with the places and codes that POST /v1/emails would give."`
	Recipients []RecipientForecast `json:"recipients" nullable:"false" doc:"What would become of each recipient; empty when the email itself is not valid."`
	SizeBytes  int64               `json:"size_bytes" example:"1234" doc:"The size of the message as it would be stored; 0 when it cannot be composed."`
	SignedBy   []EmailSigner       `json:"signed_by" nullable:"false" doc:"The DKIM keys that would sign it, in the order of the signatures; empty when the sender's domain has no active key."`
}

// EmailSigner is a DKIM key that would sign an email.
type EmailSigner struct {
	KeyID     string `json:"key_id" example:"dkm_01h455vb4pex5vsknk084sn02q" doc:"The key's id."`
	Domain    string `json:"domain" example:"example.test" doc:"The domain that signs."`
	Selector  string `json:"selector" example:"202611r1" doc:"The key's name below _domainkey of the domain."`
	Algorithm string `json:"algorithm" enum:"rsa2048,rsa3072,rsa4096,ed25519" example:"rsa2048" doc:"What the key signs with."`
}

// RecipientForecast is what would become of one recipient.
type RecipientForecast struct {
	Email       string `json:"email" example:"alice@example.test" doc:"The address."`
	Local       bool   `json:"local" example:"true" doc:"Whether this server hosts the address."`
	Destination string `json:"destination" example:"example.test" doc:"Where the mail would go: the domain of the address, or a smart host as host:port."`
	Would       string `json:"would" enum:"deliver_local,send,refuse" example:"deliver_local" doc:"deliver_local: filed in a mailbox here; send: handed to another server; refuse: it would bounce, or not be accepted."`
	Reason      string `json:"reason,omitempty" example:"no such user" doc:"Why, when it is refused or does not leave this server."`
}

func (a *API) registerBatch() {
	const tag, scope = "emails", "emails:send"
	send := answers(with(scoped(http.MethodPost, batchPath, "sendEmailBatch", tag, scope, "Send many emails",
		"Accepts 1 to 1,000 emails, given as a bare array of the bodies of POST /v1/emails, in one transaction: the answer 202 means that every "+
			"accepted email is on stable storage for every recipient. With mode=all_or_nothing one bad email refuses all, and the problem names the "+
			"places, such as body[3].from. With mode=per_item a bad email stands as a problem in its place of the answer and the others are sent. "+
			"A batch has at most 10,000 recipients, a body of at most 50 MiB and messages of at most 1 GiB in all. An Idempotency-Key covers the "+
			"whole batch; while every email of it is refused, nothing is kept under the key."), http.StatusInsufficientStorage), http.StatusAccepted)
	send.MaxBodyBytes, send.BodyReadTimeout = a.maxBatch(), uploadTimeout
	registerWhole(a, patient(mayBeTest(send), uploadTimeout), a.batchSchema(), a.sendEmailBatch)
	validate := scoped(http.MethodPost, "/v1/emails/validate", "validateEmail", tag, scope, "Check an email",
		"Says what POST /v1/emails would make of the same body, and sends and stores nothing. What is wrong with the email is in the answer, with "+
			"the places and codes that sending would give. What is wrong with the caller's rights is an error, as it is when sending.")
	validate.MaxBodyBytes, validate.BodyReadTimeout = a.maxBody(), sendTimeout
	registerWhole(a, asks(patient(mayBeTest(validate), sendTimeout)), a.emailSchema(), a.validateEmail)
	a.effects["batch"] = func(ctx context.Context, ref string) (effect, error) {
		results, err := a.Outbound.Batch(ctx, principalOf(ctx), ref)
		return effect{http.StatusAccepted, "", "", a.batchAccepted(ctx, results)}, err
	}
}

// registerWhole registers an operation that takes its JSON as it came, with wholeOf, and checks it itself. The schema is for the
// document.
func registerWhole[I, O any](a *API, op huma.Operation, schema *huma.Schema, handler func(context.Context, *I) (*O, error)) {
	body := &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
	op.RequestBody, op.Metadata[metaWhole] = body, true
	register(a, op, handler)
	body.Content["application/json"] = &huma.MediaType{Schema: schema}
}

func (a *API) emailSchema() *huma.Schema {
	return a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[EmailSend](), true, "EmailSend")
}

func (a *API) batchSchema() *huma.Schema {
	least, most := 1, outbound.MaxBatch
	return named(a.huma.OpenAPI().Components.Schemas, "EmailBatch", &huma.Schema{
		Type: huma.TypeArray, Items: a.emailSchema(), MinItems: &least, MaxItems: &most,
	})
}

type sendEmailBatchInput struct {
	Mode string `query:"mode" enum:"all_or_nothing,per_item" default:"all_or_nothing" example:"per_item" doc:"What becomes of the others when one email is refused: with all_or_nothing nothing is sent, with per_item they are."`
}

type sendEmailBatchOutput struct{ Body EmailBatchAccepted }

func (a *API) sendEmailBatch(ctx context.Context, in *sendEmailBatchInput) (*sendEmailBatchOutput, error) {
	text := wholeOf(ctx)
	if err := wellFormed(text); err != nil {
		return nil, err
	}
	var crowded *crowdedError
	if err := (&shape{values: maxBatchValues}).check(text); errors.As(err, &crowded) {
		return nil, crowded.fault()
	}
	list, ok := elements(text, outbound.MaxBatch+1)
	if !ok {
		return nil, fault.New(fault.Invalid, "validation-failed", "must be an array of emails").At("body")
	}
	if err := outbound.CheckBatch(len(list)); err != nil {
		return nil, err
	}
	items := make([]outbound.BatchItem, len(list))
	for i, one := range list {
		items[i].Draft, items[i].Err = a.readEmail(one)
	}
	results, err := a.Outbound.AcceptBatch(ctx, principalOf(ctx), items, outbound.BatchMode(in.Mode))
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(results, func(r outbound.BatchResult) bool { return r.Email != nil }) {
		fruitless(ctx)
	}
	return &sendEmailBatchOutput{Body: a.batchAccepted(ctx, results)}, nil
}

func (a *API) batchAccepted(ctx context.Context, results []outbound.BatchResult) EmailBatchAccepted {
	out := EmailBatchAccepted{Items: make([]EmailBatchItem, len(results))}
	for i, r := range results {
		if r.Err != nil {
			out.Items[i] = EmailBatchItem{Index: i, Problem: problemOf(ctx, a.Log, r.Err)}
			continue
		}
		e := acceptedOf(r.Email)
		out.Items[i] = EmailBatchItem{Index: i, ID: e.ID, Status: e.Status, Recipients: e.Recipients}
	}
	return out
}

type validateEmailOutput struct{ Body EmailValidation }

func (a *API) validateEmail(ctx context.Context, _ *struct{}) (*validateEmailOutput, error) {
	text := wholeOf(ctx)
	if err := wellFormed(text); err != nil {
		return nil, err
	}
	draft, err := a.readEmail(text)
	var refused *fault.Error
	if errors.As(err, &refused) {
		return &validateEmailOutput{Body: validationOf(outbound.Validation{Problems: refused.Details})}, nil
	}
	v, err := a.Outbound.Validate(ctx, principalOf(ctx), draft)
	if err != nil {
		return nil, err
	}
	return &validateEmailOutput{Body: validationOf(v)}, nil
}

func validationOf(v outbound.Validation) EmailValidation {
	out := EmailValidation{
		Valid: len(v.Problems) == 0, Problems: make([]ProblemError, len(v.Problems)), Recipients: make([]RecipientForecast, len(v.Recipients)),
		SizeBytes: v.Size, SignedBy: make([]EmailSigner, len(v.SignedBy)),
	}
	for i, k := range v.SignedBy {
		out.SignedBy[i] = EmailSigner{KeyID: k.ID.String(), Domain: k.DomainName, Selector: k.Selector, Algorithm: string(k.Algorithm)}
	}
	for i, d := range v.Problems {
		out.Problems[i] = ProblemError{Location: inBody(d.Field), Message: d.Text, Code: orCode(d.Code)}
	}
	for i, r := range v.Recipients {
		out.Recipients[i] = RecipientForecast{Email: r.Address.String(), Local: r.Local, Destination: r.Destination, Would: r.Would, Reason: r.Reason}
	}
	return out
}

// readEmail reads one email as POST /v1/emails does. Every error is a *fault.Error with details, whose places begin with "body".
func (a *API) readEmail(text []byte) (outbound.Draft, error) {
	var crowded *crowdedError
	if err := shapely(text); errors.As(err, &crowded) {
		return outbound.Draft{}, crowded.fault()
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return outbound.Draft{}, invalidFault(err)
	}
	schemas := a.huma.OpenAPI().Components.Schemas
	place, found := huma.NewPathBuffer(nil, 0), &huma.ValidateResult{}
	place.Push("body")
	huma.Validate(schemas, schemas.SchemaFromRef(schemaPrefix+"EmailSend"), place, huma.ModeWriteToServer, value, found)
	if len(found.Errors) > 0 {
		return outbound.Draft{}, invalidFault(found.Errors...)
	}
	var in EmailSend
	if err := json.Unmarshal(text, &in); err != nil {
		return outbound.Draft{}, invalidFault(err)
	}
	return in.draft()
}

// invalidFault is invalidProblem as a service would say it.
func invalidFault(errs ...error) *fault.Error {
	p := invalidProblem(errs)
	out := &fault.Error{Kind: fault.Invalid, Code: p.Code, Text: p.Detail}
	for _, e := range p.Errors {
		out.Details = append(out.Details, fault.Detail{Field: e.Location, Code: e.Code, Text: e.Message})
	}
	out.Field = out.Details[0].Field
	return out
}

// wellFormed refuses what is no JSON, as the library does for bodies that it reads itself.
func wellFormed(data []byte) error {
	switch {
	case len(data) == 0:
		return newProblem(http.StatusBadRequest, "bad-json", "this operation needs a JSON body")
	case tooDeep(data) || !json.Valid(data):
		return newProblem(http.StatusBadRequest, "bad-json", "the body is not valid JSON; check quotes, commas and brackets")
	}
	return nil
}

// elements cuts a valid JSON array into its elements, without copying them; most bounds how many are given. ok is false for any
// other JSON.
func elements(data []byte, most int) (list []json.RawMessage, ok bool) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '[' {
		return nil, false
	}
	depth, start := 0, 1
	add := func(end int) {
		if one := bytes.TrimSpace(data[start:end]); len(one) > 0 {
			list = append(list, one)
		}
		start = end + 1
	}
	for i := 1; i < len(data) && len(list) < most; i++ {
		switch data[i] {
		case '"':
			i += stringEnd(data[i+1:])
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				add(i)
			}
		case ',':
			if depth == 0 {
				add(i)
			}
		}
	}
	return list, true
}
