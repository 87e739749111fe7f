package api

import (
	"context"
	"net/http"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// DNSRecord is a record that a domain should have for what this server does.
type DNSRecord struct {
	Type      string  `json:"type" enum:"MX,TXT,SRV" example:"TXT" doc:"The type of the record. New types may appear."`
	Name      string  `json:"name" example:"202611r1._domainkey.example.test" doc:"The whole name, without a dot at the end."`
	Value     string  `json:"value" example:"v=DKIM1; k=rsa; p=MIIBIjANBgkq" doc:"The content as the consoles of most DNS providers take it: the text of a TXT record without quotes."`
	ZoneValue string  `json:"zone_value" example:"\"v=DKIM1; k=rsa; p=MIIBIjANBgkq\"" doc:"The content as a zone file takes it: a TXT record in quotes, a long one as several strings of at most 255 octets."`
	Purpose   string  `json:"purpose" example:"dkim" doc:"What it is for: mx, spf, dkim, dmarc, imaps, submissions, submission. New words may appear."`
	Required  bool    `json:"required" example:"true" doc:"Whether mail of the domain suffers without it; else it is recommended."`
	DKIMKeyID *string `json:"dkim_key_id" example:"dkm_01h455vb4pex5vsknk084sn02q" doc:"The DKIM key that it shows; null for other records."`
}

// DNSRecordPage is the list of a domain's records.
type DNSRecordPage = Page[DNSRecord]

func (a *API) registerDNSRecords() {
	register(a, with(scoped(http.MethodGet, "/v1/domains/{domain_id}/dns-records", "listDnsRecords", "domains", "domains:read", "List the DNS records of a domain",
		"Gives the records that the domain should have for what this server does, all on one page. What the name servers show is not compared."),
		http.StatusBadRequest, http.StatusNotFound), a.listDNSRecords)
}

type listDNSRecordsInput struct {
	DomainID string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
}

type listDNSRecordsOutput struct{ Body DNSRecordPage }

func (a *API) listDNSRecords(ctx context.Context, in *listDNSRecordsInput) (*listDNSRecordsOutput, error) {
	var id mail.DomainID
	if err := parseID(in.DomainID, "path.domain_id", &id); err != nil {
		return nil, err
	}
	list, err := a.Domains.Records(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	items := make([]DNSRecord, len(list))
	for i, r := range list {
		items[i] = DNSRecord{Type: r.Type, Name: r.Name, Value: r.Value, ZoneValue: r.ZoneValue(), Purpose: r.Purpose, Required: r.Required}
		if key := nextID(r.Key); key != "" {
			items[i].DKIMKeyID = &key
		}
	}
	return &listDNSRecordsOutput{Body: page(items, "", "dns-records")}, nil
}
