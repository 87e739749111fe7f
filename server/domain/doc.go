// Package domain owns the hosted domains: their names, whether mail may be sent from them, the DKIM keys with which it is signed, the
// DNS records that they need, and who may change that.
//
// A name is stored in lower case and A-labels, so that no comparison depends on the database's locale. The domain is the
// tenant: a principal that may not see one is told that it does not exist. The package must not know users or mail; a domain
// that something still belongs to cannot be deleted.
//
// A private DKIM key lies sealed in the database (mail-rules S-35, O-54) or in a file of the operator's; no list and no export of a
// domain shows it. Signing is here because the keys are: Sign reads the bytes of a letter and knows nothing else of it.
package domain
