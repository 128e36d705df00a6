# Fathom's errands. `make` says what there is; PYTHON=python3.12 chooses another Python (3.11 or newer).
.DEFAULT_GOAL := help
.PHONY: help setup test long check outside benchmarks findings clean format reference

PYTHON ?=
TESTS ?=
WORKERS ?= 3
export PYTHON
# Tests start hundreds of processes: where none may keep what it compiled, half of their CPU goes into compiling.
unexport PYTHONDONTWRITEBYTECODE

RUN := ./.venv/bin/python -P -m
READY := ./fathom --set-up
HANGS := -o faulthandler_exit_on_timeout=true -o faulthandler_timeout

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile | expand -t 16

setup: ## make this checkout ready (also done by the first ./fathom)
	@$(READY)

test: ## set up and run all tests but `long` and `outside` (a quarter of an hour); alone what asks for time
	@$(READY) dev
	@rm -f .fathom/first.json
	@pass="$(RUN) pytest --first=.fathom/first.json --durations=25 --durations-min=4"; \
	$$pass $(HANGS)=400 -n $(WORKERS) --dist worksteal -m "not outside and not long and not quiet" $(TESTS); first=$$?; \
	$$pass $(HANGS)=1000 -m "quiet and not long and not outside" $(TESTS); second=$$?; \
	case $$first$$second in 00|05|50) ;; *) exit 1 ;; esac  # 5: of the TESTS asked for, none was in this pass

long: ## run the tests that show at length what `make test` shows in short (ten minutes)
	@$(READY) dev
	@$(RUN) pytest $(HANGS)=1000 -m "long and not outside" --durations=10 $(or $(TESTS),tests)

check: ## format, types, the rules of the house, the fast tests (seconds)
	@$(READY) dev
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@./.venv/bin/basedpyright --level error
	@$(RUN) pytest -q -m "not slow and not outside"

format: ## let the formatter and the linter put right what they can
	@$(READY) dev
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

outside: ## what needs Debian packages or strangers' programs: installs them where it may
	@$(READY) dev outside
	@sh .ci/packages
	@$(RUN) pytest $(HANGS)=4000 -m outside $(or $(TESTS),tests)

benchmarks: ## run the benchmarks large, and print their ratios (some minutes)
	@$(READY) dev outside
	@sh .ci/packages
	@set -e; for file in benchmarks/*.py; do \
		grep -q __main__ "$$file" || continue; \
		name=$$(basename "$$file" .py); echo "== $$name"; PYTHONPATH=. ./.venv/bin/python -m "benchmarks.$$name"; \
	done

findings: ## run every dive of the catalogue anew, quickly, and keep the records under runs/
	@$(READY)
	@set -e; ./fathom list --dives | while read -r system dive; do ./fathom dive "$$system" "$$dive" --quick || [ $$? -le 2 ]; done

reference: ## write the pages of commands and blocks in docs/reference anew
	@$(READY)
	@$(RUN) fathom.cli.reference

clean: ## remove what set-up, tests and runs have made (the records in runs/ stay)
	@rm -rf .venv .tools .fathom .ruff_cache .hypothesis .pytest_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
