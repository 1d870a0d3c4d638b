from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.slack_text import LONGEST_SECTION, Place, choices, escaped, parts, plain

IDS = st.text("ABCDU0123456789", min_size=2, max_size=11)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("<@U0BOT> where is my order", "where is my order"),
        ("<@U0BOT|bot> hi", "hi"),
        ("mail <mailto:a@b.example|a@b.example> please", "mail a@b.example please"),
        ("see <https://x.example/a|this page>", "see this page"),
        ("see <https://x.example/a>", "see https://x.example/a"),
        ("a &lt; b &amp;&amp; c", "a < b && c"),
        ("hello <!channel> and <#C1|general>", "hello and"),
    ],
)
def test_slacks_markup_is_taken_off(typed: str, read: str) -> None:
    assert plain(typed) == read


@given(st.text())
def test_what_is_said_comes_back_as_it_was(text: str) -> None:
    assert "<" not in escaped(text)
    shown = plain(escaped(text))
    assert shown.split() == text.split() or "&" in text  # `&lt;` typed by somebody may be read as what it stands for


@given(st.text(min_size=1, max_size=4 * LONGEST_SECTION))
def test_parts_fit_and_lose_nothing_but_blanks(text: str) -> None:
    found = parts(text)
    assert all(0 < len(part) <= LONGEST_SECTION for part in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@given(IDS, IDS, st.sampled_from(["", "1700000000.000100"]))
def test_a_place_is_found_again_from_its_conversation(user: str, channel: str, thread: str) -> None:
    for place in (Place(user), Place(user, channel, thread)):
        assert Place.parse(place.conversation_id) == place


def test_buttons_fit_into_what_slack_takes() -> None:
    buttons = [{"title": f"choice {number} {'x' * 80}", "payload": "/affirm"} for number in range(30)]
    rows = choices([*buttons, {"title": "too much", "payload": "/" + "x" * 2_000}, {"title": "", "payload": "/a"}])
    assert [len(row["elements"]) for row in rows] == [25, 5]
    assert all(len(element["text"]["text"]) <= 75 for row in rows for element in row["elements"])
    assert len({element["action_id"] for row in rows for element in row["elements"]}) == 30
