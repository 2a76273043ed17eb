# Cumulet: a cloud from this checkout. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
DATA ?= $(shell [ $$(id -u) = 0 ] && echo /var/lib || echo $${XDG_DATA_HOME:-$$HOME/.local/share})/cumulet
LISTEN ?=
IMAGE := build/guest.qcow2
BIN := .venv/bin
PYTEST := $(BIN)/pytest -q -p no:cacheprovider

.DEFAULT_GOAL := help
.PHONY: help setup image up down demo test test-faults test-fast lint format bench goldens clean
.DELETE_ON_ERROR:

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## install what is missing: Debian packages, the virtual environment
	@./setup.sh

image: $(IMAGE) ## build the guest image

$(IMAGE): $(wildcard guest/*) $(shell find guest/files -type f) | setup
	@echo "make: building the guest image"
	@$(BIN)/python guest/build.py $@

up: setup image ## start a cloud in the background (DATA=, LISTEN=)
	@cmp -s $(IMAGE) $(DATA)/guest.qcow2 || install -D -m 0644 $(IMAGE) $(DATA)/guest.qcow2
	@$(BIN)/cumulet up --data $(DATA) $(if $(LISTEN),--listen $(LISTEN)) --detach

down: ## stop it
	@$(BIN)/cumulet down --data $(DATA)

demo: up ## the whole journey with the released openstack client, told step by step
	@./demo.sh $(DATA)

test: setup image ## the whole test suite
	@$(BIN)/python tests/run.py all

test-faults: setup ## every saga, every step, real processes killed there: an hour
	@$(PYTEST) -n 4 --dist loadgroup -m "" tests/fault

test-fast: setup ## the inner loop: no guests, no servers
	@$(BIN)/python tests/run.py fast

lint: setup ## ruff, pyright, import contracts, budgets
	@$(BIN)/ruff format --check src tests bench guest
	@$(BIN)/ruff check src tests bench guest
	@$(BIN)/lint-imports
	@$(BIN)/pyright
	@$(PYTEST) tests/unit/test_budgets.py

format: setup ## put the code in its form
	@$(BIN)/ruff format src tests bench guest
	@$(BIN)/ruff check --fix src tests bench guest

bench: setup image ## measure; writes bench/results/*.json
	@$(BIN)/python bench/run.py

goldens: setup ## make the generated documents and golden files again
	@$(BIN)/python tests/goldens.py

clean: ## remove what was built
	@rm -rf build .venv .ruff_cache .pytest_cache
