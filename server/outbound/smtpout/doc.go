// Package smtpout carries a letter to another mail server: it finds the servers of a domain, speaks SMTP with one of them and
// says, for each recipient, what came of it.
//
//	Client   what all deliveries share: configuration, the table of answers, what is remembered of hosts
//	Courier  the way to one destination; keeps its connection for the next letter
//	route    MX records, implicit MX, configured routes and relays to at most 5 addresses (mail-rules O-1..O-7)
//	wire     one socket: bounded replies, a deadline for each reply, an end with its context
//	session  greeting, EHLO, STARTTLS, AUTH (O-8, O-10, O-11, O-13, O-46)
//	envelope MAIL, RCPT, DATA and the final dot, one transaction after the other
//	table    what an answer means (§3.5), data in answers.txt
//
// The client is our own and not go-smtp's, because the rules ask for what that library keeps to itself: the moment before the
// final dot, replies with a bound in octets and in time, what was buffered before a handshake, and which connection was lost.
//
// The package never decides when to try again, keeps no queue and writes no log about a recipient: it returns Results. It
// never holds a whole message in memory. It dials nothing but public addresses, unless a network is allowed by name (O-6).
package smtpout
