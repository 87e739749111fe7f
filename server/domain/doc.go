// Package domain owns the hosted domains: their names, whether mail may be sent from them, and who may change that.
//
// A name is stored in lower case and A-labels, so that no comparison depends on the database's locale. The domain is the
// tenant: a principal that may not see one is told that it does not exist. The package must not know users or mail; a domain
// that something still belongs to cannot be deleted.
package domain
