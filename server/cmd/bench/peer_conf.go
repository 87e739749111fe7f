package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"time"
)

// dovecotConf keeps the defaults that decide about durability (mail_fsync, Maildir) and changes what a loaded installation would:
// the login service in the mode that its documentation calls high-performance, and limits for many connections.
const dovecotConf = `base_dir = {sockets}
state_dir = {base}/dovecot
log_path = {base}/log/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{base}/cert.pem
ssl_key = <{base}/key.pem
first_valid_uid = {uid}
mail_location = maildir:{base}/mail/%u
mail_max_userip_connections = 0
auth_username_format = %Lu
passdb {
  driver = passwd-file
  args = scheme=SHA512-CRYPT username_format=%u {base}/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%u {base}/dovecot/users
}
namespace inbox {
  inbox = yes
}
service imap-login {
  service_count = 0
  process_min_avail = 2
  client_limit = 6000
  vsz_limit = 2G
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = {imaps}
    ssl = yes
  }
}
service imap {
  process_limit = 6000
}
service lmtp {
  process_min_avail = 2
  inet_listener lmtp {
    port = {lmtp}
  }
}
service anvil {
  client_limit = 15000
}
service stats {
  client_limit = 15000
}
service auth {
  client_limit = 15000
  unix_listener bench-auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
`

// postfixMain keeps the defaults of the queue; names of clients are not looked up, because our server does not either.
const postfixMain = `compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
meta_directory = {meta}
shlib_directory = {libs}
maillog_file = {base}/log/postfix.log
maillog_file_prefixes = {base}/log
syslog_name = bench
myhostname = mx.{domain}
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 192.0.2.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
biff = no
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
transport_maps = inline:{ { {sink_domain} = smtp:{sink} } }
smtpd_tls_cert_file = {base}/cert.pem
smtpd_tls_key_file = {base}/key.pem
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sockets}/bench-auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
`

const postfixMaster = `{smtp} inet n - n - - smtpd
{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// certificateLife is longer than any run.
const certificateLife = 7 * 24 * time.Hour

// selfSigned writes a certificate for localhost and its key.
func selfSigned(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	begin := time.Now().Add(-time.Hour)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(begin.UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: begin, NotAfter: begin.Add(certificateLife),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644), //nolint:gosec // it is public
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
	)
}
