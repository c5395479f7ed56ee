# make demo | make test | make check: each makes .venv first and needs only Python 3.11+, pip, make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check format docs clean

demo: $(VENV)/demo.done
	$(BIN)/tipr demo --out demo

test: $(VENV)/dev.done
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

check: $(VENV)/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/ty check --python $(VENV) src
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check

format: $(VENV)/dev.done
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/dev.done
	$(BIN)/python -m docs.generate

# One pip call resolves everything, so that the pinned torch is never replaced by a larger build.
$(VENV)/demo.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[synth]'
	touch $@

$(VENV)/dev.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[synth,nlp,test,dev]'
	touch $@ $(VENV)/demo.done

clean:
	rm -rf $(VENV) demo runs build dist
