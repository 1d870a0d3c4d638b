from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from learning.labels import LabelChanges, renamed
from learning.model import Example, ProposalKind
from tests.learning_builders import entry

MERGE, RETIRE = ProposalKind.MERGE, ProposalKind.RETIRE


def changes(*steps: tuple[str, str | None]) -> LabelChanges:
    """Each step is a label and what becomes of it, None for nothing; its entry is named e1, e2 and so on."""
    return LabelChanges.of(
        entry(number, entry_id=f"e{number}", kind=MERGE, label=to, target=label)
        if to
        else entry(number, entry_id=f"e{number}", kind=RETIRE, label=label)
        for number, (label, to) in enumerate(steps, 1)
    )


def test_nothing_has_changed_at_first() -> None:
    assert not changes()
    assert not LabelChanges.of([entry(kind=ProposalKind.REWORD, target="utter_a"), entry()])
    assert changes().now("a") == "a"


def test_chains_are_followed_to_their_end() -> None:
    found = changes(("a", "b"), ("b", "c"))

    assert (found.now("a"), found.now("b"), found.now("c")) == ("c", "c", "c")
    assert found.decided_by == {"a": "e2", "b": "e2"}
    assert not found.concern("c")


def test_what_became_a_retired_label_is_retired() -> None:
    found = changes(("a", "b"), ("b", None))

    assert (found.now("a"), found.retired, dict(found.renamed)) == (None, {"a", "b"}, {})
    assert found.decided_by["a"] == "e2"


def test_the_newest_decision_about_a_label_counts() -> None:
    assert changes(("a", None), ("a", "b")).now("a") == "b"
    assert changes(("a", "b"), ("a", None)).now("a") is None
    assert changes(("a", "b"), ("a", "c")).now("a") == "c"


def test_circles_are_refused() -> None:
    assert changes(("a", "b"), ("b", "c"), ("c", "a")).refused == ("e3",)
    assert changes(("a", "a")).refused == ("e1",)
    assert changes(("a", "b"), ("b", "a"), ("c", "a")).renamed == {"a": "b", "c": "b"}


def test_examples_get_the_labels_of_today() -> None:
    today = renamed([Example("x", "a"), Example("y", "b"), Example("z", "c")], changes(("a", "c"), ("b", None)))

    assert today == [Example("x", "c"), Example("z", "c")]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([*"abcde", None])), max_size=12))
def test_whatever_was_decided_every_label_has_one_end(steps: list[tuple[str, str | None]]) -> None:
    found = changes(*steps)

    for label in "abcde":
        now = found.now(label)
        assert now is None or found.now(now) == now
        assert now is None or not found.concern(now)
        assert found.concern(label) == (now != label)
    assert set(found.decided_by) == set(found.renamed) | found.retired
