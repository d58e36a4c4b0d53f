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

# The interpreted tests of the inner loop: a sign-in, a sign-out, a provider that is down, written options, allocations.
SMOKE = TestSignIn TestLogout TestProviderDown TestOptionsOfLabelsAndResources TestBudget

check: ## the inner loop, under a minute: format, vet, words, quick tests, an interpreted smoke test
	@scripts/setup.sh node npm && scripts/packages.sh test/prose
	@$(MAKE) --no-print-directory -j2 -O check-code check-native check-interpreted check-words

.PHONY: check-code check-native check-interpreted check-words
check-code:
	@bad=$$(find . -name node_modules -prune -o -name '*.go' -print | xargs gofmt -l) && \
		{ [ -z "$$bad" ] || { echo "gofmt -w would change:"; echo "$$bad"; exit 1; }; }
	@go vet ./...

check-native:
	@go test -short -timeout 4m ./... | { grep -v 'no test files' || true; }

check-interpreted:
	@for name in $(SMOKE); do grep -qs "^func $$name(" test/interpreted/*_test.go || { echo "test/interpreted has no $$name"; exit 1; }; done
	@cd test/interpreted && go test -short -count=1 -timeout 4m -run "^($$(echo $(SMOKE) | tr ' ' '|'))\$$" .

check-words:
	@cd test/prose && go test -count=1 -timeout 4m .

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

soak: ## a million random access rules, 100 switches of the store under traffic, then interleavings of replicas on a simulated clock until one fails; SOAK=10m ends it
	@go test -count=1 -timeout 10m -run '^TestAccessIsThePlainOne$$' ./internal/policy -cases 1000000
	@scripts/setup.sh redis-server
	@cd test/replicas && go test -count=1 -timeout 30m -run '^TestSwitchesUnderTraffic$$' -v . -switches 100
	@cd test/model && go test -count=1 -timeout 0 -run '^TestSoak$$' -v . -soak -for $(or $(SOAK),0)

fuzz: ## every fuzz target for FUZZTIME (20s)
	@scripts/fuzz.sh

traefik: ## print the path of the Traefik that is used, after building it if need be
	@scripts/traefik.sh

clean: ## remove what was built here; the built Traefik stays in the user's cache
	@rm -rf build
	@find test -name node_modules -prune -exec rm -rf {} +
