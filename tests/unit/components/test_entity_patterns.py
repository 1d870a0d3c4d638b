"""The regexes of data/nlu, as RegexEntityExtractor uses them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[3]


def _patterns() -> dict[str, re.Pattern[str]]:
    found = {}
    for name in ("entities.yml", "products.yml"):
        for item in yaml.safe_load((ROOT / "data" / "nlu" / name).read_text("utf-8"))["nlu"]:
            [line] = item["examples"].strip().splitlines()
            found[item["regex"]] = re.compile(line.removeprefix("- "), re.IGNORECASE)
    return found


PATTERNS = _patterns()


def found(text: str) -> list[tuple[str, str]]:
    """What the regexes find, in order of appearance."""
    spans = [(match.start(), name, match.group()) for name, regex in PATTERNS.items() for match in regex.finditer(text)]
    return [(name, words) for _, name, words in sorted(spans)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it came on May 6th, 2024", ["May 6th, 2024"]),
        ("due 12/04/2023 or 2024-03-09", ["12/04/2023", "2024-03-09"]),
        ("ordered the day before yesterday", ["the day before yesterday"]),
        ("on the 2nd of March", ["the 2nd of March"]),
        ("since march, by sat", ["march", "sat"]),
        ("may I march up to the sun lounger and sat down", []),
        ("the 3rd parcel on the 3rd floor, 24/7, 3-5 days, in 9 days", []),
        ("christmas paper for christmas", ["christmas"]),
    ],
)
def test_dates(text: str, expected: list[str]) -> None:
    assert [words for name, words in found(text) if name == "date"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("€25, $ 12.50, EUR 1,249.00 and 79,90 €", ["€25", "$ 12.50", "EUR 1,249.00", "79,90 €"]),
        ("forty-five euros or two hundred and fifty dollars", ["forty-five euros", "two hundred and fifty dollars"]),
        ("my card shows -54.20.", ["54.20"]),
        ("20% off, 1.20 m, at 14.30 h, 10.05.2024, version 1.2", []),
    ],
)
def test_money(text: str, expected: list[str]) -> None:
    assert [words for name, words in found(text) if name == "money"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a folding camp chair and two oak table lamps", ["folding camp chair", "oak table lamps"]),
        ("the kettle, the benches and the shelves", ["kettle", "benches", "shelves"]),
        ("a bag in my basket, front desk, help desk, off to bed", []),
        ("throw it away, but keep the throw", ["throw"]),
        ("write to table.lamp@tent.example", []),
        ("Two-person tent", ["Two-person tent"]),
    ],
)
def test_products(text: str, expected: list[str]) -> None:
    assert [words for name, words in found(text) if name == "product"] == expected


def test_every_product_of_the_shop_is_known() -> None:
    from shop.seed import CATALOG

    for _, title, _ in CATALOG:
        assert found(title) == [("product", title)]


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.text(alphabet="the 1st of may 12/$€.,-#@tn", max_size=80)))
@example(text="two hundred and " * 600)
@example(text="garden table " * 800)
@example(text="1" * 10_000)
@example(text="the start of the " * 600)
def test_any_text_is_searched_in_bounded_time(text: str) -> None:
    assert all(words for _, words in found(text))
