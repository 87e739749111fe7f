// Package config owns the configuration: which keys exist, what they default
// to, and how a file, the environment and flags are read into one Config.
//
// It is the only reader of the process environment. Everything wrong is
// reported at once, each fault with its file, line, key and value. Defaults
// stand in the tags beside the fields and nowhere else.
//
// It must not act on what it reads: nobody listens, dials or creates a file here.
//
// Tags of a field:
//
//	key      its name in the file; the path joined by "." is the key
//	default  the value when nobody sets it, in the form the environment uses
//	dev      the same for `mailserver dev`, where it differs
//	oneof    the words it accepts, separated by "|"
//	absent   words that are planned and refused as not available in this version
//	check    the name of a check of the text (see check.go)
//	min, max bounds of a number, size or duration
//	zero     "off": an explicit 0 is kept and means no limit; otherwise 0 means the default
//	lift     "true": limits.profile none turns it off unless it is set explicitly
//	secret   "true": never shown, and may be read from the file named by <key>_file
//	note     a remark for the table of `mailserver config`
package config
