// Package seal keeps secrets at rest: what lies in the database is encrypted with a master key that never does (mail-rules S-35).
//
// A sealed secret is AES-256-GCM with a random nonce. Its additional data name the table, the row and the column, so that a
// ciphertext which was moved to another row does not open. In front of it stand a version and the id of the key, so that a key
// that is not there is told from bytes that were changed.
//
// The key comes from the configuration or from the file master.key of the data directory, which is made at the first start. It is
// made only while nothing was sealed: a lost key is never replaced by a new one in silence.
//
// The package must not know what is sealed, and it does not ask the database.
package seal
