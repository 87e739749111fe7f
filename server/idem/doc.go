// Package idem owns the memory of idempotent requests: a POST that is sent again with the same Idempotency-Key has one effect.
//
// The first attempt claims the key's row. The service that makes something names it with SetEffect, and the name is written in
// the same transaction as the thing itself, so a crash at any moment leaves either neither or both. The answer is stored after
// that. Whoever comes again finds the stored answer, or the effect without an answer and renders it from the object, or an
// attempt that is still running. A row lives for 24 hours.
//
// The package must not know what is made, nor how an answer looks on the wire.
package idem
