# TheEye Sync. `make run` serves with the sandbox, `make test` runs the tests. Both install what they need.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# If it were set, each test worker and each service that the tests start would compile all modules again.
export PYTHONDONTWRITEBYTECODE :=

# Marks of the tests that need more time, or more than Python and Redis. .ci/run runs them last.
GROUPS := browser or deploy or failover

.PHONY: help run serve test test-fast test-lowest test-groups drills soak bench lint openapi screenshots audit format clean

help:
	@echo "make run     serve on http://127.0.0.1:6090, with the sandbox (a small TheEye), and with a Redis if redis-server"
	@echo "             is installed; it prints the console's address and commands to type; Ctrl-C stops it"
	@echo "             The first time, and when setup.cfg has changed, it installs what it needs: up to a minute, with"
	@echo "             a network. Without a network it starts with what is installed, and names what is missing"
	@echo "             make run TASKS=folder   also with the tasks (recipes, *.json) of your folder: docs/first-task.md"
	@echo "             make run SYNC_BIND=127.0.0.1:7000   on another port; this works for any setting: docs/settings.md"
	@echo "             .venv/bin/python -m sandbox.demo --help   explains more"
	@echo "make serve   serve in front of a real TheEye (SYNC_GATEWAY_URL, SYNC_SUPERVISOR_URL, SYNC_REDIS_URL)"
	@echo "make test    run all tests except the groups, in about 8 minutes on two cores"
	@echo "make test-fast  run the tests that start no process, in less than 20 seconds"
	@echo "make test-lowest  run make test with the lowest versions that setup.cfg allows, in about 10 minutes"
	@echo "make test-groups  run the tests marked browser, deploy or failover"
	@echo "make drills  repeat the drills of docs/reliability.md and renew its tables, in about 4 minutes"
	@echo "make soak    run 20 minutes of mixed load with random faults"
	@echo "make bench   measure what a request costs, in about 5 minutes"
	@echo "make lint    run ruff and mypy, and check whether openapi.json and postman.json are up to date"
	@echo "make openapi write app/api/openapi.json and docs/postman.json from app/api/openapi.yaml"
	@echo "make screenshots  draw the pictures in docs/images"
	@echo "make audit   ask pip-audit about the packages that the service runs with"
	@echo "make format  format the code with ruff, and let ruff mend what it can"
	@echo "make clean   remove the virtual environment and everything that was built or cached"

# Runs a module as `python -m` does, but Ctrl-C ends it without a traceback, unless the module handles Ctrl-C itself.
QUIET := import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); del sys.argv[0]; \
	import runpy; runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

run: $(VENV)/.run
	@exec $(BIN)/python -c '$(QUIET)' sandbox.demo $(if $(TASKS),--tasks "$$TASKS")

serve: $(VENV)/.run
	@exec $(BIN)/gunicorn

test: $(VENV)/.dev
	@echo "make test: about 8 minutes on two cores; make test-fast runs the fast ones in 20 seconds"
	$(BIN)/python -m pytest -q -n 3 --dist loadfile -m 'not ($(GROUPS))' --ignore=tests/faults
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m 'not ($(GROUPS))' tests/faults  # these tests measure how late an answer may be

test-fast: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m pytest -q -p support.forks --forks 6 --ignore=tests/browser \
		-m 'not (process or $(GROUPS))'  # 6: many tests wait

# The lowest versions that setup.cfg allows; pip names the tools of the tests that ask for newer ones.
test-lowest:
	@$(MAKE) --no-print-directory .venv-lowest/.dev VENV=.venv-lowest
	$(PYTHON) .ci/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check --requirement .venv-lowest/lowest.txt
	@$(MAKE) --no-print-directory test VENV=.venv-lowest

# pytest exits with 5 if no test has one of the marks.
test-groups: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m '$(GROUPS)' || [ $$? = 5 ]

drills: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m faults

soak: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m soak

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/openapi.py --check

openapi: $(VENV)/.dev
	$(BIN)/python .ci/openapi.py

screenshots: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m browser

audit: $(VENV)/.dev $(VENV)/audit/bin/pip-audit
	@$(BIN)/python .ci/audit.py $(VENV)/audit/bin/pip-audit

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# One stamp file for the packages of `make run`, one for those of the tests. .ci/install.py writes it after installing.
$(VENV)/.run $(VENV)/.dev: $(VENV)/.%: $(BIN)/pip setup.cfg pyproject.toml
	@$(BIN)/python .ci/install.py $*

# pip-audit has its own environment, so that it does not audit its own requirements.
$(VENV)/audit/bin/pip-audit: $(BIN)/pip
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { \
		echo "make: $(PYTHON) is not installed. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $(PYTHON) is not Python 3.11 or newer. Name one that is: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "make: making a virtual environment in $(VENV), about 5 seconds"
	@$(PYTHON) -c '$(QUIET)' venv $(VENV)
