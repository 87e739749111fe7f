package mail

import (
	"net/netip"
	"slices"
	"strings"
)

// Role is what a user may administer.
type Role string

// The roles. An owner has the whole server, an admin the domains that are named for them, a user their own mailbox.
const (
	RoleOwner Role = "owner"
	RoleAdmin Role = "admin"
	RoleUser  Role = "user"
)

// ParseRole checks a role's name.
func ParseRole(s string) (Role, bool) {
	r := Role(s)
	return r, r == RoleOwner || r == RoleAdmin || r == RoleUser
}

// Principal is who asks. Every service method that changes or reveals something takes one, so that API, IMAP and SMTP cannot
// differ in what they allow. The zero Principal is nobody and may do nothing.
type Principal struct {
	// User is the account behind the request; zero for API keys without a user and for the system.
	User UserID
	// Address is the user's address.
	Address Address
	// Role is the user's role; empty for API keys.
	Role Role
	// Key is the API key behind the request, if any.
	Key KeyID
	// Scopes are what a key may do; nil for users, whose role decides.
	Scopes []string
	// Domains restricts a key or an admin to these domains; empty means all for keys and owners.
	Domains []DomainID
	// Test marks a test key: its mail ends in the built-in test network.
	Test bool
	// Epoch is the user's auth_epoch at sign-in: it rises with every change of password, role or status, and ends what was let in
	// before. 0 is unknown.
	Epoch int
	// Session is the browser session behind the request; zero for others.
	Session SessionID
	// Remote is the client's address, for audit and limits.
	Remote netip.Addr
	// Job names an inner actor ("reconciler"); it may do everything.
	Job string
}

// System is the principal of the server's own work.
func System(job string) Principal { return Principal{Job: job} }

// IsSystem reports whether the server itself asks.
func (p Principal) IsSystem() bool { return p.Job != "" }

// IsKey reports whether an API key asks.
func (p Principal) IsKey() bool { return !p.Key.IsZero() }

// IsOwner reports whether the principal has the whole server: the owner, or the server itself.
func (p Principal) IsOwner() bool { return p.IsSystem() || !p.IsKey() && p.Role == RoleOwner }

// Actor names the principal in the audit log.
func (p Principal) Actor() string {
	switch {
	case p.IsSystem():
		return "system:" + p.Job
	case p.IsKey():
		return p.Key.String()
	case !p.User.IsZero():
		return p.User.String()
	}
	return "anonymous"
}

// HasScope reports whether a key holds the scope ("domains:read"). "resource:write" includes "resource:read". Users hold
// what their role gives; that is decided by MayDomain and MayUser.
func (p Principal) HasScope(scope string) bool {
	if p.IsSystem() || !p.IsKey() && !p.User.IsZero() {
		return true
	}
	if slices.Contains(p.Scopes, scope) {
		return true
	}
	resource, ok := strings.CutSuffix(scope, ":read")
	return ok && slices.Contains(p.Scopes, resource+":write")
}

// MayDomain reports whether the principal may see and change the domain's objects.
func (p Principal) MayDomain(d DomainID) bool {
	switch {
	case p.IsSystem():
		return true
	case p.IsKey():
		return len(p.Domains) == 0 || slices.Contains(p.Domains, d)
	case p.Role == RoleOwner:
		return true
	case p.Role == RoleAdmin:
		return slices.Contains(p.Domains, d)
	}
	return false
}

// MayUser reports whether the principal may act on the mailbox of the user, who belongs to the domain.
func (p Principal) MayUser(u UserID, d DomainID) bool {
	return !p.IsKey() && !p.User.IsZero() && p.User == u || p.MayDomain(d)
}

// AllDomains reports whether the principal is restricted to no domain.
func (p Principal) AllDomains() bool {
	return p.IsOwner() || p.IsKey() && len(p.Domains) == 0
}
