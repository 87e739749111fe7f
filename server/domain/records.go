package domain

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Ports are the ports on which clients reach this server; 0 is not served.
type Ports struct{ IMAPS, Submissions, Submission int }

// Record is a DNS record that a domain needs.
type Record struct {
	// Type is MX, TXT or SRV; Name has no last dot.
	Type string
	Name string
	// Value is the content as most consoles of DNS providers take it: the text of a TXT record without quotes, else the fields of the
	// record with names that end in a dot.
	Value string
	// Purpose is a word: mx, spf, dkim, dmarc, imaps, submissions, submission.
	Purpose string
	// Required says that mail of the domain suffers without it; else it is recommended.
	Required bool
	// Key is the DKIM key that it shows; zero for other records.
	Key mail.DKIMKeyID
}

// textMost is the size of one string of a TXT record (RFC 1035 §3.3.14).
const textMost = 255

// ZoneValue is the content as a zone file takes it. A long text is split into strings, which receivers join (RFC 6376 §3.6.2.2).
func (r Record) ZoneValue() string {
	if r.Type != "TXT" {
		return r.Value
	}
	var b strings.Builder
	for rest := r.Value; ; {
		piece := rest[:min(len(rest), textMost)]
		rest = rest[len(piece):]
		b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(piece) + `"`)
		if rest == "" {
			return b.String()
		}
		b.WriteByte(' ')
	}
}

// Records gives the DNS records that a domain should have for what this server does.
func (s *Service) Records(ctx context.Context, p mail.Principal, id mail.DomainID) ([]Record, error) {
	d, err := s.seen(ctx, p, "domains:read", id)
	if err != nil {
		return nil, err
	}
	rows, err := manyKeys(ctx, s.pool, sqlListDKIMKeys, id, mail.DKIMKeyID{}, limitMost)
	if err != nil {
		return nil, pg.Fault(err)
	}
	host := s.cfg.Hostname
	list := []Record{
		{Type: "MX", Name: d.Name, Value: "10 " + host + ".", Purpose: "mx", Required: true},
		{Type: "TXT", Name: d.Name, Value: "v=spf1 mx -all", Purpose: "spf", Required: true},
	}
	for _, row := range rows {
		k := s.shown(row)
		list = append(list, Record{
			Type: "TXT", Name: k.RecordName(), Value: k.RecordValue(), Purpose: "dkim", Key: k.ID,
			// Receivers that do not know Ed25519 use the RSA signature beside it (O-50).
			Required: k.Algorithm.RSA() && k.State != KeyRevoked,
		})
	}
	list = append(list, Record{
		Type: "TXT", Name: "_dmarc." + d.Name, Value: "v=DMARC1; p=none; rua=mailto:postmaster@" + d.Name, Purpose: "dmarc", Required: true,
	})
	// RFC 6186 §3, RFC 8314 §5.1: implicit TLS comes first.
	for _, c := range []struct {
		purpose        string
		priority, port int
	}{{"imaps", 0, s.cfg.Ports.IMAPS}, {"submissions", 0, s.cfg.Ports.Submissions}, {"submission", 10, s.cfg.Ports.Submission}} {
		if c.port != 0 {
			value := fmt.Sprintf("%d 1 %d %s.", c.priority, c.port, host)
			list = append(list, Record{Type: "SRV", Name: "_" + c.purpose + "._tcp." + d.Name, Value: value, Purpose: c.purpose})
		}
	}
	return list, nil
}
