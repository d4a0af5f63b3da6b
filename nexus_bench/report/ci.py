"""What continuous integration reads: the summary and the error lines of GitHub Actions, and JUnit XML."""

import os
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nexus_bench.errors import StorageError

SUMMARY_LIMIT = 1_024_000  # bytes; the limit of GitHub is 1 MiB, and it drops summaries close to that
MOST_LINES = 10  # error lines per step that GitHub shows, and as many warnings
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
JUNIT_BEGINNING = f'{_XML}<testsuites tests="'  # by which nexus-bench recognises its own files
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Case(NamedTuple):
    """A test case of JUnit: passed, unless it has a reason for failing or being skipped.

    Attributes:
        group: What GitLab and Jenkins show it under.
        name: Its name, unique among the cases.
        failure: In one line, what is wrong; empty if nothing.
        skipped: In one line, why it was not tested; empty if it was.
        output: Anything else worth reading.
    """

    group: str
    name: str
    failure: str = ""
    skipped: str = ""
    output: str = ""


def github_summary(markdown: str) -> None:
    """Append to the summary of the step, if there is one, and keep the file under GitHub's limit.

    Text beyond the limit is cut off at the end of a line, and a note says how many lines are left out. A file that is
    full already stays as it is, since GitHub would show nothing of a longer one.

    Args:
        markdown: Most important lines first.

    Raises:
        StorageError: The file cannot be read or written.

    Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits,
    and https://github.com/actions/runner/issues/4337 for what comes near the limit.
    """
    if not (name := os.environ.get("GITHUB_STEP_SUMMARY")):
        return
    try:
        with Path(name).open("ab+") as file:
            size = file.tell()
            file.seek(max(size - 1, 0))
            starts_a_line = file.read(1) in (b"", b"\n")
            text = ("" if starts_a_line else "\n") + ("\n" if size else "") + markdown.rstrip("\n") + "\n"
            file.write(_fitting(text, SUMMARY_LIMIT - size).encode())
    except OSError as error:
        raise StorageError(f"{name}: cannot be written: {error.strerror}; unset GITHUB_STEP_SUMMARY") from error


def github_lines(kind: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print error or warning lines to stderr, which GitHub shows next to a run; outside GitHub Actions print nothing.

    GitHub shows ten of each kind per step. If there are more, the tenth says how many are left out.

    Args:
        kind: `error` or `warning`.
        lines: Title and message, the most important first.

    Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message;
    the limit: https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md#limitations.
    """
    if not (os.environ.get("GITHUB_STEP_SUMMARY") or os.environ.get("GITHUB_ACTIONS")):
        return
    shown = list(lines)
    if len(shown) > MOST_LINES:
        n_more = len(shown) - MOST_LINES + 1
        shown[MOST_LINES - 1 :] = [(f"{n_more} more", f"{n_more} more {kind}s are in the files of this step")]
    for title, message in shown:
        title = _escaped(title).replace(":", "%3A").replace(",", "%2C")
        print(f"::{kind} title={title}::{_escaped(message)}", file=sys.stderr)


def junit_xml(suite: str, cases: Sequence[Case]) -> str:
    """Test cases as JUnit XML, without times: the same bytes for the same cases.

    Source: `junit-10.xsd` of https://github.com/jenkinsci/xunit-plugin, which Jenkins validates files with; GitLab
    reads the same elements, https://docs.gitlab.com/ci/testing/unit_test_reports/.
    """
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.failure) for case in cases)),
        "errors": "0",
    }
    root = ET.Element("testsuites", counts)
    n_skipped = sum(bool(case.skipped) for case in cases)
    group = ET.SubElement(root, "testsuite", {"name": _xml(suite), **counts, "skipped": str(n_skipped)})
    for case in cases:
        element = ET.SubElement(group, "testcase", {"classname": _xml(case.group), "name": _xml(case.name)})
        for tag, message in (("failure", case.failure), ("skipped", case.skipped)):
            if message:
                ET.SubElement(element, tag, {"message": _xml(message)}).text = _xml(message)
        if case.output:
            ET.SubElement(element, "system-out").text = _xml(case.output)
    ET.indent(root)
    return _XML + ET.tostring(root, encoding="unicode") + "\n"


def _fitting(text: str, room: int) -> str:
    """As many lines as fit into `room` bytes of UTF-8, with a note on the rest; empty if not even the note fits."""
    if len(text.encode()) <= room:
        return text
    lines = text.splitlines(keepends=True)
    longest_note = _note(len(lines))
    kept, used = 0, len(longest_note.encode())
    while kept < len(lines) and used + len(lines[kept].encode()) <= room:
        used += len(lines[kept].encode())
        kept += 1
    return "".join(lines[:kept]) + _note(len(lines) - kept) if kept else ""


def _note(n_lines: int) -> str:
    return f"\n{n_lines:,} more lines are left out: GitHub shows at most 1 MiB per step.\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _xml(text: str) -> str:
    """Characters that XML 1.0 cannot hold become question marks."""
    return _NO_XML.sub("?", text)
