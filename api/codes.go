package api

import "slices"

// Code explains a problem's code, at /problems/{code} and in the document.
type Code struct {
	Code   string `json:"code"`
	Status int    `json:"status"`
	Text   string `json:"text"`
	Next   string `json:"next"`
}

// Codes lists every code that the API answers with.
func Codes() []Code {
	return []Code{
		{"bad-json", 400, "The body is not valid JSON.", "Check quotes, commas and brackets."},
		{"bad-request", 400, "The request could not be read.", "Compare it with the operation in /docs."},
		{"invalid-cursor", 400, "The cursor was not given by this list with these filters.", "Begin again without a cursor."},
		{"invalid-id", 400, "The id has not the form of an id of this kind.", "Use the id as the API gave it, prefix included."},
		{"idempotency-key-invalid", 400, "The Idempotency-Key is empty, too long or has characters that are not printable.", "Send 1 to 256 printable ASCII characters, quoted or bare."},
		{"unauthenticated", 401, "No valid credential came with the request.", "Send Authorization: Bearer with an API key or an access token."},
		{"token-expired", 401, "The access token has expired.", "Get a new one with POST /v1/auth/sessions/refresh."},
		{"invalid-credentials", 401, "The address or the password is wrong.", "Check both; unknown addresses get the same answer."},
		{"scope-missing", 403, "The key lacks the scope that the operation needs.", "Use a key with one of required_scopes."},
		{"domain-forbidden", 403, "The credential is bound to other domains.", "Use a key for this domain."},
		{"sender-not-owned", 403, "The sender's address is not the caller's.", "Send from your own address, or with a key of the domain."},
		{"test-key", 403, "This is a test key: it sends into the test network, uploads what it sends, and reads.", "Use a live key to change things."},
		{"forbidden", 403, "The caller may not do this.", "Ask an owner or an admin of the domain."},
		{"ip-not-allowed", 403, "The key may not be used from this network.", "Call from a network in allowed_cidrs."},
		{"origin-forbidden", 403, "The request came from a page of another origin.", "Call the API from its own origin, or with an API key."},
		{"not-found", 404, "There is no such object for this caller.", "Check the id; objects of others are not shown."},
		{"method-not-allowed", 405, "The path does not have this method.", "See the Allow header."},
		{"not-acceptable", 406, "The operation cannot answer in the wanted format.", "Accept application/json."},
		{"already-exists", 409, "An object with this name exists.", "Use the existing one, or another name."},
		{"role-taken", 409, "Another mailbox of the user has this role.", "Use that mailbox, or give no role."},
		{"mailbox-limit", 409, "The user has as many mailboxes as an account may have.", "Delete a mailbox first."},
		{"keyword-limit", 409, "The mailbox has as many keywords as a mailbox may have.", "Remove a keyword from all messages, or use another mailbox."},
		{"uid-limit", 409, "The mailbox has used up its message numbers.", "Move its mail to a new mailbox."},
		{"blob-limit", 409, "The caller has as many blobs as a caller may have, or as many octets of them.", "Delete blobs that are not needed, or wait until they expire."},
		{"message-limit", 409, "The mailbox holds as many messages as a mailbox may.", "Use another mailbox."},
		{"in-use", 409, "Something still depends on the object.", "Remove what depends on it first."},
		{"dns-not-published", 409, "The name servers do not show the key.", "Publish the record of GET /v1/domains/{domain_id}/dns-records, wait and try again."},
		{"state-conflict", 409, "The object's state does not allow this.", "Read the object again."},
		{"idempotency-in-progress", 409, "A request with this Idempotency-Key is running.", "Wait for Retry-After and send the same request again."},
		{"secret-already-shown", 409, "The key was made by an earlier request with this Idempotency-Key and is shown once only.", "Revoke that key and make a new one."},
		{"gone", 410, "The object has ended.", "It cannot be had again."},
		{"content_missing", 410, "The stored bytes of this message are missing.", "Tell the operator; mailserver verify names the file."},
		{"etag-mismatch", 412, "The object was changed since it was read.", "Read it again and repeat the change."},
		{"body-too-large", 413, "The body is too large.", "Send at most 10 MiB of JSON, 50 MiB as a batch, and files of at most 25 MiB as blobs, unless the server is configured otherwise."},
		{"message-too-large", 413, "The message is larger than the server takes.", "Send smaller attachments."},
		{"unsupported-media-type", 415, "The body has a media type that the operation does not take.", "Send application/json; for an upload, the media type of the file."},
		{"validation-failed", 422, "The input is well formed but not valid.", "See errors for the places."},
		{"current-password-wrong", 422, "The current password is wrong.", "Ask for it again; the session stays valid. Tries count as failed sign-ins."},
		{"unknown-field", 422, "The body has a field that the operation does not have.", "Remove it; see /docs for the fields."},
		{"unknown-parameter", 422, "The query has a parameter that the operation does not have.", "Remove it; see /docs for the parameters."},
		{"idempotency-key-reused", 422, "The Idempotency-Key was used with another body.", "Use a new key for a new request."},
		{"sender-not-verified", 422, "The sender's domain is not hosted and verified here.", "Create the domain with POST /v1/domains."},
		{"recipient-invalid", 422, "A recipient is missing or is not an address.", "See errors for the place."},
		{"blob-not-found", 422, "The caller has no such blob, or it has expired.", "Upload the file with POST /v1/blobs."},
		{"mailbox-not-found", 422, "The user has no mailbox of this id.", "Use an id of GET /v1/users/{user_id}/mailboxes."},
		{"other-account", 422, "The mailbox is another user's.", "Move messages within one user's mailboxes."},
		{"invalid-mailbox-name", 422, "A mailbox cannot have this name.", "See detail for the rule."},
		{"invalid-role", 422, "A mailbox cannot have this role.", "Use drafts, sent, junk, trash or archive."},
		{"invalid-flag", 422, "This is neither a system flag nor a keyword.", "Use letters and digits, or one of the flags in /docs."},
		{"inbox", 422, "This cannot be done to the inbox.", "Every user keeps an inbox; delete its messages instead."},
		{"rate-limited", 429, "Too many requests.", "Wait for Retry-After."},
		{"too-many-streams", 429, "The credential, or the server, has as many event streams open as it may.", "Close one, or use one stream for several types."},
		{"internal", 500, "The server failed.", "Tell the operator the request id; the log has the cause."},
		{"key-unavailable", 503, "The master key that seals this server's secrets, or a key file, is not available.", "Tell the operator; the log names the key."},
		{"signing-key-unavailable", 503, "The key with which mail of the domain is signed cannot be read.", "Tell the operator; the log names the key."},
		{"dns-unavailable", 503, "The name servers do not answer.", "Try again in a moment."},
		{"unavailable", 503, "Something that the server needs is down, or it is busy.", "Wait for Retry-After and try again."},
		{"storage-unavailable", 503, "The message store cannot be read or written now.", "Wait for Retry-After and try again."},
		{"busy", 503, "Too many sign-ins at once.", "Wait for Retry-After and try again."},
		{"over-quota", 507, "The mailbox is full.", "Delete mail or raise the quota."},
		{"quota-exceeded", 507, "The mailbox or the disk is full.", "Delete mail or raise the quota."},
		{"storage-full", 507, "The server is short of disk space.", "Try again later."},
		{"storage-low", 507, "The server is short of disk space.", "Try again later."},
		{"request-timeout", 408, "The body did not arrive in time.", "Send it without pauses."},
	}
}

func findCode(code string) (Code, bool) {
	all := Codes()
	i := slices.IndexFunc(all, func(c Code) bool { return c.Code == code })
	if i < 0 {
		return Code{}, false
	}
	return all[i], true
}
