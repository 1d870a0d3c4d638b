"""YAML as entries may have it: hostile documents are refused with a reason, never with another error."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.strict_yaml import MOST, Plain, StrictYamlError, read_strict


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "line "),
        ("a: &x [b]\nc: *x\n", "line 1: an anchor"),
        ("nlu: []\nnlu: []\n", "line 2: a key that stands there twice"),
        ("1: a\n", "line 1: a key that is no text"),
        ("<<: {a: b}\n", "line 1: a key that is no text"),
        ("a: b\n---\na: b\n", "line "),
        ('a: "\\ud800"\n', "half of a character"),
        ("[" * 5000, "RecursionError"),
        ("a" * (MOST + 1), "more than"),
    ],
)
def test_what_readers_could_differ_about_is_refused(text: str, said: str) -> None:
    with pytest.raises(StrictYamlError, match=said):
        read_strict(text)


@pytest.mark.parametrize("value", ["2024-13-45", "!!int x", "!!bool x", "!!timestamp x", "0b_", "1.0e+99999", "yes"])
def test_a_value_that_is_no_text_is_not_converted(value: str) -> None:
    found = read_strict(f"version: {value}\n")

    assert isinstance(found, dict)
    assert isinstance(found["version"], Plain)


def test_numbers_are_told() -> None:
    assert read_strict("a: 12\nb: '12'\n") == {"a": Plain("tag:yaml.org,2002:int", "12"), "b": "12"}
    assert Plain("tag:yaml.org,2002:int", "12").number == 12
    assert Plain("tag:yaml.org,2002:int", "x").number is None


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(StrictYamlError):
        read_strict(text)
