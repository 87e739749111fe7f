package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/config"
)

type userCmd struct {
	List   userListCmd   `cmd:"" help:"List the users that the key may see."`
	Create userCreateCmd `cmd:"" help:"Make a user with a mailbox."`
	Get    userGetCmd    `cmd:"" help:"Show a user."`
	Delete userDeleteCmd `cmd:"" help:"Delete a user with all mail."`
	Passwd userPasswdCmd `cmd:"" help:"Set a user's password."`
}

type userListCmd struct {
	remote
	Domain string `help:"Only users of this domain, a name or an id." placeholder:"DOMAIN"`
	Role   string `help:"Only users with this role: owner, admin or user." enum:",owner,admin,user" default:"" placeholder:"ROLE"`
}

// Run prints the users, newest first.
func (c userListCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	filter := mailserver.ListUsers{Role: mailserver.UserRole(c.Role), Limit: pageSize}
	if c.Domain != "" {
		d, err := domainByText(ctx, client, c.Domain)
		if err != nil {
			return err
		}
		filter.DomainID = d.ID
	}
	found, err := gather(client.Users.All(ctx, filter))
	if err != nil || c.JSON {
		return either(err, env, found)
	}
	rows := make([][]string, len(found.Items))
	for i, u := range found.Items {
		rows[i] = []string{
			u.Email, u.Name, string(u.Role), string(u.Status), bytesText(u.UsedBytes) + " of " + bytesText(u.QuotaBytes),
			strconv.FormatInt(u.Messages, 10), u.ID,
		}
	}
	return env.printTable([]string{"EMAIL", "NAME", "ROLE", "STATUS", "USED", "MESSAGES", "ID"}, rows)
}

// userByText finds a user by address or id.
func userByText(ctx context.Context, client *mailserver.Client, text string) (*mailserver.User, error) {
	if strings.HasPrefix(text, "usr_") && !strings.Contains(text, "@") {
		return client.Users.Get(ctx, text)
	}
	return client.Users.GetByEmail(ctx, text)
}

// withPassword is a user with a password that was made up here.
type withPassword struct {
	*mailserver.User
	Password string `json:"password,omitempty"`
}

// showUser prints a user or its JSON; a password that was made up here is shown this once.
func (r remote) showUser(env environment, u *mailserver.User, password string, err error) error {
	if err != nil || r.JSON {
		return either(err, env, withPassword{u, password})
	}
	fields := [][2]string{
		{"email", u.Email},
		{"name", u.Name},
		{"role", string(u.Role)},
		{"status", string(u.Status)},
		{"used", bytesText(u.UsedBytes) + " of " + bytesText(u.QuotaBytes)},
		{"messages", strconv.FormatInt(u.Messages, 10)},
		{"id", u.ID},
		{"created", when(u.CreatedAt)},
		{"changed", when(u.UpdatedAt)},
	}
	if password != "" {
		fields = append(fields, [2]string{"password", password + "   (shown this once)"})
	}
	return env.printFields(fields)
}

// passwordFlags say where a password comes from. It is never an argument, which every account of the machine could read.
type passwordFlags struct {
	PasswordStdin bool   `help:"Read the password from the first line of standard input." xor:"password"`
	PasswordFile  string `help:"Read the password from the first line of a file." type:"existingfile" placeholder:"FILE" xor:"password"`
}

// read gives the password, and whether it was made up here.
func (f passwordFlags) read(env environment) (password string, madeUp bool, err error) {
	switch {
	case f.PasswordStdin:
		password, err = firstLine(env.stdin)
	case f.PasswordFile != "":
		var file *os.File
		if file, err = os.Open(f.PasswordFile); err == nil {
			defer file.Close()
			password, err = firstLine(file)
		}
	default:
		return rand.Text(), true, nil
	}
	if err == nil && password == "" {
		err = errors.New("the password is empty")
	}
	return password, false, err
}

func firstLine(r io.Reader) (string, error) {
	const longest = 4096
	line, err := bufio.NewReader(io.LimitReader(r, longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// sizeFlag is a size such as 5GiB.
type sizeFlag int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *sizeFlag) UnmarshalText(text []byte) error {
	size, err := config.ParseSize(string(text))
	*s = sizeFlag(size)
	return err
}

type userCreateCmd struct {
	remote
	passwordFlags
	Email        string    `arg:"" help:"The address; its domain must be hosted."`
	Name         string    `help:"The display name."`
	Role         string    `help:"owner, admin or user; user when absent." enum:",owner,admin,user" default:"" placeholder:"ROLE"`
	AdminOf      []string  `help:"The domains that an admin administers, names or ids." placeholder:"DOMAIN"`
	Quota        *sizeFlag `help:"How much the mailboxes may hold, such as 5GiB; the server's default when absent." placeholder:"SIZE"`
	PasswordHash string    `help:"A hash of the password from another server: argon2id (PHC), bcrypt or sha512-crypt." placeholder:"HASH" xor:"password"`
}

// Run makes the user. Without a password it makes one up and shows it.
func (c userCreateCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	create := mailserver.UserCreate{Email: c.Email, Name: c.Name, Role: mailserver.UserRole(c.Role), PasswordHash: c.PasswordHash}
	if c.Quota != nil {
		create.QuotaBytes = new(int64(*c.Quota))
	}
	for _, text := range c.AdminOf {
		d, err := domainByText(ctx, client, text)
		if err != nil {
			return err
		}
		create.AdminDomainIDs = append(create.AdminDomainIDs, d.ID)
	}
	shown := ""
	if c.PasswordHash == "" {
		password, madeUp, err := c.read(env)
		if err != nil {
			return err
		}
		create.Password = password
		if madeUp {
			shown = password
		}
	}
	u, err := client.Users.Create(ctx, create)
	return c.showUser(env, u, shown, err)
}

type userGetCmd struct {
	remote
	User string `arg:"" help:"The user's address or id."`
}

// Run prints one user.
func (c userGetCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	u, err := userByText(ctx, client, c.User)
	return c.showUser(env, u, "", err)
}

type userDeleteCmd struct {
	remote
	User string `arg:"" help:"The user's address or id."`
}

// Run deletes the user.
func (c userDeleteCmd) Run(ctx context.Context, env environment) error {
	c.destroys = true
	client, err := c.client(env)
	if err != nil {
		return err
	}
	u, err := userByText(ctx, client, c.User)
	if err == nil {
		err = client.Users.Delete(ctx, u.ID)
	}
	if err != nil {
		return err
	}
	return c.gone(env, u.ID, u.Email, "deleted")
}

type userPasswdCmd struct {
	remote
	passwordFlags
	User string `arg:"" help:"The user's address or id."`
}

// Run sets the password. Without one it makes one up and shows it.
func (c userPasswdCmd) Run(ctx context.Context, env environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	u, err := userByText(ctx, client, c.User)
	if err != nil {
		return err
	}
	password, madeUp, err := c.read(env)
	if err != nil {
		return err
	}
	if err := client.Users.SetPassword(ctx, u.ID, password); err != nil {
		return err
	}
	if !madeUp {
		password = ""
	}
	return c.showUser(env, u, password, nil)
}
