"""What counts as the right answer in a model's own words."""

import re

_ANSWER_IS = re.compile(r"answer(?: is|:)\s*", re.IGNORECASE)
_AROUND = " \t\r\n.,;:!?'\"*`()"


def plain_answer(text: str) -> str:
    """A text without case, punctuation around it, and all up to the last "answer is" or "answer:".

    A text gives an answer if both are equal in this form.

    >>> plain_answer("He is her uncle, so the answer is: **Aunt**.")
    'aunt'
    """
    return _ANSWER_IS.split(text)[-1].strip(_AROUND).casefold()
