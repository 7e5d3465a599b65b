# Every command of this project. `make` alone lists them.

PYTHON   ?= $(shell command -v python3.11 || command -v python3)
VENV     := .venv
VENV48   := .venv-annarchy48
OLDEST   := .venv-minimum
NEWEST   := .venv-newest
BRIAN    := .venv-brian2
BRIANNEW := .venv-brian2-newest
NEST     := .venv-nest
ANNARCHY   := ANNarchy==5.0.4.1
ANNARCHY48 := ANNarchy==4.8.2.7

PIP      := python -m pip --quiet --disable-pip-version-check
# ANNarchy looks for python3, cython and cmake in PATH, so the environment comes first; cmake
# believes VIRTUAL_ENV more than PATH, and make may be called from another environment.
within    = VIRTUAL_ENV="$(CURDIR)/$1" PATH="$(CURDIR)/$1/bin:$$PATH"
IN       := $(call within,$(VENV))
IN48     := $(call within,$(VENV48))

# What needs no simulator, for environments without one.
CORE     := tests/unit tests/golden
# What compiles networks of ANNarchy, beside which everything else runs, and what needs Brian2.
COMPILED := tests/live tests/models
WITH_BRIAN := tests/brian2
WITH_NEST  := tests/nest tests/pynn
# NEST publishes wheels for Linux on x86_64, for some versions of Python.
HAS_NEST   := $(and $(filter Linux,$(shell uname -s)),$(filter x86_64,$(shell uname -m)))
PYTHON_NEWEST ?= $(lastword $(shell command -v python3.13) \
	$(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.13.*/bin/python3.13))

COMMIT   ?= HEAD

.PHONY: help demo setup docs environments test test-core test-unit test-5.0 test-4.8 test-brian2 test-nest brian2-all test-minimum test-newest lint types check format api gallery bench bench-full bench-compare
.PHONY: bench-profile torture fuzz batch models test-sonata test-h5web test-azurite clean

help:
	@awk -F ':.*## *' '/^[a-z0-9.-]+:.*## /{ printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.core  ## simulate, save, read lazily, load and continue; needs only Python
	@$(IN) ann-ckpt demo
	@echo; echo "ann-ckpt is in $(VENV)/bin; for this shell: source $(VENV)/bin/activate"

setup: $(VENV)/.dev  ## an environment with everything, ANNarchy 5.0 included

# The longest first, so that two processes (-j2) are done at almost the same time.
test: test-core test-5.0 test-4.8 test-brian2 $(if $(HAS_NEST),test-nest)  ## install what the tests need and run all of them

test-core: $(VENV)/.dev $(VENV)/.tools  ## all tests that compile no network, with numpy 2
	$(IN) python -m pytest $(COMPILED:%=--ignore=%) $(WITH_BRIAN:%=--ignore=%) $(WITH_NEST:%=--ignore=%)

test-unit: $(VENV)/.dev  ## the unit tests alone, on all cores: to be run while working
	$(IN) python -m pytest -n auto tests/unit

test-5.0: $(VENV)/.dev $(VENV)/.tools  ## the tests that do, with ANNarchy 5.0
	$(IN) python -m pytest $(COMPILED)

test-4.8: $(VENV48)/.dev $(VENV48)/.tools  ## unit and live tests, with numpy 1.26 and ANNarchy 4.8
	$(IN48) python -m pytest tests/unit tests/live

test-brian2: $(BRIAN)/.dev $(if $(PYTHON_NEWEST),$(BRIANNEW)/.dev)  ## Brian2 2.9, and 2.11 where there is Python 3.13
	ANN_CKPT_NEEDS_BRIAN2=1 $(call within,$(BRIAN)) python -m pytest $(WITH_BRIAN)
	$(if $(PYTHON_NEWEST),ANN_CKPT_NEEDS_BRIAN2=1 $(call within,$(BRIANNEW)) python -m pytest $(WITH_BRIAN))

test-nest: $(NEST)/.dev  ## NEST 3.10, and PyNN on NEST, NEURON and Brian2
	ANN_CKPT_NEEDS_NEST=1 $(call within,$(NEST)) python -m pytest $(WITH_NEST)

brian2-all: $(BRIAN)/.dev $(if $(PYTHON_NEWEST),$(BRIANNEW)/.dev)  ## the same with every network compiled by cython, and GSL: half an hour the first time
	@command -v gsl-config >/dev/null || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
		apt-get -qq install -y --no-install-recommends libgsl-dev >/dev/null; }
	ANN_CKPT_NEEDS_BRIAN2=1 $(call within,$(BRIAN)) python -m pytest tests/brian2 -m ""
	$(if $(PYTHON_NEWEST),ANN_CKPT_NEEDS_BRIAN2=1 $(call within,$(BRIANNEW)) python -m pytest tests/brian2 -m "")

test-minimum: $(OLDEST)/.core  ## the demo and the core tests with the oldest versions that pyproject.toml allows
	$(call within,$(OLDEST)) ann-ckpt demo
	$(call within,$(OLDEST)) python -m pytest $(CORE)

test-newest: $(NEWEST)/.core  ## the same with the newest versions, and Python 3.13
	$(call within,$(NEWEST)) ann-ckpt demo
	$(call within,$(NEWEST)) python -m pytest $(CORE)

environments: $(VENV)/.dev $(VENV)/.tools $(VENV48)/.dev $(VENV48)/.tools $(BRIAN)/.dev $(if $(PYTHON_NEWEST),$(BRIANNEW)/.dev) $(if $(HAS_NEST),$(NEST)/.dev)

lint: $(VENV)/.dev  ## ruff: rules and format
	$(IN) ruff check .
	$(IN) ruff format --check .
	$(IN) lint-imports

types: $(VENV)/.dev  ## mypy, strict
	$(IN) mypy

check: lint types test  ## all of the above

format: $(VENV)/.dev  ## let ruff rewrite what it can
	$(IN) ruff check --fix .
	$(IN) ruff format .

api: $(VENV)/.dev  ## write docs/api.md and docs/indexing.md, which the tests compare with the code
	$(IN) python -m docs.api
	$(IN) python -m docs.indexing

docs: $(VENV)/.dev  ## the documentation as a site, in build/site; a link that leads nowhere is an error
	$(IN) NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet
	@echo "open build/site/index.html"

gallery: $(VENV)/.dev  ## draw the pictures of docs/pictures/ anew: neurons that learnt edges, and the demo network
	$(IN) python -m docs.gallery

# Cases of Brian2 and NEST run where those are installed, after the others: $1 are options, $2 the beginning of the JSON files' names.
define benchmarks
	$(IN) python -m benchmarks $1 --json build/$2.jsonl
	$(if $(wildcard $(BRIAN)/bin/python),$(call within,$(BRIAN)) python -m benchmarks brian2 $1 --json build/$2-brian2.jsonl)
	$(if $(wildcard $(NEST)/bin/python),$(call within,$(NEST)) python -m benchmarks nest $1 --json build/$2-nest.jsonl)
endef

bench: $(VENV)/.bench  ## time and bytes beside pickle, numpy, ANNarchy's own files and others; ten minutes
	$(call benchmarks,--no-memory,bench)
	$(IN) python -m benchmarks.requests

bench-full: $(VENV)/.bench  ## the same and memory, at 256 MiB and more, less than two hours; writes docs/benchmarks.md; RESUME=1 goes on
	$(call benchmarks,--scale full $(if $(RESUME),--resume),bench-full)
	$(IN) python -m benchmarks.report build/bench-full.jsonl $$(ls build/bench-full-*.jsonl 2>/dev/null)

bench-compare: $(VENV)/.bench  ## this tree beside a commit: make bench-compare COMMIT=HEAD~5 CASES='full-save'
	$(IN) python -m benchmarks.compare $(COMMIT) $(CASES)

bench-profile: $(VENV)/.bench  ## where our time goes in some cases: make bench-profile CASES='one-of-50'
	$(IN) python -m benchmarks.profile $(CASES)

torture: $(VENV)/.dev  ## a fault at every system call, every bit flipped, kills, readers beside writers: many hours; less with CALLS=20 SOAK=60 BITS=1/8
	$(IN) python -m pytest -m torture --rounds 20 --calls $(or $(CALLS),0) --soak $(or $(SOAK),3600) --bits $(or $(BITS),1/1)
	$(if $(wildcard $(NEST)/bin/python),$(call within,$(NEST)) python -m pytest -m torture --rounds 20 tests/nest)

models: $(VENV)/.dev $(VENV)/.tools $(VENV48)/.dev  ## save and resume all published models of examples/models, in both generations, and check that verify-resume finds what goes wrong
	$(IN) python -m pytest tests/models tests/live -m models
	$(IN48) python -m pytest tests/models -m models

test-sonata: $(VENV)/.dev  ## import circuits that others published: test data in the sources of bluepysnap and libsonata
	@mkdir -p build/sonata
	@cd build/sonata && for source in bluepysnap==3.0.8 libsonata==0.2.2; do \
		$(IN) $(PIP) download --no-deps --no-binary "$${source%%=*}" "$$source" || exit; done
	@cd build/sonata && for archive in *.tar.gz; do tar xzf $$archive || exit; done
	ANN_CKPT_SONATA="$(CURDIR)/build/sonata" $(IN) python -m pytest -m published tests/ecosystem

test-h5web: $(VENV)/.dev $(VENV)/.tools  ## build h5web and let it show our files in a browser; 200 MB of packages
	$(IN) python -m pytest -m h5web tests/browser

test-azurite: $(VENV)/.dev $(VENV)/.tools  ## save to az:// on Azurite, Microsoft's server for tests; 190 MB of packages
	$(IN) python -m pytest -m azurite tests/remote

fuzz: $(VENV)/.dev  ## many more mutated files, and a long search for counterexamples
	$(IN) python -m pytest -m fuzz --rounds 20
	$(IN) python -m pytest --hypothesis-profile=long tests/unit

batch: $(VENV)/.dev  ## the job script on a Slurm of one node that the tests set up (as root, on Debian), and the budget: 20 minutes
	@command -v slurmctld >/dev/null && command -v munged >/dev/null || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
		apt-get -qq install -y --no-install-recommends slurm-wlm munge >/dev/null; }
	$(IN) python -m pytest -m batch tests/batch

clean:  ## remove environments, caches and builds
	rm -rf $(VENV) $(VENV48) $(OLDEST) $(NEWEST) $(BRIAN) $(BRIANNEW) $(NEST) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache

# --- environments -----------------------------------------------------------------
# Each stamp stands for one finished installation and is made again when pyproject.toml
# is newer. The package itself is installed in place, so that edits need no new stamp.

$(NEWEST)/bin/python $(BRIANNEW)/bin/python: PYTHON = $(PYTHON_NEWEST)
$(VENV)/bin/python $(VENV48)/bin/python $(OLDEST)/bin/python $(NEWEST)/bin/python $(BRIAN)/bin/python $(BRIANNEW)/bin/python $(NEST)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "ann_ckpt needs Python 3.11 or newer; try: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(patsubst %/bin/python,%,$@)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV), once"
	@$(IN) $(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml Makefile | $(VENV)/bin/python
	@echo "installing into $(VENV) with everything, once: some minutes"
	@$(IN) $(PIP) install --editable '.[dev]' '$(ANNARCHY)'
	@touch $@ $(VENV)/.core

$(VENV)/.bench: $(VENV)/.dev
	@echo "installing what the benchmarks compare with into $(VENV), once"
	@$(IN) $(PIP) install --editable '.[bench]' '$(ANNARCHY)'
	@touch $@

$(OLDEST)/.core: pyproject.toml .ci/lower-bounds | $(OLDEST)/bin/python
	@echo "installing the oldest versions into $(OLDEST), once"
	@$(call within,$(OLDEST)) python .ci/lower-bounds > $(OLDEST)/constraints.txt
	@$(call within,$(OLDEST)) $(PIP) install --constraint $(OLDEST)/constraints.txt --editable '.[test]'
	@touch $@

$(NEWEST)/.core: pyproject.toml | $(NEWEST)/bin/python
	@echo "installing the newest versions into $(NEWEST), once"
	@$(call within,$(NEWEST)) $(PIP) install --upgrade --editable '.[test]'
	@touch $@

# Brian2 2.9 knows numpy up to 2.2; 2.11 needs Python 3.13.
$(BRIAN)/.dev: pyproject.toml Makefile | $(BRIAN)/bin/python
	@echo "installing into $(BRIAN) with Brian2, once"
	@$(call within,$(BRIAN)) $(PIP) install --editable '.[test,brian2]' 'numpy<2.3' setuptools \
		'brian2==2.9.*; python_version < "3.12"'
	@touch $@

$(BRIANNEW)/.dev: pyproject.toml Makefile | $(BRIANNEW)/bin/python
	@echo "installing into $(BRIANNEW) with Brian2 2.11, once"
	@$(call within,$(BRIANNEW)) $(PIP) install --editable '.[test]' 'brian2==2.11.*' setuptools
	@touch $@

$(NEST)/.dev: pyproject.toml Makefile | $(NEST)/bin/python
	@echo "installing into $(NEST) with NEST, PyNN, NEURON and Brian2, once"
	@$(call within,$(NEST)) $(PIP) install --editable '.[test,nest,pynn,brian2]' 'numpy<2.3' setuptools neuron \
		'brian2==2.9.*; python_version < "3.12"'
	@cd "$$($(call within,$(NEST)) python -c 'import importlib.util; print(*importlib.util.find_spec("pyNN").submodule_search_locations)')/neuron/nmodl" \
		&& { $(call within,$(NEST)) nrnivmodl >"$(CURDIR)/$(NEST)/nrnivmodl" 2>&1 || { cat "$(CURDIR)/$(NEST)/nrnivmodl"; exit 1; }; }
	@touch $@

# 4.8 builds from source against the numpy it will run with, so its own build tools
# have to stand in the environment first.
# Newer versions of pyarrow say only when they are imported that they need numpy 2.
$(VENV48)/.dev: pyproject.toml Makefile | $(VENV48)/bin/python
	@echo "installing into $(VENV48) with ANNarchy 4.8, once: some minutes"
	@$(IN48) $(PIP) install 'setuptools<70' wheel 'cython<3' 'numpy<2' scipy 'sympy<1.12'
	@$(IN48) $(PIP) install --no-build-isolation '$(ANNARCHY48)'
	@$(IN48) $(PIP) install --editable '.[test]' 'numpy<2' 'pyarrow<22'
	@touch $@

# A program that cannot be installed here fails the one test that needs it, by name.
%/.tools: .ci/system-tools
	@if .ci/system-tools; then touch $@; fi
