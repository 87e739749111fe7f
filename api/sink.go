package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// SinkMessage is a delivery that development mode kept instead of making it.
type SinkMessage struct {
	ID         string    `json:"id" example:"snk_01h455vb4pex5vsknk084sn02q" doc:"The id."`
	EmailID    string    `json:"email_id" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"The email that was sent."`
	DeliveryID string    `json:"delivery_id" example:"dlv_01h455vb4pex5vsknk084sn02q" doc:"The recipient's delivery."`
	From       string    `json:"from" example:"app@demo.test" doc:"The envelope sender."`
	To         string    `json:"to" example:"someone@elsewhere.test" doc:"The envelope recipient."`
	Subject    string    `json:"subject" example:"hello" doc:"The subject."`
	SizeBytes  int64     `json:"size_bytes" example:"1234" doc:"The size of the message."`
	CreatedAt  time.Time `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When it was kept."`
}

// SinkMessagePage is a page of the sink, newest first.
type SinkMessagePage = Page[SinkMessage]

func sinkOf(m outbound.SinkMessage) SinkMessage {
	return SinkMessage{
		ID: m.ID.String(), EmailID: m.Email.String(), DeliveryID: m.Recipient.String(), From: m.EnvelopeFrom, To: m.EnvelopeTo,
		Subject: m.Subject, SizeBytes: m.Size + int64(len(m.Signature)), CreatedAt: m.CreatedAt.UTC(),
	}
}

func (a *API) registerSink() {
	const tag = "sink"
	register(a, with(scoped(http.MethodGet, "/v1/sink/messages", "listSinkMessages", tag, "sink:read", "List what the sink kept",
		"Gives the deliveries to other servers that were kept here, newest first."), http.StatusBadRequest), a.listSink)
	register(a, with(scoped(http.MethodGet, "/v1/sink/messages/{sink_message_id}", "getSinkMessage", tag, "sink:read", "Read a kept delivery",
		"Gives one delivery that was kept."), http.StatusBadRequest, http.StatusNotFound), a.getSink)
	register(a, rawAnswer(with(scoped(http.MethodGet, "/v1/sink/messages/{sink_message_id}/raw", "getSinkMessageRaw", tag, "sink:read",
		"Read a kept delivery's bytes", "Gives the message as it would have been sent."), http.StatusBadRequest, http.StatusNotFound,
		http.StatusGone), "message/rfc822"), a.getSinkRaw)
}

type listSinkInput struct {
	ListInput
	To string `query:"to" maxLength:"320" doc:"Only deliveries to this address."`
}

type listSinkOutput struct{ Body SinkMessagePage }

func (a *API) listSink(ctx context.Context, in *listSinkInput) (*listSinkOutput, error) {
	fs := filters("sink", in.To)
	before, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := outbound.SinkQuery{Limit: in.limit(), To: in.To}
	if err := optionalID(before, "query.cursor", &q.Before); err != nil {
		return nil, err
	}
	list, more, err := a.Outbound.ListSink(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	items := make([]SinkMessage, len(list))
	next := ""
	for i, m := range list {
		items[i] = sinkOf(m)
		if more {
			next = m.ID.String()
		}
	}
	return &listSinkOutput{Body: page(items, next, fs)}, nil
}

type sinkInput struct {
	ID string `path:"sink_message_id" doc:"The id." example:"snk_01h455vb4pex5vsknk084sn02q"`
}

type sinkOutput struct{ Body SinkMessage }

func (a *API) getSink(ctx context.Context, in *sinkInput) (*sinkOutput, error) {
	var id mail.SinkID
	if err := parseID(in.ID, "path.sink_message_id", &id); err != nil {
		return nil, err
	}
	m, err := a.Outbound.GetSink(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &sinkOutput{Body: sinkOf(m)}, nil
}

func (a *API) getSinkRaw(ctx context.Context, in *sinkInput) (*huma.StreamResponse, error) {
	var id mail.SinkID
	if err := parseID(in.ID, "path.sink_message_id", &id); err != nil {
		return nil, err
	}
	file, err := a.Outbound.RawSink(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return stream(file, file.Size, "message/rfc822", in.ID+".eml"), nil
}
