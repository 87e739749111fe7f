// Package limit owns how often something may happen: rates by token bucket and failures of authentication.
//
// Rates live in this process, in a bounded number of buckets; they protect the machine, and each node has its own. Failures of
// authentication are exact and lie in PostgreSQL, shared by all protocols and nodes (mail-rules S-16, S-18). The profile "none"
// lifts both. The package decides only whether and when; it neither waits nor answers anybody.
package limit
