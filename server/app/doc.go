// Package app builds the server: it makes every part in order, starts the parts, and stops them in reverse.
//
// It holds no rule about mail. What is wired here and nowhere else: outbound's Local is inbound, an account's creation makes its
// mailboxes, configured limits reach the edges.
package app
