# What a developer does here. "make" alone lists it.

SHELL := bash
.SHELLFLAGS := -o pipefail -c

.PHONY: help demo check test certify bench bench-reload bench-logout sizes soak fuzz traefik clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

REPLICAS ?= 1

demo: build/demo ## see the plugin at work; with REPLICAS=2 two Traefiks that share a Redis
	@[ "$(REPLICAS)" = 1 ] || scripts/setup.sh redis-server
	@TRAEFIK=$$(scripts/traefik.sh) && export TRAEFIK && REPLICAS="$(REPLICAS)" exec build/demo

.PHONY: build/demo
build/demo:
	@go build -buildvcs=false -o $@ ./examples/demo

check: ## the inner loop, under a minute: format, vet, words, quick tests, an interpreted smoke test
	@bad=$$(find . -name node_modules -prune -o -name '*.go' -print | xargs gofmt -l) && \
		{ [ -z "$$bad" ] || { echo "gofmt -w would change:"; echo "$$bad"; exit 1; }; }
	@go vet ./...
	@scripts/setup.sh node npm && scripts/packages.sh test/prose
	@cd test/prose && go test -count=1 -timeout 2m .
	@go test -short -timeout 2m ./... | { grep -v 'no test files' || true; }
	@cd test/interpreted && go test -short -count=1 -timeout 2m ./... | { grep -v 'no test files' || true; }

test: ## everything, and what it needs is set up; LEVELS="native e2e" for some of it
	@scripts/test.sh $(LEVELS)

certify: ## the certification's modules, played against the plugin in the interpreter
	@cd test/interpreted && go test -timeout 5m -run '^TestCertification$$' -certify

bench: ## requests per second and start-up beside no plugin and a no-op plugin
	@scripts/setup.sh wrk
	@TRAEFIK=$$(scripts/traefik.sh) && export TRAEFIK && cd test/bench && go run . requests startup

bench-reload: ## forty reloads under traffic: failed requests, goroutines, memory; what a reload costs with 200 routers
	@scripts/setup.sh wrk
	@TRAEFIK=$$(scripts/traefik.sh) && export TRAEFIK && cd test/bench && go run . reload && go run . -routers 200 -reloads 24 -rounds 2 reload

bench-logout: ## how long after a logout the other replica refuses the session, as a median
	@scripts/setup.sh redis-server
	@cd test/replicas && go test -run '^$$' -bench LogoutIsKnown -benchtime 25x -timeout 10m . | grep -E 'logout|FAIL'

sizes: ## what 10,000 and 100,000 sessions take in memory and in Redis, beyond their tokens
	@scripts/setup.sh redis-server
	@cd test/cache && go test -count=1 -timeout 30m -run '^TestSizes$$' -v . -sizes | grep sessions

soak: ## a million random access rules, then interleavings of replicas on a simulated clock until one fails; SOAK=10m ends it
	@go test -count=1 -timeout 10m -run '^TestAccessIsThePlainOne$$' ./internal/policy -cases 1000000
	@cd test/model && go test -count=1 -timeout 0 -run '^TestSoak$$' -v . -soak -for $(or $(SOAK),0)

fuzz: ## every fuzz target for FUZZTIME (20s)
	@scripts/fuzz.sh

traefik: ## print the path of the Traefik that is used, after building it if need be
	@scripts/traefik.sh

clean: ## remove what was built here; the built Traefik stays in the user's cache
	@rm -rf build
	@find test -name node_modules -prune -exec rm -rf {} +
