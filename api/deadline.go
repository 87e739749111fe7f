package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	// answerWithin is what an operation may take beyond the longest statement of the database.
	answerWithin = 5 * time.Second
	// holdTime is for operations that check a password: refusals are held back up to 16 seconds (mail-rules S-16).
	holdTime = 20 * time.Second
	// tidyTime bounds what is still done for a request whose answer is decided.
	tidyTime = 5 * time.Second
)

// patience is how long an ordinary operation may work.
func (a *API) patience() time.Duration { return a.Limits.Database.StatementTimeout + answerWithin }

// timed ends the work of an operation that takes too long, as on a database that takes requests and answers none; the client
// gets 503. Only work that asks the context is ended: the bytes of a download come from a file, so that no stream is cut.
func (a *API) timed(ctx huma.Context, next func(huma.Context)) {
	if ctx.Operation().Metadata[metaStream] == true {
		next(ctx) // it goes on for as long as the client stays, and bounds each of its steps by itself
		return
	}
	within := a.patience()
	if more, ok := ctx.Operation().Metadata[metaPatience].(time.Duration); ok {
		within += more
	}
	inner, cancel := context.WithTimeout(ctx.Context(), within)
	defer cancel()
	next(huma.WithContext(ctx, inner))
}

// afterwards gives the context of what is done for a request whose client may have gone, or whose time is over.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
}
