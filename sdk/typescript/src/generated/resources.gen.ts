// Written by `npm run generate` from openapi/openapi.yaml. Do not edit.

import { checkedId, typed, type Caller, type CallOptions, type ChangeOptions, type KeyedOptions, type ReadOptions } from "../call.js";
import { type Filters, type ItemOf, pages } from "../pages.js";
import * as sdk from "./sdk.gen.js";
import type * as t from "./types.gen.js";

/**
 * Credentials of programs, with scopes and domains.
 */
export class ApiKeysApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List API keys.
   *
   * Gives the keys that reach no further than the caller, newest first.
   *
   * `GET /v1/api-keys`
   */
  list(query?: t.ListApiKeysData["query"], options?: CallOptions): Promise<t.ListApiKeysResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listApiKeys({ ...request, query }));
  }

  /**
   * Goes over all pages of `list`, asking for each when it is needed.
   */
  all(query?: Filters<t.ListApiKeysData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListApiKeysResponse>, void, undefined> {
    return pages((at) => this.list({ ...query, ...at }, options));
  }

  /**
   * Create an API key.
   *
   * Makes a key with at most the caller's own scopes and domains. Its text is in the answer and nowhere else: a repeated
   * request with the same Idempotency-Key gets 409 secret-already-shown.
   *
   * `POST /v1/api-keys`
   */
  create(body: t.CreateApiKeyData["body"], options?: KeyedOptions): Promise<t.CreateApiKeyResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.createApiKey({ ...request, body }));
  }

  /**
   * Read an API key.
   *
   * Gives one key without its secret.
   *
   * `GET /v1/api-keys/{key_id}`
   */
  get(keyId: string, options?: CallOptions): Promise<t.GetApiKeyResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getApiKey({ ...request, path: { key_id: checkedId("keyId", keyId) } }));
  }

  /**
   * Revoke an API key.
   *
   * Ends a key at once and for ever; it stays in the list.
   *
   * `DELETE /v1/api-keys/{key_id}`
   */
  revoke(keyId: string, options?: CallOptions): Promise<t.RevokeApiKeyResponse> {
    return this.caller.run({ method: "DELETE" }, options, (request) => sdk.revokeApiKey({ ...request, path: { key_id: checkedId("keyId", keyId) } }));
  }
}

/**
 * Browser sessions: a short access token and a rotating refresh cookie.
 */
export class AuthApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * Sign in.
   *
   * Begins a browser session with an address and a password. The answer sets the refresh cookie. Unknown addresses and
   * wrong passwords get the same answer.
   *
   * `POST /v1/auth/sessions`
   */
  createSession(body: t.CreateSessionData["body"], options?: CallOptions): Promise<t.CreateSessionResponse> {
    return this.caller.run({ method: "POST", open: true }, options, (request) => sdk.createSession({ ...request, body }));
  }

  /**
   * Sign out.
   *
   * Ends the session of the refresh cookie, or of the access token when there is no cookie.
   *
   * `DELETE /v1/auth/sessions/current`
   */
  deleteSession(options?: CallOptions): Promise<t.DeleteSessionResponse> {
    return this.caller.run({ method: "DELETE", open: true }, options, (request) => sdk.deleteSession(request));
  }

  /**
   * Get a new access token.
   *
   * Exchanges the refresh cookie for a new access token and a new cookie. Without a cookie the answer is 204, so that a
   * page may ask whether somebody is signed in.
   *
   * `POST /v1/auth/sessions/refresh`
   */
  refreshSession(options?: CallOptions): Promise<t.RefreshSessionResponse> {
    return this.caller.run({ method: "POST", open: true }, options, (request) => sdk.refreshSession(request));
  }

  /**
   * Read who is asking.
   *
   * Gives the user of the credential. An API key has no user and gets 404.
   *
   * `GET /v1/me`
   */
  getMe(options?: CallOptions): Promise<t.GetMeResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getMe(request));
  }
}

/**
 * Files that are uploaded once, to be attached to emails.
 */
export class BlobsApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * Upload a file.
   *
   * Keeps a file for 24 hours, to be attached with blob_id to any number of emails. The body is the file itself, of any
   * media type: the Content-Type of the request is kept. It may have 25 MiB, and all files of a caller 512 MiB, unless
   * the server is configured otherwise. Only the caller sees it.
   *
   * `POST /v1/blobs`
   */
  create(body: t.CreateBlobData["body"], options?: KeyedOptions): Promise<t.CreateBlobResponse> {
    return this.caller.run({ method: "POST", keyed: true, upload: true }, options, (request) => sdk.createBlob({ ...typed(request, body), body }));
  }

  /**
   * Read a blob.
   *
   * Gives what is known of a file that the caller uploaded.
   *
   * `GET /v1/blobs/{blob_id}`
   */
  get(blobId: string, options?: CallOptions): Promise<t.GetBlobResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getBlob({ ...request, path: { blob_id: checkedId("blobId", blobId) } }));
  }

  /**
   * Delete a blob.
   *
   * Removes a file that the caller uploaded before it expires. Emails that were sent with it keep their copy.
   *
   * `DELETE /v1/blobs/{blob_id}`
   */
  delete(blobId: string, options?: CallOptions): Promise<t.DeleteBlobResponse> {
    return this.caller.run({ method: "DELETE" }, options, (request) => sdk.deleteBlob({ ...request, path: { blob_id: checkedId("blobId", blobId) } }));
  }

  /**
   * Read a blob's bytes.
   *
   * Gives the file as it was uploaded, under its media type.
   *
   * `GET /v1/blobs/{blob_id}/content`
   */
  getContent(blobId: string, options?: CallOptions): Promise<t.GetBlobContentResponse> {
    return this.caller.run({ method: "GET", binary: true }, options, (request) => sdk.getBlobContent({ ...request, path: { blob_id: checkedId("blobId", blobId) } }));
  }
}

/**
 * The keys with which mail of a domain is signed.
 */
export class DkimKeysApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List DKIM keys.
   *
   * Gives the keys of a domain without their private parts, newest first.
   *
   * `GET /v1/domains/{domain_id}/dkim-keys`
   */
  list(domainId: string, query?: t.ListDkimKeysData["query"], options?: CallOptions): Promise<t.ListDkimKeysResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listDkimKeys({ ...request, path: { domain_id: checkedId("domainId", domainId) }, query }));
  }

  /**
   * Goes over all pages of `list`, asking for each when it is needed.
   */
  all(domainId: string, query?: Filters<t.ListDkimKeysData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListDkimKeysResponse>, void, undefined> {
    return pages((at) => this.list(domainId, { ...query, ...at }, options));
  }

  /**
   * Create or import a DKIM key.
   *
   * Makes a key, or imports one. It is pending until its record is published and it is made active; with
   * domains.verification auto it is active at once. One RSA and one Ed25519 key sign at a time: the one that did before
   * is retiring from then on.
   *
   * `POST /v1/domains/{domain_id}/dkim-keys`
   */
  create(domainId: string, body: t.CreateDkimKeyData["body"], options?: KeyedOptions): Promise<t.CreateDkimKeyResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.createDkimKey({ ...request, path: { domain_id: checkedId("domainId", domainId) }, body }));
  }

  /**
   * Read a DKIM key.
   *
   * Gives one key without its private part.
   *
   * `GET /v1/domains/{domain_id}/dkim-keys/{dkim_key_id}`
   */
  get(domainId: string, dkimKeyId: string, options?: ReadOptions<t.GetDkimKeyResponse>): Promise<t.GetDkimKeyResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getDkimKey({ ...request, path: { domain_id: checkedId("domainId", domainId), dkim_key_id: checkedId("dkimKeyId", dkimKeyId) } }));
  }

  /**
   * Change the state of a DKIM key.
   *
   * Makes a key active, retiring or revoked (JSON merge patch). It becomes active only when the name servers show it:
   * 409 dns-not-published says what they show instead. If-Match is honoured.
   *
   * `PATCH /v1/domains/{domain_id}/dkim-keys/{dkim_key_id}`
   */
  update(domainId: string, dkimKeyId: string, body: t.UpdateDkimKeyData["body"], options?: ChangeOptions): Promise<t.UpdateDkimKeyResponse> {
    return this.caller.run({ method: "PATCH" }, options, (request) => sdk.updateDkimKey({ ...request, path: { domain_id: checkedId("domainId", domainId), dkim_key_id: checkedId("dkimKeyId", dkimKeyId) }, body }));
  }

  /**
   * Delete a DKIM key.
   *
   * Deletes a key that is revoked or never was active. Its selector stays used. If-Match is honoured.
   *
   * `DELETE /v1/domains/{domain_id}/dkim-keys/{dkim_key_id}`
   */
  delete(domainId: string, dkimKeyId: string, options?: ChangeOptions): Promise<t.DeleteDkimKeyResponse> {
    return this.caller.run({ method: "DELETE" }, options, (request) => sdk.deleteDkimKey({ ...request, path: { domain_id: checkedId("domainId", domainId), dkim_key_id: checkedId("dkimKeyId", dkimKeyId) } }));
  }

  /**
   * Export a private DKIM key.
   *
   * Gives the private key, and writes so to the audit log. It takes the owner, or an API key with the scope dkim:export.
   *
   * `POST /v1/domains/{domain_id}/dkim-keys/{dkim_key_id}/export`
   */
  export(domainId: string, dkimKeyId: string, options?: KeyedOptions): Promise<t.ExportDkimKeyResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.exportDkimKey({ ...request, path: { domain_id: checkedId("domainId", domainId), dkim_key_id: checkedId("dkimKeyId", dkimKeyId) } }));
  }
}

/**
 * The mail domains that this server hosts.
 */
export class DomainsApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List domains.
   *
   * Gives the domains that the caller may see, newest first.
   *
   * `GET /v1/domains`
   */
  list(query?: t.ListDomainsData["query"], options?: CallOptions): Promise<t.ListDomainsResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listDomains({ ...request, query }));
  }

  /**
   * Goes over all pages of `list`, asking for each when it is needed.
   */
  all(query?: Filters<t.ListDomainsData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListDomainsResponse>, void, undefined> {
    return pages((at) => this.list({ ...query, ...at }, options));
  }

  /**
   * Create a domain.
   *
   * Hosts a mail domain and makes its DKIM keys. With domains.verification auto it is verified, and its mail signed, at
   * once.
   *
   * `POST /v1/domains`
   */
  create(body: t.CreateDomainData["body"], options?: KeyedOptions): Promise<t.CreateDomainResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.createDomain({ ...request, body }));
  }

  /**
   * Read a domain.
   *
   * Gives one domain.
   *
   * `GET /v1/domains/{domain_id}`
   */
  get(domainId: string, options?: ReadOptions<t.GetDomainResponse>): Promise<t.GetDomainResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getDomain({ ...request, path: { domain_id: checkedId("domainId", domainId) } }));
  }

  /**
   * Change a domain.
   *
   * Changes the given fields (JSON merge patch). If-Match is honoured.
   *
   * `PATCH /v1/domains/{domain_id}`
   */
  update(domainId: string, body: t.UpdateDomainData["body"], options?: ChangeOptions): Promise<t.UpdateDomainResponse> {
    return this.caller.run({ method: "PATCH" }, options, (request) => sdk.updateDomain({ ...request, path: { domain_id: checkedId("domainId", domainId) }, body }));
  }

  /**
   * Delete a domain.
   *
   * Deletes a domain without users. If-Match is honoured.
   *
   * `DELETE /v1/domains/{domain_id}`
   */
  delete(domainId: string, options?: ChangeOptions): Promise<t.DeleteDomainResponse> {
    return this.caller.run({ method: "DELETE" }, options, (request) => sdk.deleteDomain({ ...request, path: { domain_id: checkedId("domainId", domainId) } }));
  }

  /**
   * List the DNS records of a domain.
   *
   * Gives the records that the domain should have for what this server does, all on one page. What the name servers show
   * is not compared.
   *
   * `GET /v1/domains/{domain_id}/dns-records`
   */
  listDnsRecords(domainId: string, options?: CallOptions): Promise<t.ListDnsRecordsResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listDnsRecords({ ...request, path: { domain_id: checkedId("domainId", domainId) } }));
  }

  /**
   * Read a domain's smart host.
   *
   * Gives the smart host, without its password; 404 when the domain has none.
   *
   * `GET /v1/domains/{domain_id}/relay`
   */
  getRelay(domainId: string, options?: ReadOptions<t.GetDomainRelayResponse>): Promise<t.GetDomainRelayResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getDomainRelay({ ...request, path: { domain_id: checkedId("domainId", domainId) } }));
  }

  /**
   * Set a domain's smart host.
   *
   * Sends all mail of the domain to other servers through this host, beginning with what waits.
   *
   * `PUT /v1/domains/{domain_id}/relay`
   */
  setRelay(domainId: string, body: t.SetDomainRelayData["body"], options?: ChangeOptions): Promise<t.SetDomainRelayResponse> {
    return this.caller.run({ method: "PUT" }, options, (request) => sdk.setDomainRelay({ ...request, path: { domain_id: checkedId("domainId", domainId) }, body }));
  }

  /**
   * Remove a domain's smart host.
   *
   * Lets the domain's mail go out like that of others again, beginning with what waits.
   *
   * `DELETE /v1/domains/{domain_id}/relay`
   */
  deleteRelay(domainId: string, options?: ChangeOptions): Promise<t.DeleteDomainRelayResponse> {
    return this.caller.run({ method: "DELETE" }, options, (request) => sdk.deleteDomainRelay({ ...request, path: { domain_id: checkedId("domainId", domainId) } }));
  }
}

/**
 * Sending: accepted emails, their recipients and what became of them.
 */
export class EmailsApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List emails.
   *
   * Gives the emails that the caller may see, newest first.
   *
   * `GET /v1/emails`
   */
  list(query?: t.ListEmailsData["query"], options?: CallOptions): Promise<t.ListEmailsResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listEmails({ ...request, query }));
  }

  /**
   * Goes over all pages of `list`, asking for each when it is needed.
   */
  all(query?: Filters<t.ListEmailsData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListEmailsResponse>, void, undefined> {
    return pages((at) => this.list({ ...query, ...at }, options));
  }

  /**
   * Send an email.
   *
   * Accepts an email. The answer 202 means that it is on stable storage for every recipient; what becomes of each shows
   * under GET /v1/emails/{email_id} and in the events.
   *
   * `POST /v1/emails`
   */
  send(body: t.SendEmailData["body"], options?: KeyedOptions): Promise<t.SendEmailResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.sendEmail({ ...request, body }));
  }

  /**
   * Send many emails.
   *
   * Accepts 1 to 1,000 emails, given as a bare array of the bodies of POST /v1/emails, in one transaction: the answer
   * 202 means that every accepted email is on stable storage for every recipient. With mode=all_or_nothing one bad email
   * refuses all, and the problem names the places, such as body[3].from. With mode=per_item a bad email stands as a
   * problem in its place of the answer and the others are sent. A batch has at most 10,000 recipients, a body of at most
   * 50 MiB and messages of at most 1 GiB in all. An Idempotency-Key covers the whole batch; while every email of it is
   * refused, nothing is kept under the key.
   *
   * `POST /v1/emails/batch`
   */
  sendBatch(body: t.SendEmailBatchData["body"], query?: t.SendEmailBatchData["query"], options?: KeyedOptions): Promise<t.SendEmailBatchResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.sendEmailBatch({ ...request, body, query }));
  }

  /**
   * Check an email.
   *
   * Says what POST /v1/emails would make of the same body, and sends and stores nothing. What is wrong with the email is
   * in the answer, with the places and codes that sending would give. What is wrong with the caller's rights is an
   * error, as it is when sending.
   *
   * `POST /v1/emails/validate`
   */
  validate(body: t.ValidateEmailData["body"], options?: KeyedOptions): Promise<t.ValidateEmailResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.validateEmail({ ...request, body }));
  }

  /**
   * Read an email.
   *
   * Gives an email with its recipients and their results.
   *
   * `GET /v1/emails/{email_id}`
   */
  get(emailId: string, options?: CallOptions): Promise<t.GetEmailResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getEmail({ ...request, path: { email_id: checkedId("emailId", emailId) } }));
  }

  /**
   * Cancel an email.
   *
   * Takes every recipient out of the queue who is not finished and not being sent right now. When there is none the
   * answer is 409 state-conflict.
   *
   * `POST /v1/emails/{email_id}/cancel`
   */
  cancel(emailId: string, options?: KeyedOptions): Promise<t.CancelEmailResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.cancelEmail({ ...request, path: { email_id: checkedId("emailId", emailId) } }));
  }

  /**
   * List an email's events.
   *
   * Gives what happened to an email, in order.
   *
   * `GET /v1/emails/{email_id}/events`
   */
  listEvents(emailId: string, query?: t.ListEmailEventsData["query"], options?: CallOptions): Promise<t.ListEmailEventsResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listEmailEvents({ ...request, path: { email_id: checkedId("emailId", emailId) }, query }));
  }

  /**
   * Goes over all pages of `listEvents`, asking for each when it is needed.
   */
  allEvents(emailId: string, query?: Filters<t.ListEmailEventsData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListEmailEventsResponse>, void, undefined> {
    return pages((at) => this.listEvents(emailId, { ...query, ...at }, options));
  }

  /**
   * Read an email's bytes.
   *
   * Gives the message as it goes out: as it was accepted, with its DKIM signatures on top once it was first tried.
   *
   * `GET /v1/emails/{email_id}/raw`
   */
  getRaw(emailId: string, options?: CallOptions): Promise<t.GetEmailRawResponse> {
    return this.caller.run({ method: "GET", binary: true }, options, (request) => sdk.getEmailRaw({ ...request, path: { email_id: checkedId("emailId", emailId) } }));
  }
}

/**
 * The ledger: everything that happened, in order.
 */
export class EventsApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List events.
   *
   * Gives what happened, oldest first. The last page has no next_cursor; a caller that wants to go on from there keeps
   * the cursor of the page before, or asks for newest first. No event is ever missed: a page holds only what no running
   * transaction can precede.
   *
   * `GET /v1/events`
   */
  list(query?: t.ListEventsData["query"], options?: CallOptions): Promise<t.ListEventsResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listEvents({ ...request, query }));
  }

  /**
   * Goes over all pages of `list`, asking for each when it is needed.
   */
  all(query?: Filters<t.ListEventsData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListEventsResponse>, void, undefined> {
    return pages((at) => this.list({ ...query, ...at }, options));
  }
}

/**
 * The mailboxes (folders) of a user.
 */
export class MailboxesApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * Read a mailbox.
   *
   * Gives one mailbox with its counts.
   *
   * `GET /v1/mailboxes/{mailbox_id}`
   */
  get(mailboxId: string, options?: CallOptions): Promise<t.GetMailboxResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getMailbox({ ...request, path: { mailbox_id: checkedId("mailboxId", mailboxId) } }));
  }

  /**
   * Rename a mailbox.
   *
   * Gives a mailbox another name (JSON merge patch). Renaming the inbox moves its messages to a new mailbox of that
   * name, which is the answer; the inbox stays and is empty.
   *
   * `PATCH /v1/mailboxes/{mailbox_id}`
   */
  update(mailboxId: string, body: t.UpdateMailboxData["body"], options?: CallOptions): Promise<t.UpdateMailboxResponse> {
    return this.caller.run({ method: "PATCH" }, options, (request) => sdk.updateMailbox({ ...request, path: { mailbox_id: checkedId("mailboxId", mailboxId) }, body }));
  }

  /**
   * Delete a mailbox.
   *
   * Deletes a mailbox with its messages. The inbox stays, and so does a mailbox with others below it.
   *
   * `DELETE /v1/mailboxes/{mailbox_id}`
   */
  delete(mailboxId: string, options?: CallOptions): Promise<t.DeleteMailboxResponse> {
    return this.caller.run({ method: "DELETE" }, options, (request) => sdk.deleteMailbox({ ...request, path: { mailbox_id: checkedId("mailboxId", mailboxId) } }));
  }

  /**
   * List mailboxes.
   *
   * Gives the mailboxes of a user, in the order of their names.
   *
   * `GET /v1/users/{user_id}/mailboxes`
   */
  list(userId: string, query?: t.ListMailboxesData["query"], options?: CallOptions): Promise<t.ListMailboxesResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listMailboxes({ ...request, path: { user_id: checkedId("userId", userId) }, query }));
  }

  /**
   * Goes over all pages of `list`, asking for each when it is needed.
   */
  all(userId: string, query?: Filters<t.ListMailboxesData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListMailboxesResponse>, void, undefined> {
    return pages((at) => this.list(userId, { ...query, ...at }, options));
  }

  /**
   * Create a mailbox.
   *
   * Makes a mailbox, and those above it that are missing.
   *
   * `POST /v1/users/{user_id}/mailboxes`
   */
  create(userId: string, body: t.CreateMailboxData["body"], options?: KeyedOptions): Promise<t.CreateMailboxResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.createMailbox({ ...request, path: { user_id: checkedId("userId", userId) }, body }));
  }
}

/**
 * The messages in a mailbox.
 */
export class MessagesApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List messages.
   *
   * Gives the messages of a mailbox, newest first.
   *
   * `GET /v1/mailboxes/{mailbox_id}/messages`
   */
  list(mailboxId: string, query?: t.ListMessagesData["query"], options?: CallOptions): Promise<t.ListMessagesResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listMessages({ ...request, path: { mailbox_id: checkedId("mailboxId", mailboxId) }, query }));
  }

  /**
   * Goes over all pages of `list`, asking for each when it is needed.
   */
  all(mailboxId: string, query?: Filters<t.ListMessagesData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListMessagesResponse>, void, undefined> {
    return pages((at) => this.list(mailboxId, { ...query, ...at }, options));
  }

  /**
   * Read a message.
   *
   * Gives a message parsed: decoded addresses and subject, bodies and the list of attachments. The bodies are data from
   * a stranger: never put html into a page without cleaning it. A key needs messages:content besides to see text and
   * html.
   *
   * `GET /v1/messages/{message_id}`
   */
  get(messageId: string, options?: CallOptions): Promise<t.GetMessageResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getMessage({ ...request, path: { message_id: checkedId("messageId", messageId) } }));
  }

  /**
   * Change a message's flags.
   *
   * Changes flags in every mailbox that shows the message (JSON merge patch).
   *
   * `PATCH /v1/messages/{message_id}`
   */
  update(messageId: string, body: t.UpdateMessageData["body"], options?: CallOptions): Promise<t.UpdateMessageResponse> {
    return this.caller.run({ method: "PATCH" }, options, (request) => sdk.updateMessage({ ...request, path: { message_id: checkedId("messageId", messageId) }, body }));
  }

  /**
   * Delete a message.
   *
   * Moves a message into the mailbox with the role trash. One that is only there already, or any with permanent=true, is
   * removed for good.
   *
   * `DELETE /v1/messages/{message_id}`
   */
  delete(messageId: string, query?: t.DeleteMessageData["query"], options?: CallOptions): Promise<t.DeleteMessageResponse> {
    return this.caller.run({ method: "DELETE" }, options, (request) => sdk.deleteMessage({ ...request, path: { message_id: checkedId("messageId", messageId) }, query }));
  }

  /**
   * Move a message.
   *
   * Moves a message into another mailbox of the same user. Its id stays.
   *
   * `POST /v1/messages/{message_id}/move`
   */
  move(messageId: string, body: t.MoveMessageData["body"], options?: KeyedOptions): Promise<t.MoveMessageResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.moveMessage({ ...request, path: { message_id: checkedId("messageId", messageId) }, body }));
  }

  /**
   * Download a part.
   *
   * Gives one part of a message with its transfer encoding undone, as a download with the part's own media type.
   *
   * `GET /v1/messages/{message_id}/parts/{part}`
   */
  getPart(messageId: string, part: string, options?: CallOptions): Promise<t.GetMessagePartResponse> {
    return this.caller.run({ method: "GET", binary: true }, options, (request) => sdk.getMessagePart({ ...request, path: { message_id: checkedId("messageId", messageId), part: checkedId("part", part) } }));
  }

  /**
   * Read a message's bytes.
   *
   * Gives the message as it is stored.
   *
   * `GET /v1/messages/{message_id}/raw`
   */
  getRaw(messageId: string, options?: CallOptions): Promise<t.GetMessageRawResponse> {
    return this.caller.run({ method: "GET", binary: true }, options, (request) => sdk.getMessageRaw({ ...request, path: { message_id: checkedId("messageId", messageId) } }));
  }
}

/**
 * Mail that waits to be sent, and where it goes.
 */
export class QueueApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List destinations.
   *
   * Gives where waiting mail goes, by name, with counts, state and next attempt.
   *
   * `GET /v1/queue/destinations`
   */
  listDestinations(query?: t.ListQueueDestinationsData["query"], options?: CallOptions): Promise<t.ListQueueDestinationsResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listQueueDestinations({ ...request, query }));
  }

  /**
   * Goes over all pages of `listDestinations`, asking for each when it is needed.
   */
  allDestinations(query?: Filters<t.ListQueueDestinationsData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListQueueDestinationsResponse>, void, undefined> {
    return pages((at) => this.listDestinations({ ...query, ...at }, options));
  }

  /**
   * Read a destination.
   *
   * Gives one destination.
   *
   * `GET /v1/queue/destinations/{destination}`
   */
  getDestination(destination: string, options?: CallOptions): Promise<t.GetQueueDestinationResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getQueueDestination({ ...request, path: { destination: checkedId("destination", destination) } }));
  }

  /**
   * Hold a destination.
   *
   * Keeps everything for the destination back, also what comes later. It needs a credential for the whole server.
   *
   * `POST /v1/queue/destinations/{destination}/hold`
   */
  holdDestination(destination: string, options?: KeyedOptions): Promise<t.HoldQueueDestinationResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.holdQueueDestination({ ...request, path: { destination: checkedId("destination", destination) } }));
  }

  /**
   * Release a destination.
   *
   * Ends the hold and makes everything due now. It needs a credential for the whole server.
   *
   * `POST /v1/queue/destinations/{destination}/release`
   */
  releaseDestination(destination: string, options?: KeyedOptions): Promise<t.ReleaseQueueDestinationResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.releaseQueueDestination({ ...request, path: { destination: checkedId("destination", destination) } }));
  }

  /**
   * Try a destination now.
   *
   * Makes everything for the destination due now and closes its breaker. An admin of some domains retries their mail
   * only.
   *
   * `POST /v1/queue/destinations/{destination}/retry`
   */
  retryDestination(destination: string, options?: KeyedOptions): Promise<t.RetryQueueDestinationResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.retryQueueDestination({ ...request, path: { destination: checkedId("destination", destination) } }));
  }

  /**
   * List the mail that waits.
   *
   * Gives the recipients without a final result, oldest first.
   *
   * `GET /v1/queue/entries`
   */
  listEntries(query?: t.ListQueueEntriesData["query"], options?: CallOptions): Promise<t.ListQueueEntriesResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listQueueEntries({ ...request, query }));
  }

  /**
   * Goes over all pages of `listEntries`, asking for each when it is needed.
   */
  allEntries(query?: Filters<t.ListQueueEntriesData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListQueueEntriesResponse>, void, undefined> {
    return pages((at) => this.listEntries({ ...query, ...at }, options));
  }

  /**
   * Read a waiting delivery.
   *
   * Gives one recipient that waits. One that is finished is not found here any more; its email tells what became of it.
   *
   * `GET /v1/queue/entries/{delivery_id}`
   */
  getEntry(deliveryId: string, options?: CallOptions): Promise<t.GetQueueEntryResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getQueueEntry({ ...request, path: { delivery_id: checkedId("deliveryId", deliveryId) } }));
  }

  /**
   * Drop a delivery.
   *
   * Takes the recipient out of the queue for good. Nobody is told but the ledger and the audit log. While it is being
   * sent the answer is 409 state-conflict.
   *
   * `POST /v1/queue/entries/{delivery_id}/drop`
   */
  dropEntry(deliveryId: string, options?: KeyedOptions): Promise<t.DropQueueEntryResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.dropQueueEntry({ ...request, path: { delivery_id: checkedId("deliveryId", deliveryId) } }));
  }

  /**
   * Hold a delivery.
   *
   * Keeps the recipient back until it is released. While it is being sent the answer is 409 state-conflict.
   *
   * `POST /v1/queue/entries/{delivery_id}/hold`
   */
  holdEntry(deliveryId: string, options?: KeyedOptions): Promise<t.HoldQueueEntryResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.holdQueueEntry({ ...request, path: { delivery_id: checkedId("deliveryId", deliveryId) } }));
  }

  /**
   * Release a delivery.
   *
   * Ends a hold and makes the next attempt due now. While it is being sent the answer is 409 state-conflict.
   *
   * `POST /v1/queue/entries/{delivery_id}/release`
   */
  releaseEntry(deliveryId: string, options?: KeyedOptions): Promise<t.ReleaseQueueEntryResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.releaseQueueEntry({ ...request, path: { delivery_id: checkedId("deliveryId", deliveryId) } }));
  }

  /**
   * Try a delivery now.
   *
   * Makes the next attempt due now. While it is being sent the answer is 409 state-conflict.
   *
   * `POST /v1/queue/entries/{delivery_id}/retry`
   */
  retryEntry(deliveryId: string, options?: KeyedOptions): Promise<t.RetryQueueEntryResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.retryQueueEntry({ ...request, path: { delivery_id: checkedId("deliveryId", deliveryId) } }));
  }

  /**
   * Try all waiting mail now.
   *
   * Makes everything due that waits for its next attempt, or a part of it. What is held stays held; a breaker that is
   * open stays open.
   *
   * `POST /v1/queue/retry`
   */
  retry(body: t.RetryQueueData["body"], options?: KeyedOptions): Promise<t.RetryQueueResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.retryQueue({ ...request, body }));
  }
}

/**
 * What development mode kept instead of sending it to the internet.
 */
export class SinkApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List what the sink kept.
   *
   * Gives the deliveries to other servers that were kept here, newest first.
   *
   * `GET /v1/sink/messages`
   */
  listMessages(query?: t.ListSinkMessagesData["query"], options?: CallOptions): Promise<t.ListSinkMessagesResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listSinkMessages({ ...request, query }));
  }

  /**
   * Goes over all pages of `listMessages`, asking for each when it is needed.
   */
  allMessages(query?: Filters<t.ListSinkMessagesData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListSinkMessagesResponse>, void, undefined> {
    return pages((at) => this.listMessages({ ...query, ...at }, options));
  }

  /**
   * Read a kept delivery.
   *
   * Gives one delivery that was kept.
   *
   * `GET /v1/sink/messages/{sink_message_id}`
   */
  getMessage(sinkMessageId: string, options?: CallOptions): Promise<t.GetSinkMessageResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getSinkMessage({ ...request, path: { sink_message_id: checkedId("sinkMessageId", sinkMessageId) } }));
  }

  /**
   * Read a kept delivery's bytes.
   *
   * Gives the message as it would have been sent.
   *
   * `GET /v1/sink/messages/{sink_message_id}/raw`
   */
  getMessageRaw(sinkMessageId: string, options?: CallOptions): Promise<t.GetSinkMessageRawResponse> {
    return this.caller.run({ method: "GET", binary: true }, options, (request) => sdk.getSinkMessageRaw({ ...request, path: { sink_message_id: checkedId("sinkMessageId", sinkMessageId) } }));
  }
}

/**
 * How the server does: counts, gauges and what waits.
 */
export class StatsApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * Read the overview.
   *
   * Gives how the server does now: what happened lately, what waits, and how much there is. The owner, and a key without
   * domains, see the whole server; an admin, and a key with domains, the sum of their domains. Numbers are at most a few
   * seconds old; the event stream sends them as stats.tick when they change.
   *
   * `GET /v1/stats/overview`
   */
  getOverview(query?: t.GetStatsOverviewData["query"], options?: CallOptions): Promise<t.GetStatsOverviewResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getStatsOverview({ ...request, query }));
  }

  /**
   * Read metrics over time.
   *
   * Gives one or more metrics, in stretches of a minute, an hour or a day (UTC). Minutes are kept for 48 hours, hours
   * for 60 days, days for 3 years. Counts are 0 where nothing happened, gauges null where nothing was sampled. Rejected
   * and the gauges belong to the whole server and are null for a caller, or a question, of some domains. A series has at
   * most 1,500 points.
   *
   * `GET /v1/stats/timeseries`
   */
  getTimeseries(query?: t.GetStatsTimeseriesData["query"], options?: CallOptions): Promise<t.GetStatsTimeseriesResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getStatsTimeseries({ ...request, query }));
  }
}

/**
 * People with a mailbox, and who may administer what.
 */
export class UsersApi {
  protected readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * List users.
   *
   * Gives the users that the caller may see, newest first.
   *
   * `GET /v1/users`
   */
  list(query?: t.ListUsersData["query"], options?: CallOptions): Promise<t.ListUsersResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.listUsers({ ...request, query }));
  }

  /**
   * Goes over all pages of `list`, asking for each when it is needed.
   */
  all(query?: Filters<t.ListUsersData["query"]>, options?: CallOptions): AsyncGenerator<ItemOf<t.ListUsersResponse>, void, undefined> {
    return pages((at) => this.list({ ...query, ...at }, options));
  }

  /**
   * Create a user.
   *
   * Makes a user with the mailboxes INBOX, Drafts, Sent, Junk, Trash and Archive. Owners, and API keys without a list of
   * domains, may make and change users of every role. An API key bound to domains may make and change users and those
   * admins whose admin_domain_ids are all among its own, never owners. Admins manage users with the role user.
   *
   * `POST /v1/users`
   */
  create(body: t.CreateUserData["body"], options?: KeyedOptions): Promise<t.CreateUserResponse> {
    return this.caller.run({ method: "POST", keyed: true }, options, (request) => sdk.createUser({ ...request, body }));
  }

  /**
   * Read a user.
   *
   * Gives one user.
   *
   * `GET /v1/users/{user_id}`
   */
  get(userId: string, options?: ReadOptions<t.GetUserResponse>): Promise<t.GetUserResponse> {
    return this.caller.run({ method: "GET" }, options, (request) => sdk.getUser({ ...request, path: { user_id: checkedId("userId", userId) } }));
  }

  /**
   * Change a user.
   *
   * Changes the given fields (JSON merge patch). A change of role or status ends the user's sessions. If-Match is
   * honoured. Owners, and API keys without a list of domains, may make and change users of every role. An API key bound
   * to domains may make and change users and those admins whose admin_domain_ids are all among its own, never owners.
   * Admins manage users with the role user.
   *
   * `PATCH /v1/users/{user_id}`
   */
  update(userId: string, body: t.UpdateUserData["body"], options?: ChangeOptions): Promise<t.UpdateUserResponse> {
    return this.caller.run({ method: "PATCH" }, options, (request) => sdk.updateUser({ ...request, path: { user_id: checkedId("userId", userId) }, body }));
  }

  /**
   * Delete a user.
   *
   * Deletes a user with all mail. If-Match is honoured.
   *
   * `DELETE /v1/users/{user_id}`
   */
  delete(userId: string, options?: ChangeOptions): Promise<t.DeleteUserResponse> {
    return this.caller.run({ method: "DELETE" }, options, (request) => sdk.deleteUser({ ...request, path: { user_id: checkedId("userId", userId) } }));
  }

  /**
   * Set a password.
   *
   * Sets a user's password and ends all of the user's sessions. Users who change their own give the current one; a wrong
   * one gets 422 current-password-wrong.
   *
   * `PUT /v1/users/{user_id}/password`
   */
  setPassword(userId: string, body: t.SetUserPasswordData["body"], options?: CallOptions): Promise<t.SetUserPasswordResponse> {
    return this.caller.run({ method: "PUT" }, options, (request) => sdk.setUserPassword({ ...request, path: { user_id: checkedId("userId", userId) }, body }));
  }
}

/** The groups of the API. */
export interface Resources {
  readonly apiKeys: ApiKeysApi;
  readonly auth: AuthApi;
  readonly blobs: BlobsApi;
  readonly dkimKeys: DkimKeysApi;
  readonly domains: DomainsApi;
  readonly emails: EmailsApi;
  readonly events: EventsApi;
  readonly mailboxes: MailboxesApi;
  readonly messages: MessagesApi;
  readonly queue: QueueApi;
  readonly sink: SinkApi;
  readonly stats: StatsApi;
  readonly users: UsersApi;
}

/** Makes every group for one caller. */
export function resources(caller: Caller): Resources {
  return {
    apiKeys: new ApiKeysApi(caller),
    auth: new AuthApi(caller),
    blobs: new BlobsApi(caller),
    dkimKeys: new DkimKeysApi(caller),
    domains: new DomainsApi(caller),
    emails: new EmailsApi(caller),
    events: new EventsApi(caller),
    mailboxes: new MailboxesApi(caller),
    messages: new MessagesApi(caller),
    queue: new QueueApi(caller),
    sink: new SinkApi(caller),
    stats: new StatsApi(caller),
    users: new UsersApi(caller),
  };
}
