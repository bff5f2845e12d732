# Two commands: `make run` starts a cluster, `make test` tests it. Both fetch what they need.
#
#   make run      install, build, start a cluster of one machine in the foreground, data in .run/
#   make test     everything: check, unit, conformance, integration; installs what these drive (as root, else after a question)
#   make check    formatting, lint, types, walls
#   make unit     tests without processes and sockets; make coverage: what they run, by room
#   make integration   tests with real processes
#   make mutants  what the unit tests notice of small faults, a fresh sample of each room: SEED=, ROOMS=node,auth, COUNT=12, FILES=, TESTS=
#   make bench    figures as ratios against OpenSSH and the raw store; make bench-scale: of ten thousand nodes
#   make install  PREFIX=/usr/local: copies the built programs there
#   make release  VERSION=x.y.z: writes version and changelog heading, commits, tags
SHELL := /bin/sh
PREFIX ?= /usr/local
NODE_VERSION := 24.21.0
NPM_VERSION := 11.19.1

TOOLS := $(CURDIR)/.tools
export PATH := $(TOOLS)/node/bin:$(PATH)
export npm_config_update_notifier := false
NPM := $(TOOLS)/npm
SOURCES := $(shell find src backends -name '*.ts' -not -name '*.test.ts' 2>/dev/null) package.json

.PHONY: all run build lint test unit coverage integration check bench bench-scale bench-presence install install-systemd clean walls soak types format release mutants
all: build

# The runtime: the machine's own when it is Node 24, else the one that npm carries. Nothing is compiled against it.
$(TOOLS)/node/bin/node: .ci/fetch-node
	.ci/fetch-node $(TOOLS) $(NODE_VERSION) $(NPM_VERSION)

node_modules/.installed: $(TOOLS)/node/bin/node package.json package-lock.json
	$(NPM) ci --no-audit --no-fund
	touch $@

build: dist/.built
dist/.built: node_modules/.installed $(SOURCES) .ci/build .ci/build.mjs
	.ci/build
	touch $@

run: build
	@.ci/run-cluster

format: node_modules/.installed
	npx prettier --check --log-level warn src backends integration '*.{mjs,ts,json}'
lint: node_modules/.installed
	npx eslint src backends integration
types: node_modules/.installed
	npx tsc --noEmit --incremental --tsBuildInfoFile node_modules/.cache/types.tsbuildinfo
walls: node_modules/.installed
	npx depcruise --config .dependency-cruiser.mjs src backends
check: format types walls lint

unit: node_modules/.installed
	npx vitest run --project 'unit*'
integration: build
	.ci/without-dotfiles npx vitest run --project 'integration*'

test:
	@.ci/install-what-tests-drive
	@$(MAKE) --no-print-directory build
	$(TOOLS)/node/bin/node .ci/test.mjs

# In a copy of the tree, at low priority: each room takes some minutes.
mutants: node_modules/.installed
	nice $(TOOLS)/node/bin/node --disable-warning=ExperimentalWarning integration/mutants/run.ts

# The floors that no room may fall below rise to what is measured now.
coverage: node_modules/.installed
	npx vitest run --project unit --project unit-shared --coverage.enabled --reporter=dot
	$(TOOLS)/node/bin/node .ci/coverage.mjs coverage/coverage-summary.json --raise

bench: build
	$(TOOLS)/node/bin/node --disable-warning=ExperimentalWarning integration/bench/run.ts

install: build
	.ci/install $(DESTDIR)$(PREFIX)

# The units call /usr/local/bin/teleport: for PREFIX=/usr/local.
install-systemd: install
	.ci/install-systemd $(DESTDIR)

# What age, width and numbers cost: a table, each row at n, 2n and 4n.
# ROWS="decisions opening": only these rows of the table.
bench-scale: build
	$(TOOLS)/node/bin/node --disable-warning=ExperimentalWarning integration/bench/scale.ts $(ROWS)

# Ten thousand nodes at two auth servers, and a rotation, on each store: about a quarter of an hour each.
bench-presence: build
	$(TOOLS)/node/bin/node --disable-warning=ExperimentalWarning integration/bench/presence.ts

# Long loops: 100 reloads under load, and the like.
soak: build
	RELOADS=100 LOAD_REST=1 SESSIONS=50 TRANSFERS=10 TRANSFER_MIB=1024 SESSION_RELOADS=10 LOG_TRIAL_FACTOR=10 ATTACK_SECONDS=600 UPLOADS=200 UPLOAD_MIB=128 ROTATION_STORES=directory,etcd,DynamoDB ROTATION_NODES=4 ROTATION_SESSIONS=20 ROTATIONS=3 ROTATION_ROLLBACKS=init,update_clients,update_servers ROTATION_RELOADS=5 ROTATION_KILLS=5 SWARM_NODES=300 SOAK=1 TUNNEL_ROUNDS=20 MONTH_FACTOR=0.01 .ci/without-dotfiles npx vitest run --project 'integration*' restart systemd stores store- several-auths cut-off audit-index log/month attack-storm client-uploads cluster/rotation.test cluster/rotation-away cluster/rotation-scale tunnel/fleet tunnel/clients-far-by-peer

release: $(TOOLS)/node/bin/node
	@$(TOOLS)/node/bin/node .ci/release.mjs '$(VERSION)'

clean:
	rm -rf dist .run node_modules .tools
