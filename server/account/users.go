package account

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Create is what is asked for a new user.
type Create struct {
	// Email is the address; its domain must be hosted.
	Email string
	// Password is the password in clear; or PasswordHash is an argon2id PHC string, a bcrypt or a sha512-crypt hash. Exactly
	// one is given.
	Password     string
	PasswordHash string
	Name         string
	// Role is RoleUser when empty. Owners and keys of the whole server make owners and admins; keys of some domains make admins
	// of these.
	Role mail.Role
	// QuotaBytes is the default quota when nil.
	QuotaBytes *int64
	// Domains are the domains of an admin.
	Domains []mail.DomainID
}

// Create makes a user, and with OnCreate what belongs to one. It gives fault.Conflict "already-exists" when the address is
// taken; fault.Invalid for bad fields, weak passwords and domains that are not hosted or not the principal's.
func (s *Service) Create(ctx context.Context, p mail.Principal, in Create) (User, error) {
	if err := scope(p, "users:write"); err != nil {
		return User{}, err
	}
	r, address, err := s.newUser(ctx, p, in)
	if err != nil {
		return User{}, err
	}
	hosted, found, err := domain.Find(ctx, s.pool, address.Domain)
	if err != nil {
		return User{}, pg.Fault(err)
	}
	if !found || !p.MayDomain(hosted.ID) {
		return User{}, invalid("email", "the domain of the address is not hosted here")
	}
	r.DomainID = hosted.ID
	if r.hash, err = s.hashFor(ctx, in); err != nil {
		return User{}, err
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error { return s.insert(ctx, tx, p, &r) })
	if err != nil {
		return User{}, pg.Fault(err)
	}
	s.bus.Publish(bus.Events)
	return r.User, nil
}

// newUser checks all that can be checked without the database.
func (s *Service) newUser(ctx context.Context, p mail.Principal, in Create) (r record, address mail.Address, err error) {
	if address, err = parseEmail(in.Email); err != nil {
		return r, address, err
	}
	r.User = User{Email: address.String(), Name: in.Name, Role: in.Role, Status: Active, QuotaBytes: s.cfg.DefaultQuota}
	if r.Role == "" {
		r.Role = mail.RoleUser
	}
	if in.QuotaBytes != nil {
		r.QuotaBytes = *in.QuotaBytes
	}
	if r.AdminDomains, err = adminDomains(ctx, s.pool, p, r.Role, in.Domains); err != nil {
		return r, address, err
	}
	if err = checkName("name", in.Name, nameMost); err == nil {
		err = checkQuota(r.QuotaBytes)
	}
	if !mayAppoint(p, r.Role, r.AdminDomains) {
		err = errAppoint()
	}
	return r, address, err
}

// adminDomains checks a role and the domains that go with it. A key learns nothing of domains that are not its own.
func adminDomains(ctx context.Context, q pg.Querier, p mail.Principal, role mail.Role, ids []mail.DomainID) ([]mail.DomainID, error) {
	if _, ok := mail.ParseRole(string(role)); !ok {
		return nil, invalid("role", "role must be owner, admin or user")
	}
	if len(ids) > 0 && role != mail.RoleAdmin {
		return nil, invalid("admin_domain_ids", "only an admin has a list of domains")
	}
	if len(ids) > domainsMost {
		return nil, invalid("admin_domain_ids", "at most %d domains", domainsMost)
	}
	ids = distinct(ids)
	known, err := domainsExist(ctx, q, ids)
	if err != nil {
		return nil, pg.Fault(err)
	}
	foreign := func(id mail.DomainID) bool { return p.IsKey() && !p.MayDomain(id) }
	if !known || slices.ContainsFunc(ids, foreign) {
		return nil, invalid("admin_domain_ids", "a domain in the list does not exist")
	}
	return ids, nil
}

func distinct(ids []mail.DomainID) []mail.DomainID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b mail.DomainID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// hashFor gives the hash to store. The password is hashed behind the gate, like a sign-in.
func (s *Service) hashFor(ctx context.Context, in Create) (string, error) {
	switch {
	case (in.Password == "") == (in.PasswordHash == ""):
		return "", invalid("password", "give either password or password_hash")
	case in.PasswordHash != "":
		if _, err := parseHash(in.PasswordHash); err != nil {
			return "", invalid("password_hash", "%v", err)
		}
		return in.PasswordHash, nil
	}
	return s.hashNew(ctx, in.Password)
}

func (s *Service) hashNew(ctx context.Context, password string) (hash string, err error) {
	if err := s.checkPassword(password); err != nil {
		return "", err
	}
	err = s.gate.do(ctx, func() { hash = s.cfg.Argon2.hash(password) })
	return hash, err
}

// insert writes the user, what hangs on it, and the record of it.
func (s *Service) insert(ctx context.Context, tx pgx.Tx, p mail.Principal, r *record) error {
	now := s.now()
	r.ID = mail.UserID{}.New(now)
	r.Version, r.CreatedAt, r.UpdatedAt = 1, now, now
	if err := insertUser(ctx, tx, *r); err != nil {
		if pg.IsUniqueViolation(err, accountEmails) {
			return fault.New(fault.Conflict, "already-exists", "the address %s is taken", r.Email).At("email")
		}
		return err
	}
	if s.OnCreate != nil {
		if err := s.OnCreate(ctx, tx, r.User); err != nil {
			return err
		}
	}
	if err := s.note(ctx, tx, p, r.User, change{event.UserCreated, "user.create", map[string]any{"role": string(r.Role)}}); err != nil {
		return err
	}
	idem.SetEffect(ctx, r.ID.String())
	return nil
}

// Get gives a user by id; fault.NotFound when there is none that the principal may see.
func (s *Service) Get(ctx context.Context, p mail.Principal, id mail.UserID) (User, error) {
	if err := scope(p, "users:read"); err != nil {
		return User{}, err
	}
	r, found, err := oneUser(ctx, s.pool, sqlGetUser, id)
	return seen(p, r, found, err)
}

// GetByEmail is Get by the user's address, in any spelling.
func (s *Service) GetByEmail(ctx context.Context, p mail.Principal, email string) (User, error) {
	if err := scope(p, "users:read"); err != nil {
		return User{}, err
	}
	a, err := mail.ParseAddress(email)
	if err != nil {
		return User{}, errNoUser()
	}
	r, found, err := oneUser(ctx, s.pool, sqlUserByEmail, Fold(a))
	return seen(p, r, found, err)
}

func seen(p mail.Principal, r record, found bool, err error) (User, error) {
	if err != nil {
		return User{}, pg.Fault(err)
	}
	if !found || !p.MayUser(r.ID, r.DomainID) {
		return User{}, errNoUser()
	}
	return r.User, nil
}

// ListQuery says which users are wanted, newest first. Zero fields do not restrict.
type ListQuery struct {
	// After is the last id of the page before.
	After mail.UserID
	// Limit is 1 to 200, default 50.
	Limit  int
	Domain mail.DomainID
	Role   mail.Role
	Status Status
	// Email matches the whole address, in any spelling.
	Email string
}

// userView says which users a principal sees.
type userView struct {
	all     bool
	domains []mail.DomainID
	self    mail.UserID
}

// List gives the users that the principal may see, and the id to go on after; it is zero on the last page.
func (s *Service) List(ctx context.Context, p mail.Principal, q ListQuery) ([]User, mail.UserID, error) {
	if err := scope(p, "users:read"); err != nil {
		return nil, mail.UserID{}, err
	}
	if q.Limit <= 0 {
		q.Limit = limitDefault
	}
	q.Limit = min(q.Limit, limitMost)
	if q.Email != "" {
		a, err := mail.ParseAddress(q.Email)
		if err != nil {
			return nil, mail.UserID{}, invalid("email", "not an email address: %v", err)
		}
		q.Email = Fold(a)
	}
	v := userView{all: p.AllDomains(), self: p.User}
	if p.IsKey() || p.Role == mail.RoleAdmin {
		v.domains = p.Domains
	}
	users, err := listUsers(ctx, s.pool, v, q)
	if err != nil || len(users) <= q.Limit {
		return users, mail.UserID{}, pg.Fault(err)
	}
	return users[:q.Limit], users[q.Limit-1].ID, nil
}

// Update is a merge patch: nil keeps a field.
type Update struct {
	Name       *string
	Role       *mail.Role
	Status     *Status
	QuotaBytes *int64
	// Domains are the domains of an admin.
	Domains *[]mail.DomainID
	// IfVersion is the version that the caller saw; 0 asks for no check.
	IfVersion int64
}

// Update changes a user. A change of role, status or domains ends all access that was issued before (S-24). It gives
// fault.Stale "etag-mismatch" for another version and fault.Conflict "state-conflict" when no active owner would be left.
func (s *Service) Update(ctx context.Context, p mail.Principal, id mail.UserID, in Update) (User, error) {
	if err := scope(p, "users:write"); err != nil {
		return User{}, err
	}
	var r record
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		if r, err = lock(ctx, tx, p, id, in.IfVersion); err != nil {
			return err
		}
		before := r
		if err := apply(ctx, tx, p, &r, in); err != nil {
			return err
		}
		if before.Role == mail.RoleOwner && (r.Role != mail.RoleOwner || r.Status != Active) {
			if err := keepAnOwner(ctx, tx, id); err != nil {
				return err
			}
		}
		if r.Role != before.Role || r.Status != before.Status || !slices.Equal(r.AdminDomains, before.AdminDomains) {
			r.epoch++
		}
		r.Version, r.UpdatedAt = r.Version+1, s.now()
		if err := updateUser(ctx, tx, r); err != nil {
			return err
		}
		return s.note(ctx, tx, p, r.User, change{event.UserUpdated, "user.update", map[string]any{
			"role": string(r.Role), "status": string(r.Status), "quota_bytes": r.QuotaBytes,
		}})
	})
	if err != nil {
		return User{}, pg.Fault(err)
	}
	s.credentialsChanged(id)
	return r.User, nil
}

// lock reads the user for a change and checks that the principal may make it and saw this version. Changes by those who may change
// owners go one at a time, so that two owners who remove each other do not leave none.
func lock(ctx context.Context, tx pgx.Tx, p mail.Principal, id mail.UserID, ifVersion int64) (record, error) {
	if p.AllDomains() {
		if _, err := tx.Exec(ctx, sqlLockOwners); err != nil {
			return record{}, err
		}
	}
	r, found, err := oneUser(ctx, tx, sqlLockUser, id)
	switch {
	case err != nil:
		return r, err
	case !found:
		return r, errNoUser()
	}
	if err := mayManage(p, r.User); err != nil {
		return r, err
	}
	return r, checkVersion(r.User, ifVersion)
}

func checkVersion(u User, ifVersion int64) error {
	if ifVersion != 0 && ifVersion != u.Version {
		return fault.New(fault.Stale, "etag-mismatch", "the user was changed by somebody else; read it again")
	}
	return nil
}

func apply(ctx context.Context, q pg.Querier, p mail.Principal, r *record, in Update) error {
	if in.Name != nil {
		r.Name = *in.Name
	}
	if in.QuotaBytes != nil {
		r.QuotaBytes = *in.QuotaBytes
	}
	if in.Status != nil {
		r.Status = *in.Status
	}
	if in.Role != nil {
		r.Role = *in.Role
	}
	if r.Role != mail.RoleAdmin {
		r.AdminDomains = nil
	}
	if (in.Role != nil || in.Domains != nil) && !p.IsOwner() && !p.IsKey() {
		return errAppoint()
	}
	wanted := r.AdminDomains
	if in.Domains != nil {
		wanted = *in.Domains
	}
	var err error
	if r.AdminDomains, err = adminDomains(ctx, q, p, r.Role, wanted); err != nil {
		return err
	}
	if !mayAppoint(p, r.Role, r.AdminDomains) {
		return errAppoint()
	}
	if _, ok := ParseStatus(string(r.Status)); !ok {
		return invalid("status", "status must be active or disabled")
	}
	if err := checkName("name", r.Name, nameMost); err != nil {
		return err
	}
	return checkQuota(r.QuotaBytes)
}

// keepAnOwner refuses to take away the last active owner.
func keepAnOwner(ctx context.Context, tx pgx.Tx, leaving mail.UserID) error {
	var others bool
	if err := tx.QueryRow(ctx, sqlOtherOwners, leaving).Scan(&others); err != nil || others {
		return err
	}
	return fault.New(fault.Conflict, "state-conflict", "this is the last active owner; make another one first")
}

// Delete removes a user, and with OnDelete what belongs to it.
func (s *Service) Delete(ctx context.Context, p mail.Principal, id mail.UserID, ifVersion int64) error {
	if err := scope(p, "users:write"); err != nil {
		return err
	}
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		r, err := lock(ctx, tx, p, id, ifVersion)
		if err != nil {
			return err
		}
		if r.Role == mail.RoleOwner {
			if err := keepAnOwner(ctx, tx, id); err != nil {
				return err
			}
		}
		if s.OnDelete != nil {
			if err := s.OnDelete(ctx, tx, r.User); err != nil {
				return err
			}
		}
		if err := deleteUser(ctx, tx, id); err != nil {
			return err
		}
		return s.note(ctx, tx, p, r.User, change{event.UserDeleted, "user.delete", nil})
	})
	if err != nil {
		return pg.Fault(err)
	}
	s.credentialsChanged(id)
	return nil
}

// SetPassword is what is asked for a new password.
type SetPassword struct {
	// Current is the password up to now. Users who change their own must give it; others need not.
	Current string
	New     string
}

// SetPassword changes a password and ends all sessions and tokens of the user (S-24). A wrong current password gives
// fault.Invalid "current-password-wrong", which ends no session, and counts as a failed sign-in.
func (s *Service) SetPassword(ctx context.Context, p mail.Principal, id mail.UserID, in SetPassword) error {
	if err := scope(p, "users:write"); err != nil {
		return err
	}
	r, found, err := oneUser(ctx, s.pool, sqlGetUser, id)
	if _, err := seen(p, r, found, err); err != nil {
		return err
	}
	if err := s.checkPassword(in.New); err != nil {
		return err
	}
	if own := !p.IsKey() && p.User == id; own {
		err = s.proveCurrent(ctx, p, r, in.Current)
	} else {
		err = mayManage(p, r.User)
	}
	if err != nil {
		return err
	}
	hash, err := s.hashNew(ctx, in.New)
	if err != nil {
		return err
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, found, err := oneUser(ctx, tx, sqlLockUser, id); err != nil || !found {
			return cmp.Or(err, errNoUser())
		}
		if err := setPassword(ctx, tx, id, hash, s.now()); err != nil {
			return err
		}
		return s.note(ctx, tx, p, r.User, change{event.UserUpdated, "user.set_password", nil})
	})
	if err != nil {
		return pg.Fault(err)
	}
	s.credentialsChanged(id)
	return nil
}

func (s *Service) proveCurrent(ctx context.Context, p mail.Principal, r record, current string) error {
	_, err := s.signIn(ctx, "password", r.Email, current, p.Remote)
	if fault.Is(err, fault.Unauthenticated) {
		return fault.New(fault.Invalid, "current-password-wrong", "the current password is wrong").At("current_password")
	}
	return err
}

// Bootstrap makes the first owner, and its domain when it is not hosted yet. made is false when an owner exists already; then
// nothing happens and the user is zero.
func (s *Service) Bootstrap(ctx context.Context, email, password string) (u User, made bool, err error) {
	p := mail.System("bootstrap")
	if has, err := hasOwner(ctx, s.pool); has || err != nil {
		return User{}, false, pg.Fault(err)
	}
	r, address, err := s.newUser(ctx, p, Create{Email: email, Role: mail.RoleOwner})
	if err != nil {
		return User{}, false, err
	}
	if r.hash, err = s.hashNew(ctx, password); err != nil {
		return User{}, false, err
	}
	dkim, err := s.domains.PrepareKeys("")
	if err != nil {
		return User{}, false, err
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockOwners); err != nil {
			return err
		}
		if has, err := hasOwner(ctx, tx); has || err != nil {
			return err
		}
		d, found, err := domain.Find(ctx, tx, address.Domain)
		if err == nil && !found {
			d, err = s.domains.CreateIn(ctx, tx, p, address.Domain, dkim)
		}
		if err != nil {
			return err
		}
		r.DomainID, made = d.ID, true
		return s.insert(ctx, tx, p, &r)
	})
	if err != nil || !made {
		return User{}, false, pg.Fault(err)
	}
	s.bus.Publish(bus.Events)
	return r.User, true, nil
}
