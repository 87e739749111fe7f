package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// checkText holds one text against the field's words and its named check.
func (f *field) checkText(text string) error {
	if slices.Contains(words(f.tag.Get("absent")), text) {
		return errors.New("is " + notAvailable)
	}
	if allowed := words(f.tag.Get("oneof")); len(allowed) > 0 && !slices.Contains(allowed, text) {
		return fmt.Errorf("is not one of %s", strings.Join(allowed, ", "))
	}
	if f.tag.Get("oneof") == "" && f.tag.Get("absent") != "" {
		return fmt.Errorf("is not one of %s", strings.Join(words(f.tag.Get("absent")), ", "))
	}
	switch f.tag.Get("check") {
	case "hostname":
		return checkHostname(text)
	case "ip":
		if _, err := netip.ParseAddr(text); err != nil {
			return errors.New("is not an IP address")
		}
	case "ipport":
		if ap, err := netip.ParseAddrPort(text); err != nil || ap.Port() == 0 {
			return errors.New("is not ip:port like 192.0.2.1:53 or [2001:db8::1]:53")
		}
	case "listen":
		return checkListen(text)
	case "loopback":
		if ap, err := netip.ParseAddrPort(text); err != nil || !ap.Addr().IsLoopback() {
			return errors.New("is not ip:port of a loopback address like 127.0.0.1:6060 or [::1]:6060")
		}
	}
	return nil
}

func words(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, "|")
}

// checkListen accepts :port, ip:port and localhost:port. Port 0 is any free port.
func checkListen(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("is not address:port like :25 or 127.0.0.1:2525")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("has a port that is not a number from 0 to 65535")
	}
	if host == "" || host == "localhost" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return errors.New("has a host that is not an IP address of this machine")
	}
	return nil
}

// checkHostname accepts a name of RFC 1123 §2.1 syntax in A-label form.
func checkHostname(text string) error {
	fault := errors.New("is not a host name like mail.example.org")
	if len(text) > 253 {
		return fault
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fault
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
				return fault
			}
		}
	}
	return nil
}
