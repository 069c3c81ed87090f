# Needs python3 (3.11 or newer, with venv), pip and make; uv is used for speed where it is on the PATH.
PYTHON ?= python3
JOBS ?= 3
BIN := .venv/bin
INSTALLED := .venv/.installed
# The tests of the house itself: `make check` runs them, beside the linters.
CHECKED := tests/test_layers.py tests/test_public_api.py tests/test_packaging.py tests/test_docs_snippets.py

.PHONY: install demo test crash check bench conformance conformance-langgraph conformance-openai conformance-adk clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@if command -v uv >/dev/null 2>&1 && \
	    uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[all,dev]'; then :; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'; fi
	@touch $@

demo: install
	@$(BIN)/python -m examples.provisioning

test: install
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(CHECKED:%=--ignore=%)

crash: install
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --every-point --timeout 600 tests/crash

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/api.py
	$(BIN)/pyright
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal $(CHECKED)

bench: install
	@$(BIN)/python -m benchmarks

conformance: conformance-langgraph conformance-openai conformance-adk

conformance-langgraph: install
	$(BIN)/python -m tests.conformance.langgraph.run $(CONFORMANCE)

conformance-openai: install
	$(BIN)/python -m tests.conformance.openai_agents.run $(CONFORMANCE)
	$(BIN)/python -m tests.conformance.openai_agents.sessions

conformance-adk: install
	$(BIN)/python -m tests.conformance.google_adk.run $(CONFORMANCE)

clean:
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info durable/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
