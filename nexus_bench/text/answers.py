"""What counts as the right answer in a model's own words."""

import re

from nexus_bench.text.render import SO

# The answer at the end of steps: to the end of its sentence or line. Of several the last counts.
AT_THE_END = rf"{SO}([^.\n]+)"

_ANSWER_IS = re.compile(r"answer(?: is|:)\s*", re.IGNORECASE)
_AROUND = " \t\r\n.,;:!?'\"*`()"


def plain_answer(text: str) -> str:
    """A text without case, punctuation around it, and all up to the last "answer is" or "answer:".

    Steps end with a sentence that begins with "So the answer is". Of a text with such ones the last counts, and
    what is written behind it does not, as in tasks that ask for steps.

    A text gives an answer if both are equal in this form.

    >>> plain_answer("He is her uncle, so the answer is: **Aunt**.")
    'aunt'
    >>> plain_answer("He is her uncle. So the answer is Aunt. Who else?")
    'aunt'
    """
    derived = re.findall(AT_THE_END, text)
    return (derived or _ANSWER_IS.split(text))[-1].strip(_AROUND).casefold()
