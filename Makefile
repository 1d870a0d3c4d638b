# make run: everything; make demo: the story; make test, make check: what CI runs.
SHELL := /bin/bash
PYTHON_BIN := .venv/bin/python

.PHONY: help install run demo train test check format clean bench-nlu bench-entities bench-gaps bench-mining bench-privacy bench-loop bench-autonomy bench-overlay bench-experiments bench-chat bench-hub bench-gate bench-watching bench-alerts

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: .venv/.installed  ## install Python packages into .venv

.venv/.installed: pyproject.toml uv.lock scripts/install
	@scripts/install

run: install  ## train if needed and start everything until Ctrl-C
	@$(PYTHON_BIN) -m deploy.run

demo: install  ## play the whole story on a scratch copy: talk, fail, learn, answer
	@$(PYTHON_BIN) -m deploy.demo

train: install  ## train a model from the working tree
	@$(PYTHON_BIN) -m rasa train

test: install  ## run all tests
	@$(PYTHON_BIN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: install  ## lint, types, import rules
	@$(PYTHON_BIN) -m ruff check .
	@$(PYTHON_BIN) -m ruff format --check .
	@$(PYTHON_BIN) -m mypy learning components actions shop hub desk webchat deploy benchmarks scripts
	@.venv/bin/lint-imports

bench-nlu: install  ## NLU against Rasa's own pipelines on BANKING77 and CLINC150
	@$(PYTHON_BIN) -m benchmarks.nlu $(ARGS)

bench-mining: install  ## mining: events per second against a bare loop and Rasa's own tools
	@$(PYTHON_BIN) -m benchmarks.mining $(ARGS)

bench-entities: install  ## entities on a held-out file
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON_BIN) -m benchmarks.entities $(ARGS)

bench-privacy: install  ## personal data found, taken by mistake, and the time it takes
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON_BIN) -m benchmarks.privacy $(ARGS)

bench-gaps: install  ## how many hidden needs mining finds, against other ways of grouping
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 nice -n 5 $(PYTHON_BIN) -m benchmarks.gaps $(ARGS)

bench-loop: install  ## the whole loop, week by week, with a reviewer who knows the truth
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON_BIN) -m benchmarks.loop $(ARGS)

bench-autonomy: install  ## how many of 1,000 paraphrases of excluded topics would go live alone
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON_BIN) -m benchmarks.autonomy $(ARGS)

bench-experiments: install  ## A/B tests: false winners with a look every day, and people until a difference is found; the stop rule
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON_BIN) -m benchmarks.experiments $(ARGS)

bench-hub: install  ## the hub's lists over a million conversations
	@$(PYTHON_BIN) -m benchmarks.hub $(ARGS)

bench-overlay: install  ## what the live overlay adds to a message, up to 100,000 entries, on one core
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON_BIN) -m benchmarks.overlay $(ARGS)

bench-chat: install  ## 50 customers at once: the web chat of the whole stack against plain Rasa
	@$(PYTHON_BIN) -m benchmarks.chat $(ARGS)

bench-gate: install  ## how often the gate blocks an equal model, and finds a lost intent
	@$(PYTHON_BIN) -m benchmarks.gate $(ARGS)

bench-watching: install  ## how soon a worse model goes back by itself, and how often a good one does
	@$(PYTHON_BIN) -m benchmarks.watching $(ARGS)

bench-alerts: install  ## alerts a month while nothing changes, and days until a change is found
	@$(PYTHON_BIN) -m benchmarks.alerts $(ARGS)

format: install  ## format the code
	@$(PYTHON_BIN) -m ruff check --fix .
	@$(PYTHON_BIN) -m ruff format .

clean:  ## remove the environment, models and state
	rm -rf .venv models .rasa var results
