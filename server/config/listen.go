package config

// Set gives the listener of that name (see All) another address.
func (l *Listen) Set(name, address string) {
	for key, field := range map[string]*string{
		"smtp": &l.SMTP, "submission": &l.Submission, "submissions": &l.Submissions, "imap": &l.IMAP, "imaps": &l.IMAPS,
		"http": &l.HTTP, "https": &l.HTTPS,
	} {
		if key == name {
			*field = address
		}
	}
}

// Explicit reports whether somebody set the key, rather than a default.
func (c *Config) Explicit(key string) bool { return c.origins[key].explicit }
