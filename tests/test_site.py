"""The site of the documentation has every page, whole links, and asks the network for nothing."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

from tests.paths import ROOT

DOCS = ROOT / "docs"
NAV: list[dict[str, str | list[str]]] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]


def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))  # strict: a broken link or anchor ends it
    return folder


def test_the_navigation_has_the_groups_and_pages_of_the_index_in_its_order() -> None:
    groups = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", (DOCS / "index.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    path = hooks().site_path
    listed = {
        title: [path(target.removeprefix("../") if ".." in target else f"docs/{target}") for target in targets]
        for title, text in groups
        if (targets := re.findall(r"\]\(([\w./]+)\)", text))
    }
    assert {title: pages for group in NAV[1:] for title, pages in group.items()} == listed
    pages = {path(f"docs/{page.name}") for page in DOCS.iterdir() if page.suffix in (".md", ".ipynb")}
    assert pages <= {"index.md", *(page for pages in listed.values() for page in pages)}


def test_links_of_the_forge_are_pages_of_the_site() -> None:
    path = hooks().site_path
    assert path("README.md") == "readme.md" and path("docs/first_study.ipynb") == "first_study.md"
    assert path("runs/example/quick/report.md") == "files/runs/example/quick/report.html", "the page with its charts"
    assert path(".github/workflows/nexus-bench.yml") == "files/github/workflows/nexus-bench.yml"


def test_a_notebook_is_shown_with_its_outputs(tmp_path: Path) -> None:
    table = nbformat.v4.new_output("execute_result", {"text/plain": "1 2", "text/html": "<table>\n\n<tr></tr></table>"})
    cells = [
        nbformat.v4.new_markdown_cell("# A title"),
        nbformat.v4.new_code_cell("1 + 1", outputs=[nbformat.v4.new_output("stream", text="two\n"), table]),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "one.ipynb")
    shown = [
        "# A title",
        "```python\n1 + 1\n```",
        "```text\ntwo\n```",
        '<div style="overflow-x: auto"><table>\n<tr></tr></table></div>',
    ]
    assert hooks().notebook_page(tmp_path / "one.ipynb").split("\n\n")[:4] == shown


def test_pages_load_nothing_from_the_network_and_link_to_what_is_there(site: Path) -> None:
    pages = sorted(site.glob("*.html"))
    assert len(pages) > 25
    for page in pages:
        text = page.read_text(encoding="utf-8")
        tags = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", text)
        assert not [tag for tag in tags if re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag)], page.name
        if page.name != "404.html":  # which has links from the top of a server
            links = re.findall(r"""(?:src|href)="(?!\w+:|#)([^"#?]+)""", text)
            assert not [link for link in links if not (page.parent / link).exists()], page.name
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert styles and not [style for style in styles if re.search(r"url\([\"']?(?:https?:)?//|@import", style)]
    assert (site / "search" / "search_index.js").is_file(), "for a search without a server"
