"""Where personal data stands in a text, and how searching for it comes to an end."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from learning.texts import PLACEHOLDER

LONGEST = 4000  # characters that are kept of a message; what it is about has been said by then
HIDDEN = "\ue000"  # stands for each placeholder while a text is searched: a private character that no pattern reads
MAX_ROUNDS = 8  # a search that found something is repeated; the second round finds something in one text of hundreds


@dataclass(frozen=True, order=True)
class Span:
    """Characters `start` up to `end` of a text are personal data of a kind, such as EMAIL."""

    start: int
    end: int
    kind: str


Find = Callable[[Sequence[str]], list[list[Span]]]


@dataclass(frozen=True)
class View:
    """A text with one `HIDDEN` for each placeholder and each span, so that searching does not depend on numbers."""

    text: str
    starts: tuple[int, ...]  # where each piece begins in the view ...
    origins: tuple[int, ...]  # ... and in the text itself

    def origin(self, span: Span) -> Span:
        """Return a span of the view as one of the text."""
        return Span(self._position(span.start), self._position(span.end - 1) + 1, span.kind)

    def _position(self, at: int) -> int:
        piece = bisect_right(self.starts, at) - 1
        return self.origins[piece] + at - self.starts[piece]


def view_of(text: str, spans: Iterable[Span] = ()) -> View:
    """Return `text` as it is searched: the placeholders that it holds and the given spans are hidden."""
    hidden = sorted([*(match.span() for match in PLACEHOLDER.finditer(text)), *((s.start, s.end) for s in spans)])
    parts: list[str] = []
    starts, origins = [0], [0]
    length = done = 0
    for start, end in hidden:
        parts += [text[done:start], HIDDEN]
        length += start - done + 1
        starts += [length - 1, length]
        origins += [start, end]
        done = end
    return View("".join([*parts, text[done:]]), tuple(starts), tuple(origins))


def cut(text: str) -> str:
    """Return `text` up to `LONGEST` characters, each placeholder counted as one and none cut in two."""
    if len(text) <= LONGEST:
        return text
    view = view_of(text)
    if len(view.text) <= LONGEST:
        return text
    return text[: view.origin(Span(LONGEST, LONGEST + 1, "")).start]


def settle(texts: Sequence[str], find: Find) -> list[tuple[Span, ...]]:
    """Return all spans of each text, sorted: what `find` finds, then what it finds once that is hidden, and so on.

    Without personal data a text reads differently, above all to a statistical recognizer. Only a text in which
    nothing more is found stays as it is when it is redacted a second time.
    """
    found: list[list[Span]] = [[] for _ in texts]
    pending = list(range(len(texts)))
    for _ in range(MAX_ROUNDS):
        views = [view_of(texts[row], found[row]) for row in pending]
        fresh = find([view.text for view in views])
        for row, view, spans in zip(pending, views, fresh, strict=True):
            found[row] += [view.origin(span) for span in spans]
        pending = [row for row, spans in zip(pending, fresh, strict=True) if spans]
        if not pending:
            break
    return [tuple(sorted(spans)) for spans in found]


def first_come(spans: Iterable[Span], text: str) -> list[Span]:
    """Return spans that do not overlap: of two that do, the earlier in the iterable stays whole.

    What the later one covers beside it is kept if it holds a letter or a digit, because all of it was recognized.
    """
    taken: list[Span] = []
    for span in spans:
        free = [span]
        for other in taken:
            free = [part for piece in free for part in _outside(piece, other)]
        taken += [part for piece in free if (part := _trimmed(piece, text))]
    return sorted(taken)


def _outside(piece: Span, other: Span) -> list[Span]:
    if other.end <= piece.start or piece.end <= other.start:
        return [piece]
    parts = [(piece.start, other.start), (other.end, piece.end)]
    return [Span(start, end, piece.kind) for start, end in parts if start < end]


def _trimmed(span: Span, text: str) -> Span | None:
    inside = [place for place in range(span.start, span.end) if text[place] not in f"{HIDDEN} \t\n,;"]
    if not any(text[place].isalnum() for place in inside):
        return None
    return Span(inside[0], inside[-1] + 1, span.kind)
