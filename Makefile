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

bench: ## pintle beside its peers, as docs/benchmarks.md, and all other benchmarks; QUICK=1: 3 minutes; ONLY=docker-stop: one question
	hack/bench $(if $(QUICK),--quick) $(if $(ONLY),--only '$(ONLY)')

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME
	hack/fuzz $(FUZZTIME)

clean: ## remove what was built; the test images stay in ~/.cache/pintle-test
	rm -rf bin
