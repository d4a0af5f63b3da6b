"""What `make docs` does to the pages on the way to the site: hooks of MkDocs, named in mkdocs.yml.

On the forge, pages link to files of the whole repository. On the site these are pages too, or files under `files/`.
"""

import functools
import posixpath
import re
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify

from nexus_bench.report import output
from nexus_bench.report.page.report_page import to_html
from nexus_bench.report.verdict.study import runs_of

ROOT = Path(__file__).parent.parent
ABOVE = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")  # its path; not of an address, nor of a place on the same page
_SHOWN = ("text/html", "image/svg+xml", "text/plain")  # kinds of output, the best one first


def on_config(config: MkDocsConfig) -> None:
    """Headings get the anchors that the forge gives them."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and every file outside of docs that a page links to."""
    made = {to: (ROOT / name).read_text(encoding="utf-8") for name, to in ABOVE.items()}
    made |= {f"{path.stem}.md": notebook_page(path) for path in sorted((ROOT / "docs").glob("*.ipynb"))}
    made |= {site_path(name): (ROOT / name).read_text(encoding="utf-8") for name in pages_of_families()}
    for to, text in made.items():
        files.append(File.generated(config, to, content=text))
    for file in list(files.documentation_pages()):
        for link in _LINK.findall(file.content_string):
            target = _in_repository(file.src_uri, link)
            to = site_path(target)
            if to.startswith("files/") and (source := ROOT / target).is_file() and files.get_file_from_path(to) is None:
                files.append(_report(config, to, source) if to.endswith("/report.html") else _copy(config, to, source))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    here = page.file.src_uri

    def moved(match: "re.Match[str]") -> str:
        return posixpath.relpath(site_path(_in_repository(here, match[1])), posixpath.dirname(here) or ".")

    return _LINK.sub(moved, markdown)


def site_path(target: str) -> str:
    """Where the site has a file of the repository; both paths are from their top."""
    if target in ABOVE:
        return ABOVE[target]
    folder, _, name = target.rpartition("/")
    if folder == "docs":
        return name.replace(".ipynb", ".md")
    if folder.startswith("runs/") and folder.endswith("/families"):
        return f"families/{folder.split('/')[-2]}-{name}"
    if name == "report.md" and (ROOT / folder / "families").is_dir():
        return f"families/{folder.split('/')[-1]}.md"  # without charts: it has its tables on these pages
    if name == "report.md":
        target = f"{folder}/report.html"  # with charts
    return f"files/{target.lstrip('.')}"


def notebook_page(path: Path) -> str:
    """A notebook with its stored outputs, in Markdown."""
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts.append(f"```python\n{cell.source}\n```")
            parts += [_output(output) for output in cell.outputs]
    parts.append(f'<a href="{path.name}" download>This page as a notebook</a>')
    return "\n\n".join(parts) + "\n"


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```"
    kind = next(kind for kind in _SHOWN if kind in output.data)
    if kind == "text/plain":
        return f"```text\n{output.data[kind].rstrip()}\n```"
    inside = re.sub(r"\n\s*\n", "\n", re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>", "", output.data[kind], flags=re.DOTALL))
    return f'<div style="overflow-x: auto">{inside.strip()}</div>'  # no empty line: Markdown would end the block


def _in_repository(page: str, link: str) -> str:
    """The file that a link of a page names, from the top of the repository."""
    own = _elsewhere().get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(own), link))


def pages_of_families() -> list[str]:
    """The report of the study and the pages of its families, from the top of the repository."""
    pages = [*ROOT.glob("runs/re*/families/*.md"), *ROOT.glob("runs/challenges/*/families/*.md")]
    pages += ROOT.glob("runs/reference/report.md")
    return sorted(path.relative_to(ROOT).as_posix() for path in pages)


@functools.cache
def _elsewhere() -> dict[str, str]:
    """Page of the site -> the file that it is made from, where that is not in docs."""
    return {to: name for name, to in ABOVE.items()} | {site_path(name): name for name in pages_of_families()}


def _copy(config: MkDocsConfig, to: str, source: Path) -> File:
    return File.generated(config, to, abs_src_path=str(source))


def _report(config: MkDocsConfig, to: str, source: Path) -> File:
    """The page of the report of a run, with its charts, which no run of the repository holds."""
    built = output.read_report(runs_of(source.parent))
    return File.generated(config, to, content=to_html(built, downloads=output.to_csvs(built)))
