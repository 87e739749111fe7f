package mailserver

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// BatchMode says what becomes of the other emails of a batch when one is refused.
type BatchMode = api.SendEmailBatchParamsMode

// Modes of a batch.
const (
	BatchAllOrNothing = api.SendEmailBatchParamsModeAllOrNothing // nothing is sent
	BatchPerItem      = api.SendEmailBatchParamsModePerItem      // the others are sent
)

// EmailBatchItem is one email of a batch: accepted, or refused with a problem.
type EmailBatchItem struct {
	Index      int // the place of the email in the batch, from 0
	ID         string
	Status     EmailStatus
	Recipients []RecipientAccepted
	Problem    *Problem // nil when the email was accepted
}

// SendBatch accepts 1 to 1,000 emails in one transaction and gives what became of each, in their order. With BatchAllOrNothing one bad
// email refuses all: the error is a problem that names the places, such as body[3].from.
func (e Emails) SendBatch(ctx context.Context, emails []EmailSend, mode BatchMode, options ...CallOption) ([]EmailBatchItem, error) {
	body, err := json.Marshal(emails)
	if err != nil {
		return nil, err
	}
	accepted, err := taken(e.api.SendEmailBatchWithBodyWithResponse(with(ctx, options, patient), &api.SendEmailBatchParams{Mode: given(mode)},
		"application/json", bytes.NewReader(body)))
	if err != nil {
		return nil, err
	}
	items := make([]EmailBatchItem, len(accepted.Items))
	for i, item := range accepted.Items {
		items[i] = EmailBatchItem{Index: int(item.Index), ID: item.ID, Status: item.Status, Recipients: item.Recipients}
		if item.Problem != nil {
			items[i].Problem = &Problem{Problem: *item.Problem}
		}
	}
	return items, nil
}

// Validate says what Send would make of an email, and sends and stores nothing.
func (e Emails) Validate(ctx context.Context, email EmailSend, options ...CallOption) (*EmailValidation, error) {
	body, err := json.Marshal(email)
	if err != nil {
		return nil, err
	}
	return got(e.api.ValidateEmailWithBodyWithResponse(with(ctx, options), "application/json", bytes.NewReader(body)))
}
