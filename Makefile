# Everything a person does with this checkout. `make` alone explains.
.DEFAULT_GOAL := help
.PHONY: help demo test lint format types tests soak lock corpus fuzz storm pauses crash bench bench-peers clean

# Two hundred tests start the service: where this is set, each start compiles all of it anew.
export PYTHONDONTWRITEBYTECODE :=

# Where memory is plenty the tests' files lie there: waiting for the disk was half of their time.
SCRATCH := $(shell test "$$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 3000000 2>/dev/null && echo /dev/shm)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 12

demo: ## a conversation from end to end on this machine, in half a minute; KEEP=1 leaves it running
	@tools/python-env demo
	@.venv/bin/postroom demo $(if $(KEEP),--keep)

test: ## everything that must hold: format, lint, types, layers, sizes, tests
	@tools/python-env dev
	@tools/servers
	@$(MAKE) --no-print-directory lint types tests

lint: ## format, lint and import layers
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports --no-logo

types: ## mypy --strict
	.venv/bin/mypy

tests: ## the tests alone; ARGS="-k name" chooses
	$(if $(SCRATCH),TMPDIR=$(SCRATCH)) .venv/bin/pytest -n 2 --dist loadgroup $(ARGS)

format: ## put the code in form
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

corpus: ## the tables over real mail from elsewhere (../shared/corpora, where it is)
	@tools/python-env dev
	.venv/bin/pytest -s tests/corpora $(ARGS)

fuzz: ## 100,000 damaged mails, read to the end; ARGS="--count 1000 --seed 7" changes that
	@tools/python-env dev
	.venv/bin/python -m tests.fuzz_reading $(ARGS)

storm: ## 2,000 mails while workers, database and mail servers fall over (15 min); ARGS="--mails 200 --seconds 90"
	@tools/python-env dev
	@tools/servers
	.venv/bin/python -m tests.storm $(ARGS)

pauses: ## two workers, one account, 10 minutes of SIGSTOP; ARGS="--minutes 2"
	@tools/python-env dev
	@tools/servers
	.venv/bin/python -m tests.storm.pauses $(ARGS)

crash: ## killed at every step of the way of a mail, on both databases; ARGS="-k sqlite" chooses
	@tools/python-env dev
	@tools/servers
	CRASH_STEPS=all .venv/bin/pytest tests/crash $(ARGS)

soak: ## ten minutes of mail over servers that misbehave; ARGS="--mails 200 --accounts 10 --minutes 1" is shorter
	@tools/python-env dev
	.venv/bin/python -m tests.soak $(ARGS)

lock: ## write requirements/*.lock anew from pyproject.toml
	@.venv/bin/python -m pip install --quiet uv
	.venv/bin/uv pip compile pyproject.toml --extra sandbox --universal --generate-hashes --no-emit-index-url --python-version 3.11 --quiet --custom-compile-command "make lock" -o requirements/demo.lock
	.venv/bin/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --python-version 3.11 --quiet --custom-compile-command "make lock" -o requirements/dev.lock

bench: ## every claim of speed beside its floor; one alone: .venv/bin/python -m bench.NAME
	@tools/python-env dev
	@for bench in latency backlog send start parse growth scale idle; do echo "== $$bench"; .venv/bin/python -m bench.$$bench || exit 1; done

bench-peers: ## the same mails to hermes-agent and to us, see bench/peers.md
	@tools/python-env dev
	.venv/bin/python -m bench.peers $(ARGS)

clean: ## remove what the above made
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
