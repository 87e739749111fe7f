// Package audit owns the record of who changed what. A row is written in the caller's transaction: a change without its row, or
// a row without its change, cannot exist. Rows are only ever added.
//
// The package must not decide who may do something; it writes down what was done. It does decide who may read the record.
package audit
