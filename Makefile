# What a person and CI call. `make` alone lists it. Every target sets itself up.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-compose check install bench bench-compose images sbom lock docs dashboards texts screenshots site clean

BIN := .venv/bin
DOCKER ?= docker
SPS_IMAGES ?= localhost/smart-power-station
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The first Python that runs and is new enough. A name on PATH may be a shim of nothing, so each is tried.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
NO_PYTHON = Python 3.11 or newer is needed, and none was found on PATH; install one, or name it: make PYTHON=/path/to/python3
NO_VENV = $(PYTHON) lacks the venv module; on Debian or Ubuntu: apt-get install python3-venv
COMPILE = .venv-lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
# What each image holds beside what every service stands on. The simulated power station is reached over an emulated air.
EXTRAS_bluetti-bridge := bluetti-bridge bluetti-encrypted emulated
EXTRAS_relay-bridge := relay-bridge emulated
EXTRAS_relay-bridge-kasa := relay-bridge emulated kasa
EXTRAS_ina260-reader := ina260-reader
EXTRAS_controller := controller
EXTRAS_recorder := recorder
EXTRAS_gateway := gateway
EXTRAS_home-assistant :=
EXTRAS_aggregator := aggregator postgres
EXTRAS_simulator := simulator
EXTRAS_setup := setup bluetti-bridge relay-bridge discover report
EXTRAS_package := package
IMAGES := $(patsubst EXTRAS_%,%,$(filter EXTRAS_%,$(.VARIABLES)))
# `package` is what builds our own wheel. The larger lock constrains them, so that all agree.
define LOCK_IMAGE
$(COMPILE) --constraint requirements/dev.txt $(addprefix --extra ,$(EXTRAS_$(1))) --output-file requirements/images/$(1).txt $(if $(UPGRADE),--upgrade)

endef

# Tests of real processes have real deadlines, which a busy machine can miss: what failed is run once more, by itself, and named.
define TESTED
$(BIN)/python -m pytest $(1) $(2); status=$$?; [ $$status -eq 1 ] || exit $$status; \
	printf '\nWhat failed is run once more, by itself. If it passes now, it depends on the load: a bug to mend, in the test or beside it.\n'; \
	exec $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 10 --verbose $(2)
endef

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.installed-run  ## start the simulated station and its page; SPEED=1 for real time
	@exec $(BIN)/sps run

# One more than there are cores: most tests wait for something most of the time.
test: .venv/.installed-dev  ## run every test; ARGS='-k page' to choose
	@$(call TESTED,--numprocesses $$(($$(nproc 2>/dev/null || echo 2) + 1)) --dist loadfile,$(ARGS))

check: .venv/.installed-dev  ## format, lint, types, import rules, generated documents, locks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --quiet tests/contract/test_documents.py tests/contract/test_dashboards.py \
		tests/contract/test_api_document.py tests/contract/test_uplink_documents.py
	$(BIN)/python tests/check_locks.py

install:  ## put the station under systemd (as root; docs/systemd.md); PREFIX, ETC, STATE choose where
	@PYTHON="$(PYTHON)" systemd/install.sh

bench: .venv/.installed-dev  ## measure, print a table, write bench/latest.json; ONLY=reaction,footprint_cpu
	@exec $(BIN)/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

test-compose: .venv/.installed-dev  ## the whole stack in containers, in an engine of its own; needs root and docker.io
	@$(call TESTED,,--timeout 1800 tests/compose $(ARGS))

bench-compose: .venv/.installed-dev  ## measure the stack in containers: memory, CPU, time to the first decision, image sizes
	@exec $(BIN)/python -m tests.benchmarks --only compose_memory,compose_first_decision,compose_cpu

images:  ## build every image and print its size; BASE_IMAGE=... PLATFORM=linux/arm64 SPS_IMAGES=... to choose
	@for image in $(filter-out package,$(IMAGES)); do \
		$(DOCKER) build --quiet --target $$image --tag $(SPS_IMAGES)/$$image:$(VERSION) \
			$(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) $(if $(PLATFORM),--platform $(PLATFORM)) \
			--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) . >/dev/null && \
		$(DOCKER) image ls --format '{{.Repository}}:{{.Tag}}  {{.Size}}' $(SPS_IMAGES)/$$image:$(VERSION) || exit 1; done

sbom: .venv/.installed-dev  ## write sbom/IMAGE.cdx.json for every image: what its lock holds, in CycloneDX
	@mkdir -p sbom
	@for image in $(filter-out package,$(IMAGES)); do PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements/images/$$image.txt \
		--pyproject pyproject.toml --mc-type application --output-reproducible --output-file sbom/$$image.cdx.json && echo sbom/$$image.cdx.json || exit 1; done

docs: .venv/.installed-dev  ## write docs/bus/, docs/api/ and docs/aggregator/openapi.yaml anew from the code
	$(BIN)/python -m services.bus.documents
	$(BIN)/python -m services.bus.uplink.openapi
	$(BIN)/python -m services.gateway.documents

texts: .venv/.installed-dev  ## collect the page's texts for translation, and compile the catalogues
	$(BIN)/python -m tests.texts

screenshots: .venv/.installed-dev  ## draw docs/images/ anew from a running simulated station
	SCREENSHOTS=docs/images $(BIN)/python -m pytest --quiet tests/browser/test_screenshots.py

dashboards: .venv/.installed-dev  ## write Grafana's dashboards and provisioning anew from grafana/generator
	@$(BIN)/python -m grafana.generator

site: .venv/.installed-dev  ## build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock: .venv/.created  ## resolve requirements/*.txt anew; UPGRADE=1 to take newer versions
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv==0.13.9; }
	$(COMPILE) --extra dev --output-file requirements/dev.txt $(if $(UPGRADE),--upgrade)
	$(COMPILE) --extra run --output-file requirements/run.txt $(if $(UPGRADE),--upgrade)
	@mkdir -p requirements/images
	$(foreach image,$(IMAGES),$(call LOCK_IMAGE,$(image)))
	@rm -rf .venv-lock

clean:  ## remove the environment and what tools left behind; your data in var/ stays
	rm -rf .venv .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find services tests grafana -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.created:
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(NO_VENV)" >&2; exit 1; }
	@echo "making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv
	@touch $@

# The stamp is as old as the installation: a lock or pyproject.toml that changed later is installed again.
# The two locks agree (tests/check_locks.py), so going from one to the other and back only adds.
.venv/.installed-%: requirements/%.txt pyproject.toml | .venv/.created
	@echo "installing requirements/$*.txt into .venv (the first time takes a minute)"
	@$(PIP) install --quiet --require-hashes --requirement requirements/$*.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
