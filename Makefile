# Fieldlog. `make demo` runs it, `make test` proves it; `make help` lists the rest.

GO        ?= go
BIN       := bin/fieldlog
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -s -w -X main.version=$(VERSION)
# The race detector needs a C compiler.
RACE      := $(shell command -v cc >/dev/null 2>&1 && echo -race)
TOOLS     := $(CURDIR)/.cache/tools
CONTROLPLANE := $(CURDIR)/.cache/kubernetes/controlplane
# The packages whose tests run on any Kafka-protocol brokers and registry, beside the black-box tests. One after the other
# (-p 1): a schema's id is the registry's next, and a test foretells it.
ON_KAFKA  := ./internal/eventlog ./services/registrar ./services/deadletters
# These stop the process that holds the brokers, or fill its disk.
EMBEDDED  := TestKafkaIsAway|TestTheDiskIsFull
PORTAL    := services/portal
DEMO_ARGS ?= --data ./data --fleet 500 --site-fail-one-in 20

.PHONY: help build engine demo test test-kafka test-kubernetes test-browser chaos interop interop-kafka lint vet vuln verify bench fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: $(PORTAL)/static/vendor/.done ## build bin/fieldlog
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/fieldlog

$(PORTAL)/static/vendor/.done: $(PORTAL)/assets/package-lock.json
	cd $(PORTAL)/assets && npm ci --silent --no-audit --no-fund
	mkdir -p $(@D)
	cd $(PORTAL)/assets/node_modules && cp htmx.org/dist/htmx.min.js htmx-ext-sse/dist/sse.min.js uplot/dist/uPlot.iife.min.js uplot/dist/uPlot.min.css $(CURDIR)/$(@D)/
	touch $@

engine: build ## bring the pinned ClickHouse engine library into the user's cache
	$(BIN) engine install

demo: build engine ## run everything on this machine with 500 simulated devices
	$(BIN) up $(DEMO_ARGS)

test: build engine ## all tests that need no separate service
	$(GO) vet ./...
	FIELDLOG_TEST_BINARY=$(CURDIR)/$(BIN) $(GO) test $(RACE) -timeout 20m ./...

test-kafka: build engine ## the same tests on three Apache Kafka brokers and a real registry; needs JDK 17 and Maven
	$(GO) vet -tags realengines ./test/engines/...
	FIELDLOG_TEST_BINARY=$(CURDIR)/$(BIN) $(GO) run ./test/engines/with $(GO) test -p 1 -count 1 -timeout 30m -skip '$(EMBEDDED)' ./test $(ON_KAFKA)
	$(GO) test -tags realengines -count 1 -timeout 4m ./test/engines
	FIELDLOG_TEST_BINARY=$(CURDIR)/$(BIN) $(GO) test -tags realengines -count 1 -timeout 4m -run TestTooFewInSyncReplicas ./test

test-kubernetes: $(CONTROLPLANE) ## the Kubernetes and Helm backends on a real control plane, which is built the first time
	FIELDLOG_TEST_CONTROLPLANE=$(dir $(CONTROLPLANE)) $(GO) test -tags kubernetes -timeout 10m ./services/provisioner/cluster/...

$(CONTROLPLANE): $(wildcard tools/kubernetes/*.* tools/kubernetes/*/*.go)
	cd tools/kubernetes && $(GO) build -trimpath -ldflags '-s -w' -o $(dir $@) ./etcd ./controlplane

chaos: build engine ## break everything under load and check every record, and show that the checks find broken programs (CHAOS_ARGS)
	FIELDLOG_TEST_BINARY=$(CURDIR)/$(BIN) $(GO) test ./test/chaos -count 1 -timeout 0 -v -args -rounds 50 -mutants $(CHAOS_ARGS)

test-browser: build engine ## the portal in a headless Chromium, which is installed if it is missing; pictures go to SCREENSHOTS
	@test -n "$$FIELDLOG_TEST_CHROMIUM" || command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; }
	FIELDLOG_TEST_BINARY=$(CURDIR)/$(BIN) FIELDLOG_TEST_SCREENSHOTS=$(SCREENSHOTS) $(GO) test -tags browser -timeout 10m -run TestPortal ./test

interop: build engine ## clients that are not Go: curl, kcat, Python's confluent-kafka
	test/interop/run

interop-kafka: build engine ## the same clients on three Apache Kafka brokers and a real registry
	$(GO) run ./test/engines/with test/interop/run

lint: $(TOOLS)/golangci-lint ## style and import rules
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'gofmt would change these files'; exit 1; }
	$(TOOLS)/golangci-lint run ./...

vuln: $(TOOLS)/govulncheck ## known vulnerabilities in what we use
	tools/vuln $(TOOLS)/govulncheck

verify: ## what is generated is up to date
	@mkdir -p .cache
	$(GO) run ./cmd/fieldlog schemas catalogue > .cache/catalogue.md
	diff -u docs/events.md .cache/catalogue.md
	$(GO) run ./cmd/fieldlog schemas lifecycle > .cache/lifecycle.md
	diff -u docs/order-lifecycle.md .cache/lifecycle.md

bench: build engine ## measure every hot path beside its ceiling
	$(GO) run ./bench $(BENCH_ARGS)

fuzz: ## fuzz every decoder for FUZZTIME each (default 30s; 100000x are runs)
	@for p in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9]*' $$p/*_test.go | cut -c6-); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(FUZZTIME),30s) -fuzzminimizetime 1000x $$p || exit 1; \
	  done; done

clean: ## remove what was built; the data folder stays
	rm -rf bin .cache

$(TOOLS)/%: tools/go.mod tools/go.sum
	cd tools && GOFLAGS=-mod=mod $(GO) build -o $(TOOLS)/ tool
