"""How work that takes minutes learns that somebody wants it to stop, without every function in between knowing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from learning.errors import Stopped

_asked: ContextVar[Callable[[], bool]] = ContextVar("asked")


@contextmanager
def stopped_by(asked: Callable[[], bool]) -> Iterator[None]:
    """Let what runs within stop once `asked` returns true; it is asked about twice a second."""
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)


def check_stop(item: str) -> None:
    """Raise `Stopped` if this work is to stop."""
    asked = _asked.get(None)
    if asked is not None and asked():
        raise Stopped("was stopped", item, "nothing was changed by it")
