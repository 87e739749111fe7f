package config

import (
	"maps"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// complete fills in what follows from other keys and checks keys against each
// other.
func (l *loader) complete(src Source) {
	l.hostname(src.MachineName)
	l.bind()
	l.lift()
	l.checkTLS()
	l.checkListeners()
	l.checkOutbound()
	if l.cfg.DirectURL != "" && l.cfg.DatabaseURL == "" {
		l.conflict("direct_url", "", "is set without database_url")
	}
	if l.cfg.Limits.API.BodyBytes > l.cfg.Limits.API.BodyBudgetBytes {
		l.conflict("limits.api.body_bytes", l.cfg.Limits.API.BodyBytes.String(), "is more than limits.api.body_budget_bytes")
	}
	if l.cfg.Limits.API.BatchBytes > l.cfg.Limits.API.BodyBudgetBytes {
		l.conflict("limits.api.batch_bytes", l.cfg.Limits.API.BatchBytes.String(), "is more than limits.api.body_budget_bytes")
	}
}

// hostname falls back to the machine's name, and to localhost where that is no
// host name.
func (l *loader) hostname(machine string) {
	if l.cfg.Hostname == "" {
		if machine == "" {
			machine, _ = os.Hostname()
		}
		if checkHostname(machine) != nil {
			machine = "localhost"
		}
		l.cfg.Hostname = machine
		l.cfg.origins["hostname"] = origin{where: "machine"}
	}
	l.cfg.Hostname = strings.ToLower(l.cfg.Hostname)
}

// bind gives listeners without a host the bind address.
func (l *loader) bind() {
	for _, f := range l.cat.fields {
		if f.tag.Get("check") != "listen" {
			continue
		}
		v := l.value(f)
		host, port, err := net.SplitHostPort(v.String())
		if err == nil && host == "" {
			v.SetString(net.JoinHostPort(l.cfg.BindAddress, port))
		}
	}
}

// lift turns off what limits.profile none turns off.
func (l *loader) lift() {
	if l.cfg.Limits.Profile != "none" {
		return
	}
	for _, f := range l.cat.fields {
		if f.tag.Get("lift") != "true" || l.cfg.origins[f.key].explicit {
			continue
		}
		v := l.value(f)
		v.Set(reflect.Zero(v.Type()))
		l.cfg.origins[f.key] = origin{where: "limits.profile none"}
	}
}

func (l *loader) checkTLS() {
	if l.cfg.TLS.Mode != "files" {
		return
	}
	if l.cfg.TLS.CertFile == "" {
		l.conflict("tls.mode", "files", "needs tls.cert_file")
	}
	if l.cfg.TLS.KeyFile == "" {
		l.conflict("tls.mode", "files", "needs tls.key_file")
	}
}

// checkOutbound refuses routes that lead nowhere and a relay without a name.
func (l *loader) checkOutbound() {
	out := l.cfg.Outbound
	if out.Mode == "relay" && out.Relay.Host == "" {
		l.conflict("outbound.mode", "relay", "needs outbound.relay.host")
	}
	if (out.Relay.Password != "" || out.Relay.Username != "") && out.Relay.TLS == "none" {
		l.conflict("outbound.relay.tls", "none", "would send outbound.relay.username and password in the clear; use starttls or implicit")
	}
	for _, domain := range slices.Sorted(maps.Keys(out.Routes)) {
		target := out.Routes[domain]
		host, port, err := net.SplitHostPort(target)
		n, portErr := strconv.ParseUint(port, 10, 16)
		if checkHostname(domain) != nil || err != nil || host == "" || portErr != nil || n == 0 {
			l.conflict("outbound.routes", domain+"="+target, "is not domain=host:port, the domain in lower case")
		}
	}
}

// checkListeners refuses one address and port for two listeners.
func (l *loader) checkListeners() {
	taken := map[string]string{}
	for _, f := range l.cat.fields {
		if f.tag.Get("check") != "listen" {
			continue
		}
		address := l.value(f).String()
		if address == "" || strings.HasSuffix(address, ":0") {
			continue
		}
		if other := taken[address]; other != "" {
			l.conflict(f.key, address, "is taken by "+other+" already")
		}
		taken[address] = f.key
	}
}

// conflict reports a key whose value does not fit another key.
func (l *loader) conflict(key, value, problem string) {
	o := l.cfg.origins[key]
	if o.file == "" {
		o = origin{file: "defaults", name: key}
	}
	l.fail(o, value, problem)
}
