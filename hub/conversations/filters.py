"""Filters as people handle them: query parameters, chips that can be removed, and what the form shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from hub import texts
from hub.texts import conversations as words
from learning.browsing_records import Filter, FilterError

LIST = "/conversations"
LONGEST_QUERY = 4_000  # characters of a filter that a form sends back
# What the form has no field of its own for stays as a chip that can be removed, and goes along hidden.
LINKED_ONLY = ("person", "gap", "release", "again", "agent")


@dataclass(frozen=True)
class Chip:
    """One condition in words, with the address of the list without it."""

    name: str
    value: str
    without: str


@dataclass(frozen=True)
class Asked:
    """What a request asks for: the filter, and what is wrong with it in words, beside which field.

    A filter that cannot be used is left out; `typed` has what the person wrote all the same.
    """

    filter: Filter
    typed: dict[str, tuple[str, ...]]
    problem: str = ""
    wrong: str = ""

    @property
    def query(self) -> str:
        """The filter as a query string."""
        return query_of(self.filter)


def read(params: QueryParams) -> Asked:
    """Read the filter of a request, without what cannot be used."""
    given = [(name, value) for name, value in params.multi_items() if name in words.FIELDS]
    typed: dict[str, tuple[str, ...]] = {}
    for name, value in given:
        typed[name] = (*typed.get(name, ()), value)
    problem = wrong = ""
    while True:
        try:
            return Asked(Filter.from_params(given), typed, problem, wrong)
        except FilterError as error:
            bad = error.field
            if not problem:
                name = words.FIELDS[bad]
                problem = words.BAD_FILTER.format(name=name, what=error.what, next_step=error.next_step)
                wrong = bad
            given = [(name, value) for name, value in given if name != bad]


def as_params(query: str) -> QueryParams:
    """Return the parameters of a query string that a form has sent back."""
    return QueryParams(query[:LONGEST_QUERY])


def read_query(query: str) -> Filter:
    """Return the filter of a query string that a form has sent back; what cannot be used is left out."""
    return read(as_params(query)).filter


def query_of(wanted: Filter, *more: tuple[str, str]) -> str:
    """Return a filter, and further parameters, as a query string."""
    return urlencode([*wanted.to_params(), *more])


def address(path: str, query: str, fragment: str = "") -> str:
    """Return an address of this hub."""
    return f"{path}{'?' if query else ''}{query}{'#' if fragment else ''}{fragment}"


def chips(wanted: Filter) -> list[Chip]:
    """Return the conditions of a filter, each with the way to the list without it."""
    params = wanted.to_params()
    return [
        Chip(words.FIELDS[name], in_words(name, value), address(LIST, urlencode(params[:place] + params[place + 1 :])))
        for place, (name, value) in enumerate(params)
    ]


def sentence(wanted: Filter) -> str:
    """Return a filter in words."""
    return ", ".join(f"{words.FIELDS[name]} {in_words(name, value)}" for name, value in wanted.to_params())


def in_words(name: str, value: str) -> str:
    """Return a value of a filter as people call it."""
    known = texts.SIGNAL_KINDS if name == "signal" else words.VALUES.get(name, {})
    return known.get(value, value)


def hidden(wanted: Filter, names: Iterable[str] = LINKED_ONLY) -> list[tuple[str, str]]:
    """Return the parameters that go along hidden with the form."""
    chosen = frozenset(names)
    return [(name, value) for name, value in wanted.to_params() if name in chosen]
