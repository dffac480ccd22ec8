# The shell of every target is in hack/. `make help` lists them.

.PHONY: help build test test-short lint demo bench fuzz clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: ## static bin/pintle, and bin/hermes, the stand-in agent
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/pintle ./cmd/pintle
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/hermes ./examples/hermes/agent

test: ## everything: lint, unit tests, tests in real containers
	hack/test

test-short: ## the same without containers
	hack/test --short

lint: ## what is checked without being run
	hack/deps --no-docker
	hack/lint

demo: ## the reference configuration at your terminal; no root, no Docker
	hack/demo

bench: ## benchmarks, the flood of log lines at its full size, and a whole minute without receivers; 200 instances of s6's at once
	hack/deps --bench
	go test -run '^$$' -bench . -benchmem -timeout 30m ./...
	PINTLE_LOGS_TEST_FLOOD=full go test -run TestFlood -v ./internal/logs
	PINTLE_S6_TEST_STORM=full PINTLE_S6_TEST_CRASH=full go test -timeout 30m -run 'TestStormOfCommands|TestKilledHalfWay' -v ./cmd/pintle
	PINTLE_FORWARD_TEST_DOWNTIME=1m go -C test/receivers test -run TestForwardsWhatComesMay -v .

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME
	hack/fuzz $(FUZZTIME)

clean: ## remove what was built; the test images stay in ~/.cache/pintle-test
	rm -rf bin
