"""The house stays in order: few rooms, one way between them, and a map that is true."""

import ast
import re
import tomllib
from pathlib import Path

import grimp
import networkx
import pytest

import nexus_bench
from tests.paths import ROOT

PACKAGE = ROOT / "nexus_bench"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
GRAPH = grimp.build_graph("nexus_bench")
OF_A_RUN = ("cells/", "checkpoints/", "families/", "figures/", "inspect/")  # folders
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
UNITS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
LAYERS: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0][
    "layers"
]
NAMES = [name for layer in LAYERS for name in layer.split(" | ")]


def unit(module: str) -> str:
    return [*module.split("."), "__init__"][1]


def test_the_root_holds_few_modules_and_few_units_stand_in_all() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == {
        "__init__",
        "__main__",
        "errors",
        "streams",
        "version",
    }
    assert len(UNITS) <= 23


def test_few_arrows_run_between_units_and_none_both_ways() -> None:
    arrows = {
        (unit(module), unit(found))
        for module in GRAPH.modules
        for found in GRAPH.find_modules_directly_imported_by(module)
        if unit(module) != unit(found)
    }
    assert len(arrows) <= 116
    assert not {(b, a) for a, b in arrows} & arrows


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = networkx.DiGraph((a, b) for a in GRAPH.modules for b in GRAPH.find_modules_directly_imported_by(a))
    assert not [circle for circle in networkx.strongly_connected_components(arrows) if len(circle) > 1]


def test_every_unit_has_its_place_in_at_most_thirteen_layers() -> None:
    assert len(LAYERS) <= 13
    assert set(NAMES) == UNITS - {"__init__", "__main__"}


def test_the_map_of_contributing_is_what_the_packages_say() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", CONTRIBUTING, flags=re.MULTILINE)
    told = {}
    for name in NAMES:
        path = PACKAGE / name / "__init__.py" if (PACKAGE / name).is_dir() else PACKAGE / f"{name}.py"
        told[name] = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]
    assert [name for name, _ in rows] == NAMES
    assert dict(rows) == told


def test_tests_mirror_packages() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders == {name for name in NAMES if (PACKAGE / name).is_dir()}


def test_tests_import_no_test_module() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: write tests.folder.module"
                named = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                named = [part for alias in node.names for part in alias.name.split(".")]
            else:
                continue
            if "tests" in named:
                assert not [part for part in named if part.startswith("test_")], path


def test_every_folder_of_code_is_a_package() -> None:
    for folder in {path.parent for path in PACKAGE.rglob("*.py")}:
        assert (folder / "__init__.py").is_file(), folder


def test_the_layers_of_contributing_are_those_of_the_contract() -> None:
    (shown,) = re.findall(r"^```text\n(cli > .*?)^```", CONTRIBUTING, flags=re.DOTALL | re.MULTILINE)
    assert [" ".join(layer.split()) for layer in shown.split(">")] == LAYERS


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    """But of what the page has its reader write."""
    own = ("predecessor", "tempered", "your_package", "<", "runs/", "mine.")
    for code in re.findall(r"`([^`\n]+)`", (ROOT / page).read_text()):
        if re.fullmatch(r"(\w+/)+|(\w+/)+[\w.]+\.(py|yaml|md|toml)", code) and not any(part in code for part in own):
            assert (PACKAGE / code).exists() or (ROOT / code).exists() or code in OF_A_RUN, code


def test_every_mechanism_has_a_reference_of_its_name() -> None:
    from nexus_bench.attention.base import ATTENTIONS

    for name in ATTENTIONS.own_names():
        module = ATTENTIONS.get(name).__module__.rpartition(".")[2]
        assert (PACKAGE / "attention" / "naive" / f"{module}.py").is_file(), name


def test_the_contract_of_attention_imports_no_mechanism_and_no_kernel() -> None:
    assert not {
        m for m in GRAPH.find_downstream_modules("nexus_bench.attention.kernels.short") if m.endswith("attention.base")
    }
    assert GRAPH.find_modules_directly_imported_by("nexus_bench.attention.base") == {
        "nexus_bench.attention.layout",
        "nexus_bench.registry.table",
    }


def test_no_module_is_named_in_a_string() -> None:
    """But in the registries, whose packages plug-ins need not know, and where the package finds its own files."""
    allowed = {"nexus_bench.generators", "nexus_bench.attention", "nexus_bench.tasks", "nexus_bench.attentions"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.fullmatch(r"nexus_bench\.[\w.]+", node.value) or node.value in allowed, (path, node.value)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_past_three_hundred_lines(path: Path) -> None:
    assert path.read_text().count("\n") <= 300


def test_a_folder_holds_few_modules() -> None:
    for folder in {path.parent for path in PACKAGE.rglob("*.py")}:
        assert len(list(folder.glob("*.py"))) <= 35, f"{folder}: put modules of one purpose into a folder of their own"


def test_the_public_names_are_what_the_package_hands_on() -> None:
    assert all(getattr(nexus_bench, name) is not None for name in nexus_bench.__all__)
