# Two commands do everything, set-up included: `make song` and `make test`. Both may be run again at any time: what is
# done already is not done twice. Each step is also in README.md, to be taken by hand.

# The first Python of 3.11 or later; choose another with `make song PYTHON=/path/to/python3`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
# Tests need torch, but no accelerator. With pip pointed at an index of CPU builds this is a small download; any other
# requirement will do: `make test TORCH='torch>=2.4'`.
TORCH ?= torch==2.13.0
SONG ?= --bars 32

BIN := $(VENV)/bin
RUN := $(BIN)/python -m

.PHONY: song test lint bench system clean
.DEFAULT_GOAL := song

song: $(VENV)/.installed
	$(RUN) midigen compose $(SONG)

test: $(VENV)/.installed-for-tests lint
	$(RUN) pytest

lint: $(VENV)/.installed-for-tests
	$(RUN) ruff check .
	$(RUN) mypy

bench: $(VENV)/.installed-for-tests
	$(RUN) benchmarks

$(VENV)/.installed: pyproject.toml | $(VENV)/.made
	$(RUN) pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-for-tests: pyproject.toml | $(VENV)/.made
	$(RUN) pip install --quiet --disable-pip-version-check '$(TORCH)' --editable '.[dev,train,audio]'
	@touch $@ $(VENV)/.installed

$(VENV)/.made: | system
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The system's part: libfluidsynth, a SoundFont with a good piano, guitar and bass, and venv where Debian splits it off.
# Without the SoundFont midigen falls back on a smaller one that comes with its Python packages.
system:
	@if [ -z "$(PYTHON)" ]; then \
		echo "midigen needs Python 3.11 or later: install it, or say where it is with make PYTHON=..." >&2; exit 2; fi
	@need=""; \
	$(PYTHON) -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("fluidsynth"))' \
		|| need="$$need libfluidsynth3"; \
	ls soundfonts/*.sf[23] /usr/share/sounds/sf[23]/*.sf[23] /usr/share/soundfonts/*.sf[23] 2>/dev/null | grep -q . \
		|| need="$$need musescore-general-soundfont-small"; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| need="$$need python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"; \
	[ -n "$$need" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then \
		echo "midigen: not found:$$need (names of Debian packages); see 'By hand' in README.md" >&2; exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=""; \
	elif command -v sudo >/dev/null; then as_root="sudo"; \
	else echo "midigen: not installed:$$need. Ask someone who may: apt-get install$$need" >&2; exit 0; fi; \
	echo "Installing$$need"; \
	$$as_root apt-get update -qq && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $$need >/dev/null || \
	echo "midigen: could not install$$need; going on without" >&2

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
