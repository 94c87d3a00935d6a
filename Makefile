# `make demo` and `make test` need only Python 3.11 (with venv), g++ and make. With Go, `make test` also tests BigQuery and buckets.

SHELL := /bin/bash
PYTHON_FILES := pipeline dags infra tests setup.py
LOCKS := requirements.lock infra/gpu.lock infra/bootstrap.lock
SBOM := .venv/bin/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --output-reproducible

.PHONY: help install hooks emulators postgres lint docs demo up server image base-image image-demo test test-all lock sbom audit clean

help:  ## lists the targets (the default)
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install:  ## sets up .venv from requirements.lock; quick if nothing has changed
	@infra/install.sh

hooks: install  ## makes Git run the checks of .pre-commit-config.yaml before each commit
	.venv/bin/pre-commit install

emulators:  ## builds the emulators of BigQuery, S3 and Google Cloud Storage for the tests; needs Go; quick if they exist
	@infra/install_emulators.sh

postgres:  ## installs PostgreSQL for the tests, which needs root; quick if it is installed
	@infra/install_postgres.sh

lint: install  ## installs the linters for infra/: Dockerfiles, YAML, shell, Terraform; quick if they are installed
	@infra/install_lint.sh

docs: install  ## builds the documentation site in build/docs, without a network; fails for a broken link
	@rm -rf build/docs build/docs_cache  # an update would keep deleted pages, and the old navigation on others
	.venv/bin/sphinx-build --fail-on-warning --keep-going --quiet -c infra/docs_site -d build/docs_cache . build/docs
	@echo "Open build/docs/index.html"

demo: install  ## runs the whole job once, in ./demo; HOURS=DIR: from hour files; DAY=2015-01-01: from GH Archive
	@exec .venv/bin/python infra/demo.py $(if $(HOURS),--hours "$(HOURS)") $(if $(DAY),--day "$(DAY)")

up: install  ## starts Airflow and MLflow on loopback, with the lake ./lake, until Ctrl-C; CLOCK=1: DAGs run on schedule; AIRFLOW_PORT=8080 MLFLOW_PORT=5000
	@exec .venv/bin/python infra/up.py $(if $(AIRFLOW_PORT),--airflow-port $(AIRFLOW_PORT)) $(if $(MLFLOW_PORT),--mlflow-port $(MLFLOW_PORT)) $(if $(CLOCK),--clock)

server:  ## starts both for a team, in Docker containers, with PostgreSQL, an object store and Dask: see infra/README.md
	@infra/compose_env.py
	docker compose --file infra/compose.yaml up --build --detach --wait

image:  ## builds titler:latest with Docker or buildah; GPU=1: titler-gpu:latest; BASE=titler-base:bookworm; OPTIONS="--secret ...": see infra/README.md
	@infra/build_image.sh $(if $(GPU),gpu,cpu) $(if $(BASE),--build-arg BASE=$(BASE)) $(OPTIONS)

base-image:  ## makes titler-base:bookworm from Debian's packages, for `make image` without a container registry; needs root and mmdebstrap
	@infra/base_image.sh

image-demo:  ## runs the demo in a container of titler:latest, with Docker or podman; OPTIONS="...": options of `docker run`
	@infra/image_demo.sh $(OPTIONS)

# mypy needs one core and the tests cannot always use both, so they run at the same time.
test: install  ## checks style and types, and runs all tests that need neither root nor a server
	.venv/bin/ruff check $(PYTHON_FILES)
	.venv/bin/ruff format --check $(PYTHON_FILES)
	-infra/install_emulators.sh
	-infra/install_lint.sh
	.venv/bin/mypy & mypy=$$!; .venv/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder $(MARKED); tests=$$?; wait $$mypy && exit $$tests

test-all:  ## runs these and the tests of the team's server and of pages in a browser; installs PostgreSQL and Chromium, which needs root
	@$(MAKE) --no-print-directory --jobs emulators postgres install  # in parallel: some wait for the network while others compile
	infra/install_browser.sh
	@$(MAKE) --no-print-directory test MARKED='-m ""'  # replaces the -m of pyproject.toml, which leaves these tests out

lock: install  ## updates every locked version, from setup.py, infra/bootstrap.in and infra/lint/lint.in
	@infra/lock.sh

sbom: install  ## writes build/sbom.json and build/sbom-gpu.json, the packages of both images, as CycloneDX; downloads the tool
	@mkdir -p build
	$(SBOM) infra/image.txt --output-file build/sbom.json
	$(SBOM) infra/image-gpu.txt --output-file build/sbom-gpu.json

# --strict: without it, pip-audit passes if PyPI answers about no package.
audit: install  ## asks PyPI for known vulnerabilities of all locked packages; ADVISORIES=FILE: looks into a snapshot instead, without a network
	$(if $(ADVISORIES),.venv/bin/python infra/audit_locks.py "$(ADVISORIES)" $(LOCKS),.venv/bin/uv tool run --from pip-audit==2.10.1 pip-audit --strict --require-hashes --disable-pip $(LOCKS:%=--requirement %))

clean:  ## removes .venv, the demo, build output and caches; keeps ./lake
	rm -rf .venv demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
