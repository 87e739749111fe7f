# Everything a developer types. `make help` lists the targets; a fresh Debian or Ubuntu needs Go and Node, the rest is installed here.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GOLANGCI_VERSION := 2.15.0

# The version that the binary prints: the nearest tag and commit, or `dev` outside a repository.
VERSION := $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo dev)
GOBUILD := go build -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION)"

# make run: RESET=1 wipes the data first, SEED=none leaves out the sample mail, DATA=dir keeps it elsewhere than ./.run.
DEV_FLAGS = $(if $(filter-out 0 no false,$(RESET)),--reset) $(if $(SEED),--seed '$(SEED)') $(if $(DATA),--data '$(DATA)')

# make test ONLY=go,race runs these suites alone; make fuzz FUZZTIME=1m fuzzes each target longer; make chaos ARGS='...', make bench ARGS='-quick'.
# CHROMIUM=path is the browser of the tests.
ONLY     ?=
FUZZTIME ?= 20s
ARGS     ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make run [RESET=1] [SEED=none] [DATA=dir]   make test [ONLY=suite,suite]   make fuzz [FUZZTIME=20s]"

.PHONY: run
run: postgres build ## set up, build and run a mail server for development in the foreground; Ctrl-C stops it
	@exec bin/mailserver dev $(DEV_FLAGS)

.PHONY: build
build: console ## build bin/mailserver with the web console inside
	@mkdir -p bin
	@$(GOBUILD) -o bin/mailserver ./server/cmd/mailserver

.PHONY: test
test: postgres clients browser tools .bin/suites ## set up and run every suite; ends with a table
	@.bin/suites run -only '$(ONLY)'

.PHONY: e2e
e2e: postgres clients browser sdk/typescript/node_modules/.installed .bin/suites ## end-to-end suites: curl, swaks, mbsync, the packed SDK; the console in a browser, screenshots in .run/screens
	@.bin/suites run -only build,e2e,browser

.PHONY: chaos
chaos: postgres build ## kill the server under load again and again and count what was lost (minutes)
	@go run ./server/cmd/chaos $(ARGS)

# A missing peer is not the end: the server is measured alone and the table says why. MAILBENCH=dir adds an independent generator.
.PHONY: bench
bench: postgres build ## measure the server beside Postfix and Dovecot; ARGS='-quick' takes 3 minutes, without 15
	@.ci/install-packages.sh peers || true
	@go run ./server/cmd/bench $(ARGS)

.PHONY: fuzz
fuzz: .bin/suites ## fuzz every target for FUZZTIME
	@.bin/suites fuzz -time $(FUZZTIME)

.PHONY: lint
lint: .bin/golangci-lint-$(GOLANGCI_VERSION) ## run the linters
	@.bin/golangci-lint run ./...
	@cd sdk/go && '$(CURDIR)/.bin/golangci-lint' run ./...

.PHONY: fmt
fmt: .bin/golangci-lint-$(GOLANGCI_VERSION) ## format the Go files and sort their imports
	@.bin/golangci-lint fmt ./...
	@cd sdk/go && '$(CURDIR)/.bin/golangci-lint' fmt ./...

.PHONY: gen
gen: sdk/typescript/node_modules/.installed ## write the generated files anew: openapi/openapi.yaml and the SDKs' code from it
	@mkdir -p bin
	@$(GOBUILD) -o bin/mailserver ./server/cmd/mailserver
	@bin/mailserver openapi > openapi/openapi.yaml.new
	@mv openapi/openapi.yaml.new openapi/openapi.yaml
	@cd sdk/go/internal/gen && go run . -contract '$(CURDIR)/openapi/openapi.yaml' -out '$(CURDIR)/sdk/go'
	@cd sdk/typescript && npm run --silent generate
	@$(MAKE) build

.PHONY: verify
verify: tools .bin/suites ## check that the generated files are current and the contract lints with zero warnings
	@.bin/suites run -only build,generated

.PHONY: shape
shape: ## print the sizes of functions and files per package
	@go run ./server/cmd/shape

# ---- set-up: each step is silent when there is nothing to do ----

.PHONY: postgres
postgres:
	@.ci/install-packages.sh postgres

# A missing client is not the end of the tests: the suites that need it are skipped and say so.
.PHONY: clients
clients:
	@.ci/install-packages.sh clients || true

# Nor is a missing browser.
.PHONY: browser
browser:
	@.ci/install-packages.sh browser || true

.PHONY: tools
tools: .bin/golangci-lint-$(GOLANGCI_VERSION) openapi/node_modules/.installed sdk/typescript/node_modules/.installed

# What Vite needs. A machine with an older Node, or none, gets a server whose start page says so, and every Go test.
NODE_IS_NEW = command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null

.PHONY: console
console:
	@if $(NODE_IS_NEW); then $(MAKE) -s console/dist/index.html; \
	elif [ -f console/dist/index.html ]; then echo '==> no Node 20.19 or newer with npm: the web console stays as it was last built'; \
	else echo '==> no Node 20.19 or newer with npm: building without the web console'; fi

# Folders are listed too, because a file that went away changes nothing but its folder.
CONSOLE_SOURCES := $(shell find console/src console/public sdk/typescript/src 2>/dev/null)

# The new console takes the place of the old one when it is whole: a build that fails, or a compiler that looks in between, sees
# one of the two.
console/dist/index.html: console/node_modules/.installed console/index.html console/vite.config.ts $(CONSOLE_SOURCES)
	@echo '==> building the web console'
	@rm -rf console/node_modules/.dist console/node_modules/.dist.old
	@cd console && said=$$(NO_COLOR=1 npm run --silent build -- --outDir node_modules/.dist 2>&1) || { echo "$$said" >&2; exit 1; }
	@mv console/dist console/node_modules/.dist.old && mv console/node_modules/.dist console/dist
	@rm -rf console/node_modules/.dist.old
	@touch $@

# The file with the version in its name is the proof that the binary beside it is of that version.
.bin/golangci-lint-$(GOLANGCI_VERSION):
	@mkdir -p .bin
	@if ! .bin/golangci-lint version 2>/dev/null | grep -qF 'version $(GOLANGCI_VERSION) '; then \
		echo '==> building golangci-lint $(GOLANGCI_VERSION) into .bin (once, about two minutes)'; \
		GOBIN='$(CURDIR)/.bin' GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_VERSION); \
	fi
	@touch $@

console/node_modules/.installed: console/package.json console/package-lock.json console/.npmrc
	@echo '==> installing what builds and tests the web console (once)'
	@cd console && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-progress --loglevel=error
	@touch $@

openapi/node_modules/.installed: openapi/package.json openapi/package-lock.json
	@command -v npm >/dev/null || { echo 'Node with npm is missing: install Node 20.19 or newer, then the same make command again' >&2; exit 3; }
	@echo '==> installing the linter of the API contract (once)'
	@cd openapi && npm ci --no-progress --loglevel=error
	@touch $@

sdk/typescript/node_modules/.installed: sdk/typescript/package.json sdk/typescript/package-lock.json
	@command -v npm >/dev/null || { echo 'Node with npm is missing: install Node 20.19 or newer, then the same make command again' >&2; exit 3; }
	@echo '==> installing what generates and checks the TypeScript SDK (once)'
	@cd sdk/typescript && npm ci --no-progress --loglevel=error
	@touch $@

.PHONY: .bin/suites
.bin/suites:
	@mkdir -p .bin
	@go build -buildvcs=false -o $@ ./server/cmd/suites
