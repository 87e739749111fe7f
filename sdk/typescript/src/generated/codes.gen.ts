// Written by `npm run generate` from openapi/openapi.yaml. Do not edit.

/**
 * The codes that the contract knows. Each is explained at /problems/{code} of any server.
 */
export type ProblemCode =
  // The body is not valid JSON.
  | "bad-json"
  // The request could not be read.
  | "bad-request"
  // The cursor was not given by this list with these filters.
  | "invalid-cursor"
  // The id has not the form of an id of this kind.
  | "invalid-id"
  // The Idempotency-Key is empty, too long or has characters that are not printable.
  | "idempotency-key-invalid"
  // No valid credential came with the request.
  | "unauthenticated"
  // The access token has expired.
  | "token-expired"
  // The address or the password is wrong.
  | "invalid-credentials"
  // The key lacks the scope that the operation needs.
  | "scope-missing"
  // The credential is bound to other domains.
  | "domain-forbidden"
  // The sender's address is not the caller's.
  | "sender-not-owned"
  // This is a test key: it sends into the test network, uploads what it sends, and reads.
  | "test-key"
  // The caller may not do this.
  | "forbidden"
  // The key may not be used from this network.
  | "ip-not-allowed"
  // The request came from a page of another origin.
  | "origin-forbidden"
  // There is no such object for this caller.
  | "not-found"
  // The path does not have this method.
  | "method-not-allowed"
  // The operation cannot answer in the wanted format.
  | "not-acceptable"
  // An object with this name exists.
  | "already-exists"
  // Another mailbox of the user has this role.
  | "role-taken"
  // The user has as many mailboxes as an account may have.
  | "mailbox-limit"
  // The mailbox has as many keywords as a mailbox may have.
  | "keyword-limit"
  // The mailbox has used up its message numbers.
  | "uid-limit"
  // The caller has as many blobs as a caller may have, or as many octets of them.
  | "blob-limit"
  // The mailbox holds as many messages as a mailbox may.
  | "message-limit"
  // Something still depends on the object.
  | "in-use"
  // The name servers do not show the key.
  | "dns-not-published"
  // The object's state does not allow this.
  | "state-conflict"
  // A request with this Idempotency-Key is running.
  | "idempotency-in-progress"
  // The key was made by an earlier request with this Idempotency-Key and is shown once only.
  | "secret-already-shown"
  // The object has ended.
  | "gone"
  // The stored bytes of this message are missing.
  | "content_missing"
  // The object was changed since it was read.
  | "etag-mismatch"
  // The body is too large.
  | "body-too-large"
  // The message is larger than the server takes.
  | "message-too-large"
  // The body has a media type that the operation does not take.
  | "unsupported-media-type"
  // The input is well formed but not valid.
  | "validation-failed"
  // The current password is wrong.
  | "current-password-wrong"
  // The body has a field that the operation does not have.
  | "unknown-field"
  // The query has a parameter that the operation does not have.
  | "unknown-parameter"
  // The Idempotency-Key was used with another body.
  | "idempotency-key-reused"
  // The sender's domain is not hosted and verified here.
  | "sender-not-verified"
  // A recipient is missing or is not an address.
  | "recipient-invalid"
  // The caller has no such blob, or it has expired.
  | "blob-not-found"
  // The user has no mailbox of this id.
  | "mailbox-not-found"
  // The mailbox is another user's.
  | "other-account"
  // A mailbox cannot have this name.
  | "invalid-mailbox-name"
  // A mailbox cannot have this role.
  | "invalid-role"
  // This is neither a system flag nor a keyword.
  | "invalid-flag"
  // This cannot be done to the inbox.
  | "inbox"
  // Too many requests.
  | "rate-limited"
  // The credential, or the server, has as many event streams open as it may.
  | "too-many-streams"
  // The server failed.
  | "internal"
  // The master key that seals this server's secrets, or a key file, is not available.
  | "key-unavailable"
  // The key with which mail of the domain is signed cannot be read.
  | "signing-key-unavailable"
  // The name servers do not answer.
  | "dns-unavailable"
  // Something that the server needs is down, or it is busy.
  | "unavailable"
  // The message store cannot be read or written now.
  | "storage-unavailable"
  // Too many sign-ins at once.
  | "busy"
  // The mailbox is full.
  | "over-quota"
  // The mailbox or the disk is full.
  | "quota-exceeded"
  // The server is short of disk space.
  | "storage-full"
  // The server is short of disk space.
  | "storage-low"
  // The body did not arrive in time.
  | "request-timeout";
