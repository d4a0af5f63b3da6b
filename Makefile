# make quick            install, train the quick suite, print the staircase
# make test             install, run the tests, side by side on the cores
# make test-exhaustive  install, run the long tests: a million examples per family, many kills
# make test-gpu         run the tests of kernels, stacks and language models, in the Python at hand, on a CUDA device
# make check            install, run the linters and the type checker
# make figures          install, make the reports of kept runs and the generated pages of docs again
# make verdict          install, make docs/verdict.md again from runs/reference, and the report that it points at
# make paper            install, and Typst with it; the numbers of docs/paper from runs/reference, and docs/paper/paper.pdf
# make notebooks        install, run the notebooks of docs again and store their outputs
# make docs             install, build the site of the documentation into site/
# make release-check    install, build sdist and wheel, check both, try the wheel in a clean environment outside of here
# PIP_ARGS              extra options for pip, such as an index that has a CPU build of PyTorch

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check $(PIP_ARGS)

.PHONY: quick test test-exhaustive test-gpu check figures verdict paper notebooks docs release-check clean

quick: $(INSTALLED)
	$(BIN)/nexus-bench train quick

test: $(INSTALLED)
	$(BIN)/pytest --numprocesses auto --dist worksteal

test-exhaustive: $(INSTALLED)
	$(BIN)/pytest -m exhaustive tests/experiment
	$(BIN)/pytest -m exhaustive --numprocesses auto --dist worksteal --ignore tests/experiment

test-gpu:
	$(PYTHON) -m pytest -m gpu tests/attention tests/training tests/hf

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

figures: $(INSTALLED)
	for run in quick staircase matched retrofit/kinship retrofit/kinship_order3 retrofit/arc_easy retrofit/piqa retrofit/pointer_chase; do $(BIN)/nexus-bench report runs/example/$$run > /dev/null || exit 1; done
	for run in runs/reproductions/*/*; do at=$$(dirname $$run); $(BIN)/nexus-bench report $$run > /dev/null && $(BIN)/nexus-bench reproduce $$(basename $$at) --scale $$(basename $$run) --check $$run > /dev/null || exit 1; done
	$(BIN)/nexus-bench inspect runs/example/quick --cell "order 3 | seed 0" --hops 3 --out runs/example/quick/inspect
	$(BIN)/nexus-bench gallery --out docs/tasks.md
	$(BIN)/python -m nexus_bench.inspection.task_pictures docs/pictures
	$(BIN)/nexus-bench schema --markdown > docs/columns.md
	$(BIN)/python -m nexus_bench.api.reference > docs/api.md
	$(BIN)/python -m nexus_bench.reproductions.overview > docs/reproductions.md
	$(BIN)/python -m nexus_bench.report.leaderboard.mechanisms runs/beside/mechanisms runs/beside/mechanisms-flat docs/mechanisms.md

verdict: $(INSTALLED)
	$(BIN)/python -m nexus_bench.report.verdict runs/reference runs/recipes runs/challenges docs/verdict.md

paper: verdict
	$(BIN)/python $(PIP_INSTALL) "typst>=0.13"
	$(BIN)/python -m nexus_bench.report.verdict.paper runs/reference runs/recipes runs/challenges docs/paper docs/paper/paper.pdf

notebooks: $(INSTALLED)
	$(BIN)/python -m tests.notebooks

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

release-check: $(INSTALLED)
	rm -rf dist
	$(BIN)/hatchling build --target sdist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	$(PYTHON) -m venv --clear $(VENV)/twine
	$(VENV)/twine/bin/python $(PIP_INSTALL) twine
	$(VENV)/twine/bin/twine check --strict dist/*
	$(PYTHON) -m venv --clear $(VENV)/clean
	$(VENV)/clean/bin/python $(PIP_INSTALL) dist/*.whl
	$(VENV)/clean/bin/python tests/release.py dist/*.whl

$(INSTALLED): pyproject.toml requirements.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python $(PIP_INSTALL) --requirement requirements.txt
	$(BIN)/python $(PIP_INSTALL) --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) dist site
