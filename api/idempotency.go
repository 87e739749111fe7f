package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
)

func idempotencyParameter(op *huma.Operation) *huma.Param {
	p := &huma.Param{
		Name: "Idempotency-Key", In: "header",
		Description: "Names the request for 24 hours: the same request with the same key has one effect and gets the first answer again, with " +
			"Idempotency-Replayed: true. 1 to 256 printable characters, quoted or bare.",
		Schema: &huma.Schema{Type: huma.TypeString}, Example: "order-42-receipt",
	}
	if onlyAsks(op) {
		p.Description = "Is taken and has no meaning here: nothing is changed that could be changed twice, and each request gets an answer of its own."
	}
	return p
}

// effect is what a request made, as its first answer showed it.
type effect struct {
	status         int
	location, etag string
	body           any
}

// render answers a repeated request whose effect exists but whose answer was lost with a killed process.
type render func(ctx context.Context, ref string) (effect, error)

// idempotent gives a POST with a key exactly one effect.
func (a *API) idempotent(ctx huma.Context, next func(huma.Context)) {
	key := ctx.Header("Idempotency-Key")
	op := ctx.Operation()
	if op.Method != http.MethodPost || key == "" || isOpen(op) || onlyAsks(op) {
		next(ctx)
		return
	}
	body, mark, err := identify(ctx, key)
	if err != nil {
		a.refuse(ctx, err)
		return
	}
	attempt, err := a.Idem.Begin(ctx.Context(), idem.Request{
		Credential: principalOf(ctx.Context()).Actor(), Method: op.Method, Route: ctx.URL().Path, Key: key,
		Fingerprint: mark,
	})
	if err != nil {
		a.refuse(ctx, err)
		return
	}
	switch {
	case attempt.Replay != nil:
		replay(ctx, attempt.Replay.Status, attempt.Replay.Header, attempt.Replay.Body)
	case attempt.Effect != "":
		a.renderEffect(ctx, attempt)
	default:
		a.run(ctx, attempt, body, next)
	}
}

// identify gives the fingerprint of a request, and its body when the library is still to read it.
func identify(ctx huma.Context, key string) (body []byte, mark [sha256.Size]byte, err error) {
	if u := uploadOf(ctx.Context()); u != nil {
		mark, err = fingerprint(ctx, key, io.MultiReader(strings.NewReader(u.contentType+"\x00"), u.content.Reader()))
		return nil, mark, err
	}
	if text := wholeOf(ctx.Context()); text != nil {
		mark, err = fingerprint(ctx, key, bytes.NewReader(text))
		return nil, mark, err
	}
	if body, err = readWhole(ctx); err != nil {
		return nil, mark, err
	}
	mark, err = fingerprint(ctx, key, bytes.NewReader(body))
	return body, mark, err
}

// readWhole reads a body within the operation's bounds.
func readWhole(ctx huma.Context) ([]byte, error) {
	op := ctx.Operation()
	if op.BodyReadTimeout > 0 {
		if err := readWithin(ctx, op.BodyReadTimeout); err != nil {
			return nil, err
		}
	}
	body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), op.MaxBodyBytes))
	if err != nil {
		return nil, unread(err)
	}
	if int64(len(body)) == op.MaxBodyBytes {
		return nil, tooLarge()
	}
	return body, nil
}

// unread is the problem of a body that did not come whole, or that we could not keep.
func unread(err error) error {
	var ours *fault.Error
	if errors.As(err, &ours) {
		return err
	}
	if p := readProblem(err); p != nil {
		return p
	}
	return fault.Wrap(err, fault.Malformed, "bad-request", "the body could not be read")
}

// fingerprint covers path, query and body. It is keyed with the Idempotency-Key, which is not stored, so that nobody can guess a
// password in a body from the database.
func fingerprint(ctx huma.Context, key string, body io.Reader) ([sha256.Size]byte, error) {
	u := ctx.URL()
	if len(key) > 1 && key[0] == '"' { // quoted or bare, it is the same key
		key = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(key[1 : len(key)-1])
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(u.Path + "?" + u.RawQuery + "\x00"))
	_, err := io.Copy(mac, body)
	return [sha256.Size]byte(mac.Sum(nil)), err
}

type fruitlessKey struct{}

// fruitless says that a request had no effect although its answer is a success. So its Idempotency-Key stays free.
func fruitless(ctx context.Context) {
	if said, ok := ctx.Value(fruitlessKey{}).(*bool); ok {
		*said = true
	}
}

// run carries the request out and keeps its answer. Answers that say "not now" or "not like this" are not kept: the same key may
// be tried again. Nor is one that holds a secret: the effect alone is remembered.
func (a *API) run(ctx huma.Context, attempt *idem.Attempt, body []byte, next func(huma.Context)) {
	inVain := false
	inner := context.WithValue(attempt.Context(ctx.Context()), fruitlessKey{}, &inVain)
	rec := &recorder{humaContext: huma.WithContext(ctx, inner), body: bytes.NewReader(body), header: http.Header{}}
	done := false
	defer func() {
		if !done { // the handler panicked; the key is free again unless the effect exists
			tidy, cancel := afterwards(ctx.Context())
			defer cancel()
			_ = attempt.Abandon(tidy) // the lock ends by itself when this fails too
		}
	}()
	next(rec)
	done = true
	tidy, cancel := afterwards(ctx.Context())
	defer cancel()
	var err error
	if rec.status < http.StatusBadRequest && !inVain && ctx.Operation().Metadata[metaSecret] == nil {
		err = attempt.Finish(tidy, rec.status, rec.kept(), rec.out.Bytes())
	} else {
		err = attempt.Abandon(tidy)
	}
	a.notKept(ctx.Context(), err)
	replayInto(ctx, rec.status, rec.header, rec.out.Bytes())
}

func (a *API) notKept(ctx context.Context, err error) {
	if err != nil {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "the answer of an idempotent request was not kept", slog.Any("err", err))
	}
}

// renderEffect answers from the object.
func (a *API) renderEffect(ctx huma.Context, attempt *idem.Attempt) {
	prefix, _, _ := strings.Cut(attempt.Effect, "_")
	show, ok := a.effects[prefix]
	if !ok {
		a.refuse(ctx, fault.New(fault.Internal, "", "no renderer for %s", prefix))
		return
	}
	e, err := show(ctx.Context(), attempt.Effect)
	var out bytes.Buffer
	if err == nil {
		err = a.huma.Marshal(&out, "application/json", e.body)
	}
	if err != nil {
		a.refuse(ctx, err)
		return
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if e.location != "" {
		header.Set("Location", e.location)
	}
	if e.etag != "" {
		header.Set("Etag", e.etag)
	}
	tidy, cancel := afterwards(ctx.Context())
	defer cancel()
	a.notKept(ctx.Context(), attempt.Finish(tidy, e.status, header, out.Bytes()))
	replay(ctx, e.status, header, out.Bytes())
}

func replay(ctx huma.Context, status int, header http.Header, body []byte) {
	ctx.SetHeader("Idempotency-Replayed", "true")
	replayInto(ctx, status, header, body)
}

func replayInto(ctx huma.Context, status int, header http.Header, body []byte) {
	for name, values := range header {
		for _, v := range values {
			ctx.AppendHeader(name, v)
		}
	}
	ctx.SetStatus(status)
	_, _ = ctx.BodyWriter().Write(body) // the client may have gone; the answer is kept for its next try
}

// humaContext lets recorder embed the interface and still have its method Context.
type humaContext huma.Context

// recorder holds an answer back until it has been stored.
type recorder struct {
	humaContext
	body   *bytes.Reader
	status int
	header http.Header
	out    bytes.Buffer
}

// BodyReader gives the body that was read for the fingerprint.
func (r *recorder) BodyReader() io.Reader { return r.body }

// SetStatus implements huma.Context.
func (r *recorder) SetStatus(code int) { r.status = code }

// Status implements huma.Context.
func (r *recorder) Status() int { return r.status }

// SetHeader implements huma.Context.
func (r *recorder) SetHeader(name, value string) { r.header.Set(name, value) }

// AppendHeader implements huma.Context.
func (r *recorder) AppendHeader(name, value string) { r.header.Add(name, value) }

// BodyWriter implements huma.Context.
func (r *recorder) BodyWriter() io.Writer { return &r.out }

// kept are the headers that belong to the answer itself.
func (r *recorder) kept() http.Header {
	out := http.Header{}
	for _, name := range []string{"Content-Type", "Location", "Etag"} {
		if v := r.header.Values(name); len(v) > 0 {
			out[name] = v
		}
	}
	return out
}
