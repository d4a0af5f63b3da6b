"""What the classes of a registry promise: functions that check it, for tests here and for authors elsewhere."""

from collections.abc import Callable
from typing import NamedTuple


class Broken(AssertionError):
    """A promise is broken."""


class NotAsked(Exception):
    """The class does not make this promise; the message says why."""


class PromiseResult(NamedTuple):
    """The outcome of checking one promise.

    Attributes:
        promise: The promise in words.
        state: `kept`, `not asked` or `broken`.
        detail: Why it is not asked, or what is broken; empty if it is kept.
    """

    promise: str
    state: str
    detail: str


def check_promise(promise: str, ask: Callable[[], None], *, explain: Callable[[Exception], str]) -> PromiseResult:
    """Check one promise.

    Args:
        promise: The promise in words.
        ask: Raises Broken if it is broken, NotAsked if it is not made.
        explain: One line about an error that the author's code raised.
    """
    try:
        ask()
    except NotAsked as reason:
        return PromiseResult(promise, "not asked", str(reason))
    except Broken as broken:
        return PromiseResult(promise, "broken", str(broken))
    except Exception as error:  # whatever the author's code raises breaks the promise
        return PromiseResult(promise, "broken", explain(error))
    return PromiseResult(promise, "kept", "")
