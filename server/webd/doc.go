// Package webd owns plain HTTP beside the API: the HTTP server with its limits,
// the middleware that every request passes, /health, /metrics and the pages of
// the console.
//
// It must not know the API, domains, users or mail. Whoever may read metrics
// is decided by a function that it is given.
package webd
