# Two commands need nothing but Debian's Python 3.11, g++ and make: `make demo` and `make test` (with Go, it tests BigQuery and buckets, too).

SHELL := /bin/bash
PYTHON_FILES := pipeline dags infra tests setup.py

.PHONY: help install hooks emulators postgres lint docs demo up server test test-all lock clean

help:  ## shows this list (the default)
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

install:  ## sets up .venv from requirements.lock; quick when nothing has changed
	@infra/install.sh

hooks: install  ## makes git run the checks of .pre-commit-config.yaml before each commit
	.venv/bin/pre-commit install

emulators:  ## builds what stands for BigQuery, S3 and Google Cloud Storage in the tests; needs Go; quick when it is there
	@infra/install_emulators.sh

postgres:  ## installs PostgreSQL for the tests, as root where it is missing; quick when it is there
	@infra/install_postgres.sh

lint: install  ## installs what reads infra/ in the tests: Dockerfiles, YAML, shell, Terraform; quick when it is there
	@infra/install_lint.sh

docs: install  ## builds the documentation site in build/docs, without a network; a broken link is an error
	.venv/bin/sphinx-build --fail-on-warning --keep-going --quiet -c infra/docs_site -d build/docs_cache . build/docs
	@echo "Open build/docs/index.html"

demo: install  ## the whole job once, in ./demo; HOURS=DIR: from hour files; DAY=2015-01-01: from GH Archive
	@exec .venv/bin/python infra/demo.py $(if $(HOURS),--hours "$(HOURS)") $(if $(DAY),--day "$(DAY)")

up: install  ## Airflow and MLflow on loopback, on the lake ./lake, until Ctrl-C; CLOCK=1: as scheduled; AIRFLOW_PORT=8080 MLFLOW_PORT=5000
	@exec .venv/bin/python infra/up.py $(if $(AIRFLOW_PORT),--airflow-port $(AIRFLOW_PORT)) $(if $(MLFLOW_PORT),--mlflow-port $(MLFLOW_PORT)) $(if $(CLOCK),--clock)

server:  ## the same for a team, in containers (Docker): on PostgreSQL, with an object store and Dask; infra/README.md
	@infra/compose_env.py
	docker compose --file infra/compose.yaml up --build --detach --wait

test: install  ## style, types, and all tests that need neither root nor a server
	.venv/bin/ruff check $(PYTHON_FILES)
	.venv/bin/ruff format --check $(PYTHON_FILES)
	.venv/bin/mypy
	-infra/install_emulators.sh
	-infra/install_lint.sh
	.venv/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder

test-all:  ## the same, a team's server, and pages in a real browser; installs PostgreSQL and Chromium, so as root where one is missing
	@$(MAKE) --no-print-directory --jobs emulators postgres install  # one waits for the network while another compiles
	infra/install_browser.sh
	@$(MAKE) --no-print-directory test
	.venv/bin/pytest -n 2 --dist loadfile -m "browser or server"

lock: install  ## renews the locks from setup.py, infra/bootstrap.in and infra/lint/lint.in
	@infra/lock.sh

clean:  ## removes .venv, the demonstration and caches; a lake stays
	rm -rf .venv demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
