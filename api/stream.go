package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
)

// eventStream is the media type of the stream (WHATWG HTML §9.2).
const eventStream = "text/event-stream"

const streamText = "Sends what happens while the connection stays open, as server-sent events (text/event-stream), oldest first. No event is " +
	"missed and none comes twice: a client that was cut off goes on with the last id that it got.\n\n" +
	"- `stream.open` comes first. Its id is the place in the ledger where the stream begins.\n" +
	"- For each event of the ledger: its place as `id`, its type as `event`, and as `data` the object that GET /v1/events gives.\n" +
	"- `stats.tick` has the object of GET /v1/stats/overview as `data` and no id. It comes only when it is asked for by this name and needs stats:read too: " +
	"at once, then when something has changed, at most once a second, and at least every 15 seconds.\n" +
	"- `stream.reset` says that the place to go on from is older than what is kept: read lists anew. Its id is where the stream goes on.\n" +
	"- `stream.end` says in `data` why the server closes the stream, as {\"code\": …}: token-expired, unauthenticated or another code of the " +
	"credential, lifetime after an hour, shutdown, or unavailable.\n" +
	"- A comment `: ping` comes every 15 seconds.\n\n" +
	"A key or a session may have 5 streams at a time."

const streamExample = "id: AAAAAAAAAucAAAAAAAAAAAAAAAAAAAAA\nevent: stream.open\nretry: 2000\ndata: {}\n\n" +
	"id: AAAAAAAAAugBizVVsyB0qI1X7Z8Wj0hX\nevent: email.delivered\n" +
	"data: {\"id\":\"evt_01h455vb4pex5vsknk084sn02q\",\"type\":\"email.delivered\",\"at\":\"2026-11-25T15:00:00Z\"," +
	"\"subject\":\"eml_01h455vb4pex5vsknk084sn02q\",\"domain_id\":\"dom_01h455vb4pex5vsknk084sn02q\",\"user_id\":null," +
	"\"data\":{\"recipient\":\"alice@example.test\"}}\n\n: ping\n\nevent: stream.end\ndata: {\"code\":\"shutdown\"}\n\n"

func (a *API) registerStream() {
	op := with(scoped(http.MethodGet, "/v1/events/stream", "streamEvents", "events", "events:read", "Stream events", streamText),
		http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity)
	op.Metadata[metaStream] = true
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The stream. It ends when the client leaves, or after stream.end.",
		Content: map[string]*huma.MediaType{eventStream: {Schema: &huma.Schema{
			Type: huma.TypeString, Description: "Server-sent events.", Examples: []any{streamExample},
		}}},
	}}
	register(a, op, a.streamEvents)
}

type streamInput struct {
	Type        []string `query:"type,explode" maxItems:"50" maxLength:"64" pattern:"^[a-z_]+\\.([a-z_]+|\\*)$" example:"[\"email.*\",\"stats.tick\"]" doc:"Only events of these types; repeat the parameter. email.* means all that begin with email. Absent: every event of the ledger."`
	Subject     string   `query:"subject" maxLength:"64" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"Only events about this object."`
	DomainID    string   `query:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Only events and numbers of this domain."`
	After       string   `query:"after" maxLength:"64" example:"AAAAAAAAAucAAAAAAAAAAAAAAAAAAAAA" doc:"Where to go on: the id of an earlier stream, or oldest for everything that is kept. Absent: only what comes."`
	LastEventID string   `header:"Last-Event-ID" maxLength:"64" example:"AAAAAAAAAucAAAAAAAAAAAAAAAAAAAAA" doc:"The last id that the client got, as browsers send it when they connect again. It is stronger than after."`
}

// place is where a stream begins.
type place struct {
	cursor event.Cursor
	// reset says that it is not where the client wanted to go on.
	reset bool
}

// oldest is the name of the beginning of the ledger.
const oldest = "oldest"

// id is the place as clients get it and give it back.
func (p place) id() string { return cmp.Or(p.cursor.String(), oldest) }

func (a *API) streamEvents(ctx context.Context, in *streamInput) (*huma.StreamResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	s := &follower{api: a, p: principalOf(ctx), ledger: true}
	if err := s.want(in); err != nil {
		return nil, err
	}
	if s.ticks {
		// What is refused is refused now, as a problem.
		if _, err := a.Stats.Overview(ctx, s.p, s.query.Domain); err != nil {
			return nil, err
		}
	}
	begin, err := a.begin(ctx, in)
	if err != nil {
		return nil, err
	}
	if s.leave, err = a.streams.enter(s.p); err != nil {
		return nil, err
	}
	if s.feed, err = a.Events.Feed(ctx, begin.cursor); err != nil {
		s.leave()
		return nil, err
	}
	//nolint:contextcheck // the stream goes on under the request's own context, which c has
	return &huma.StreamResponse{Body: func(c huma.Context) { s.serve(c, begin) }}, nil
}

// begin finds the place at which a stream begins.
func (a *API) begin(ctx context.Context, in *streamInput) (place, error) {
	text, where := in.LastEventID, "header.Last-Event-ID"
	if text == "" {
		text, where = in.After, "query.after"
	}
	if text == oldest {
		return place{}, nil
	}
	end, err := a.Events.End(ctx)
	if err != nil || text == "" {
		return place{cursor: end}, err
	}
	wanted, err := event.ParseCursor(text)
	if err != nil {
		return place{}, fault.New(fault.Malformed, "invalid-cursor", "this is not an id of the stream; begin without it, or at oldest").At(where)
	}
	kept, err := a.Events.Kept(ctx, wanted)
	if err != nil || kept {
		return place{cursor: wanted}, err
	}
	return place{cursor: end, reset: true}, nil
}
