#!/usr/bin/env bash
# Brings what the Makefile needs from the system's package manager, and only what is absent.
#
#   .ci/install-packages.sh postgres   PostgreSQL's programs, 15 or newer; no cluster is made or started
#   .ci/install-packages.sh clients    curl, swaks, mbsync, two verifiers of DKIM and a C compiler (for the race detector), used by tests
#   .ci/install-packages.sh browser    Chromium, which the browser tests drive; any Chromium or Chrome that is there will do
#   .ci/install-packages.sh peers      Postfix and Dovecot, which make bench runs beside the server; no service is started
#
# Exit 0: everything is there. Exit 3: something is missing and cannot be installed from here; the last line of the text is
# the command to type. SIMULATE=1 prints what would be installed, with apt's own simulation, and changes nothing.
# CHROMIUM=path names a browser that lies elsewhere.
set -euo pipefail

readonly oldest_postgres=15

say() { printf '==> %s\n' "$*" >&2; }

# usable_postgres DIR: DIR holds initdb and a postgres that is new enough.
usable_postgres() {
	local version
	[ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
	version=$("$1/postgres" --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p')
	[ -n "$version" ] && [ "$version" -ge "$oldest_postgres" ]
}

# find_postgres prints the folder with the newest usable programs, looking where the server itself looks.
find_postgres() {
	local dir pattern
	for pattern in '/usr/lib/postgresql/*/bin' '/usr/pgsql-*/bin' '/opt/homebrew/opt/postgresql@*/bin' \
		'/usr/local/opt/postgresql@*/bin' '/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin'; do
		for dir in $(compgen -G "$pattern" | sort -r -V); do
			if usable_postgres "$dir"; then
				printf '%s\n' "$dir"
				return 0
			fi
		done
	done
	for dir in "$(pg_config --bindir 2>/dev/null)" "$(dirname "$(command -v postgres)" 2>/dev/null)"; do
		if usable_postgres "$dir"; then
			printf '%s\n' "$dir"
			return 0
		fi
	done
	return 1
}

# as_root COMMAND...: runs it as root: directly, or through a sudo that asks nothing.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# SIMULATE_ROOT=no lets the test of this script see what a user without root or sudo is told.
can_be_root() {
	[ "${SIMULATE_ROOT:-yes}" = yes ] || return 1
	[ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

has_apt() { command -v apt-get >/dev/null && [ -r /etc/debian_version ]; }

apt_get() {
	local simulate=()
	[ -z "${SIMULATE:-}" ] || simulate=(--simulate)
	as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 NEEDRESTART_SUSPEND=1 \
		apt-get -y -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "${simulate[@]}" "$@" </dev/null >&2
}

# apt_install PACKAGE...: installs, and reads the package lists anew only when the first try does not get through.
apt_install() {
	say "installing with apt: $*"
	apt_get install --no-install-recommends "$@" && return 0
	say "apt does not get through with the lists it has: reading them anew"
	as_root apt-get -q update </dev/null >&2
	apt_get install --no-install-recommends "$@"
}

# apt_install_postgres: the server package makes and starts a cluster on port 5432 when it is first installed, which nobody
# asked for. postgresql-common comes first, is told not to, and forgets it afterwards.
apt_install_postgres() {
	local common=/etc/postgresql-common conf kept status=0
	if [ -n "${SIMULATE:-}" ]; then
		apt_get install --no-install-recommends postgresql
		return
	fi
	apt_install postgresql-common
	conf=$common/createcluster.conf
	kept=$(mktemp)
	cat "$conf" >"$kept" 2>/dev/null || true
	printf "\ncreate_main_cluster = false\nstart_conf = 'disabled'\n" | cat "$kept" - | as_root tee "$conf" >/dev/null
	apt_install postgresql || status=$?
	as_root tee "$conf" <"$kept" >/dev/null
	rm -f "$kept"
	return "$status"
}

# missing_and_manual WHAT COMMAND: ends the run with the one command to type.
missing_and_manual() {
	printf '\n%s is missing, and this run could not install it (it takes root, or a sudo that asks no password).\n' "$1" >&2
	printf 'Type this once, then the same make command again:\n\n    %s\n\n' "$2" >&2
	exit 3
}

manual_postgres() {
	if has_apt; then
		echo "sudo $0 postgres"
	elif command -v brew >/dev/null; then
		echo "brew install postgresql@17"
	elif command -v dnf >/dev/null; then
		echo "sudo dnf install -y postgresql-server"
	elif command -v zypper >/dev/null; then
		echo "sudo zypper install -y postgresql-server"
	elif command -v pacman >/dev/null; then
		echo "sudo pacman -S --noconfirm postgresql"
	elif command -v apk >/dev/null; then
		echo "apk add postgresql"
	else
		echo "# install PostgreSQL $oldest_postgres or newer (initdb and postgres on PATH), or set MAILSERVER_DATABASE_URL"
	fi
}

install_postgres() {
	if [ -z "${SIMULATE:-}" ] && find_postgres >/dev/null; then
		return 0
	fi
	if has_apt && can_be_root; then
		say "PostgreSQL is not on this machine: installing its programs once, without a cluster"
		apt_install_postgres || missing_and_manual PostgreSQL "$(manual_postgres)"
	elif command -v brew >/dev/null; then
		say "PostgreSQL is not on this machine: brew install postgresql@17"
		brew install postgresql@17 >&2
	else
		missing_and_manual PostgreSQL "$(manual_postgres)"
	fi
	[ -n "${SIMULATE:-}" ] || find_postgres >/dev/null || missing_and_manual "PostgreSQL $oldest_postgres or newer" "$(manual_postgres)"
}

# missing_clients prints the packages of the test tools that are absent.
missing_clients() {
	command -v curl >/dev/null && [ -z "${SIMULATE:-}" ] || echo curl ca-certificates
	command -v swaks >/dev/null && [ -z "${SIMULATE:-}" ] || echo swaks
	# swaks speaks TLS only with this module, which its package merely recommends.
	perl -MNet::SSLeay -e 1 2>/dev/null && [ -z "${SIMULATE:-}" ] || echo libnet-ssleay-perl
	command -v mbsync >/dev/null && [ -z "${SIMULATE:-}" ] || echo isync
	command -v gcc >/dev/null && [ -z "${SIMULATE:-}" ] || echo gcc libc6-dev
	# The tests run opendkim on files; the milter that its package brings is not needed. opendkim-tools verify by real DNS only.
	[ -x /usr/sbin/opendkim ] && [ -z "${SIMULATE:-}" ] || echo opendkim
	/usr/bin/python3 -c 'import dkim, nacl' 2>/dev/null && [ -z "${SIMULATE:-}" ] || echo python3-dkim python3-nacl
}

install_clients() {
	local packages
	packages=$(missing_clients | tr '\n' ' ')
	[ -n "$packages" ] || return 0
	# The lists hold package names alone, so the words may split.
	# shellcheck disable=SC2086
	if has_apt && can_be_root && apt_install $packages; then
		case "${SIMULATE:-no} $packages" in
		# Its package starts a milter that nobody asked for.
		'no '*opendkim*) as_root systemctl disable -q --now opendkim.service 2>/dev/null || true ;;
		esac
		return 0
	elif command -v brew >/dev/null; then
		brew install curl swaks isync >&2
	else
		missing_and_manual "A test tool" "sudo apt-get install -y $packages"
	fi
}

# find_browser prints the program that the browser tests drive, looking where console/e2e/support/chromium.ts looks.
find_browser() {
	local name
	if [ -n "${CHROMIUM:-}" ]; then
		[ -x "$CHROMIUM" ] && printf '%s\n' "$CHROMIUM"
		return
	fi
	for name in chromium chromium-browser google-chrome google-chrome-stable; do
		command -v "$name" && return 0
	done
	for name in '/Applications/Chromium.app/Contents/MacOS/Chromium' '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'; do
		if [ -x "$name" ]; then
			printf '%s\n' "$name"
			return 0
		fi
	done
	return 1
}

# apt_has_chromium: Debian has the program as a package; Ubuntu's package of this name is absent, and chromium-browser fetches a snap.
apt_has_chromium() { has_apt && apt-cache show chromium >/dev/null 2>&1; }

# A machine without fonts would show boxes on every screenshot.
install_browser() {
	if [ -z "${SIMULATE:-}" ] && find_browser >/dev/null; then
		return 0
	fi
	if [ -n "${CHROMIUM:-}" ]; then
		printf 'CHROMIUM names %s, which is no program: correct it, or leave it unset and the browser is looked for.\n' "$CHROMIUM" >&2
		exit 3
	fi
	if has_apt && can_be_root; then
		apt_has_chromium || as_root apt-get -q update </dev/null >&2 || true
	fi
	if apt_has_chromium && can_be_root && apt_install chromium fonts-liberation; then
		return 0
	elif apt_has_chromium; then
		missing_and_manual Chromium "sudo apt-get install -y chromium fonts-liberation"
	elif command -v brew >/dev/null; then
		brew install --cask chromium >&2
	elif command -v snap >/dev/null; then
		missing_and_manual Chromium "sudo snap install chromium"
	elif command -v dnf >/dev/null; then
		missing_and_manual Chromium "sudo dnf install -y chromium"
	else
		missing_and_manual Chromium "# install Chromium or Google Chrome with this system's package manager, or set CHROMIUM=/path/to/it"
	fi
}

# missing_peers prints the packages of the servers that make bench compares with.
missing_peers() {
	[ -x /usr/sbin/postfix ] && [ -z "${SIMULATE:-}" ] || echo postfix
	[ -x /usr/sbin/dovecot ] && [ -z "${SIMULATE:-}" ] || echo dovecot-core
	[ -x /usr/lib/dovecot/imap ] && [ -z "${SIMULATE:-}" ] || echo dovecot-imapd
	[ -x /usr/lib/dovecot/lmtp ] && [ -z "${SIMULATE:-}" ] || echo dovecot-lmtpd
}

# apt_install_peers PACKAGE...: installs without starting, configuring or enabling anything, and without removing a mail server
# that is there already: the instances of make bench have folders and ports of their own.
apt_install_peers() {
	local policy=/usr/sbin/policy-rc.d ours='' status=0
	if [ -n "${SIMULATE:-}" ]; then
		apt_get install --no-install-recommends --no-remove "$@"
		return
	fi
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
		ours=yes
	fi
	echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections 2>/dev/null || true
	apt_install --no-remove "$@" || status=$?
	[ -z "$ours" ] || as_root rm -f "$policy"
	if [ "$status" -eq 0 ] && command -v systemctl >/dev/null; then
		case " $* " in *' postfix '*) as_root systemctl disable -q postfix.service 2>/dev/null || true ;; esac
		case " $* " in *' dovecot-core '*) as_root systemctl disable -q dovecot.service dovecot.socket 2>/dev/null || true ;; esac
	fi
	return "$status"
}

install_peers() {
	local packages
	packages=$(missing_peers | tr '\n' ' ')
	[ -n "$packages" ] || return 0
	# The list holds package names alone, so the words may split.
	# shellcheck disable=SC2086
	if has_apt && can_be_root && apt_install_peers $packages; then
		return 0
	elif has_apt; then
		missing_and_manual "A server to compare with" "sudo $0 peers"
	else
		missing_and_manual "A server to compare with" "# install Postfix and Dovecot 2.3 (imap and lmtp) with this system's package manager"
	fi
}

case "${1:-}" in
postgres) install_postgres ;;
clients) install_clients ;;
browser) install_browser ;;
peers) install_peers ;;
*)
	sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
