// Package obs owns what operators see: the log handler with its redaction and
// the ids it adds from the context, the metrics of the server, and its health.
//
// Nobody else builds a log handler, names a metric or a label. It must not
// decide anything: no caller may depend on what is logged or counted.
package obs
