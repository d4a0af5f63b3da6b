"""Text from files and plug-ins, made harmless where it is shown: terminals, Markdown, spreadsheets.

HTML is escaped by its templates, figures draw no mathematics, and consoles read no markup, so this is all that is left.
"""

import re

# C0 and C1, and the characters that break a line or turn the direction of what follows it
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_TARGET = re.compile(r"\](?=\()|(?<=\])(?=:)")  # what makes brackets a link, or name its target
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Text without control characters: each is written as Python would, as `\x1b`."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def markdown(text: str) -> str:
    """One line of Markdown that holds neither HTML nor a link; code and emphasis stay."""
    return _TARGET.sub(lambda found: f"{found[0]}\\", _TAG.sub("&lt;", visible(text)))


def markdown_cell(text: str) -> str:
    """A cell of a table in Markdown: it ends neither its column nor its row."""
    return markdown(text).replace("|", "\\|")


def spreadsheet_cell(text: str) -> str:
    """A field of a CSV file that no spreadsheet computes: one that begins like a formula gets an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text
