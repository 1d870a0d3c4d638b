"""Replay against what else is live, of every kind of proposal, and of messages that no entry catches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from learning.gaps import Known
from learning.model import ProposalKind, Replay
from learning.replay import SHOWN, Live, Messages, can_be_captured, replay
from tests.learning_builders import LOYALTY, NLU, FakeEncoder, entry, proposal

ENCODER = FakeEncoder()
PAIRS = [(label, text) for label, texts in NLU.items() for text in texts]
TEXTS = [text for _, text in PAIRS]
KNOWN = Known.from_examples([label for label, _ in PAIRS], TEXTS, ENCODER.encode(TEXTS))
OTHER = entry(7, label="learned/points", examples=LOYALTY[:6])


def messages(texts: Sequence[str], labels: Sequence[str] = (), live: Live | None = None) -> Messages:
    return Messages.of(texts, KNOWN, ENCODER, labels, live)


def run(
    failures: Sequence[str] = (),
    successes: Sequence[tuple[str, str]] = (),
    live: Live | None = None,
    same_answers: Sequence[str] = (),
    failure_labels: Sequence[str] = (),
    **changes: object,
) -> Replay:
    texts, labels = [text for text, _ in successes], [label for _, label in successes]
    return replay(
        proposal(**changes),
        messages(failures, failure_labels, live),
        messages(texts, labels, live),
        ENCODER,
        same_answers,
    )


# --- what else is live --------------------------------------------------------------------------


def test_what_a_nearer_live_entry_has_is_neither_fixed_nor_broken() -> None:
    live = Live.of([OTHER], ENCODER)
    texts = ("loyalty points card", "the card of my loyalty points")
    went_well = [(text, "learned/points") for text in texts]
    near = {"examples": ("loyalty card number", "loyalty card lost")}

    assert run(texts, went_well, **near).fixed == 2  # it would have both, were there nothing else
    result = run(texts, went_well, live, **near)

    assert (result.fixed, result.broken) == (0, 0)


def test_a_message_goes_from_a_live_entry_to_a_nearer_proposal() -> None:
    live = Live.of([replace(OTHER, examples=("loyalty card", "loyalty card lost"))], ENCODER)
    result = run(["loyalty points please"], [("loyalty points please", "learned/points")], live, examples=LOYALTY[:6])

    assert (result.fixed, result.broken, result.broken_labels) == (1, 1, ("learned/points",))


def test_more_examples_for_what_a_live_entry_gives_already_fix_nothing() -> None:
    live = Live.of([OTHER], ENCODER)

    assert run(["loyalty points"], live=live, label=OTHER.label, examples=LOYALTY[6:]).fixed == 0


def test_an_example_of_a_live_entry_stays_with_it() -> None:
    live = Live.of([replace(OTHER, examples=("loyalty points", "zebra crossing"))], ENCODER)
    result = run(
        [], [("loyalty points", "learned/points")], live, examples=("loyalty points now", "loyalty points here")
    )

    assert result.broken == 0


def test_entries_without_examples_catch_nothing() -> None:
    retired = replace(OTHER, kind=ProposalKind.RETIRE)

    assert Live.of([retired], ENCODER).labels == ()
    assert run(["loyalty points"], live=Live.of([retired], ENCODER)).fixed == 1


def test_some_messages_keep_what_was_measured_of_them() -> None:
    live = Live.of([OTHER], ENCODER)
    every = messages(["loyalty points", "reset password", "a goat"], ["a", "b", "c"], live)
    some = every.take([2, 0])

    assert (some.texts, some.labels) == (("a goat", "loyalty points"), ("c", "a"))
    assert some.entry.tolist() == [every.entry[2], every.entry[0]]
    assert some.closest_labels == (every.closest_labels[2], every.closest_labels[0])


# --- messages -----------------------------------------------------------------------------------


def test_messages_without_words_or_of_personal_data_alone_are_never_caught() -> None:
    caught = run(["<ORDER_1>", "??", "<EMAIL_1> <ORDER_2>!"], [("<ORDER_1>", "inform")], examples=("12345", "order"))

    assert (caught.fixed, caught.broken) == (0, 0)
    assert not can_be_captured("<ORDER_1> ...")
    assert can_be_captured("order <ORDER_1>")


def test_what_went_well_breaks_by_the_very_same_example() -> None:
    # Only failures are replayed leave-one-out: a proposal with "howdy friend" among its examples takes that greeting.
    result = run([], [("howdy friend", "greet")], examples=("howdy friend", "loyalty points"))

    assert (result.broken, result.broken_texts, result.broken_labels) == (1, ("howdy friend",), ("greet",))


def test_what_went_well_with_the_same_label_cannot_break() -> None:
    result = run(
        [], [("where is the parcel", "track_order")], label="track_order", examples=("the parcel", "parcel where")
    )

    assert (result.successes, result.broken) == (1, 0)


def test_failures_that_are_understood_so_already_need_no_fixing() -> None:
    failures = ["loyalty points please", "my loyalty points"]
    result = run(failures, failure_labels=["nlu_fallback", "faq/points"], label="faq/points", examples=LOYALTY[:5])

    assert result.fixed == 1


def test_the_only_example_is_nothing_without_itself() -> None:
    assert run(["quantum flux"], examples=("quantum flux",)).fixed == 0


# --- kinds --------------------------------------------------------------------------------------

WENT_WELL = [("where is it", "track_order"), ("is it there", "track_order"), ("new password", "reset_password")]


def test_a_rewording_reaches_its_failures_and_breaks_nothing() -> None:
    result = run(
        ["where is it now", "asdf"],
        WENT_WELL,
        failure_labels=["track_order", "greet"],
        kind=ProposalKind.REWORD,
        label="track_order",
        target="utter_track_order",
    )

    assert (result.failures, result.fixed) == (2, 1)
    assert (result.broken, result.changed) == (0, 2)


def test_a_merge_breaks_what_went_well_with_the_label_that_goes() -> None:
    merge = {"kind": ProposalKind.MERGE, "label": "reset_password", "target": "track_order"}
    result = run([], WENT_WELL, **merge)

    assert (result.broken, result.broken_labels) == (2, ("track_order", "track_order"))
    assert run([], WENT_WELL, same_answers=["track_order"], **merge).broken == 0


def test_a_retirement_breaks_what_went_well_with_its_label() -> None:
    result = run(["new password"], WENT_WELL, kind=ProposalKind.RETIRE, label="reset_password", answer=None)

    assert (result.fixed, result.broken, result.broken_texts) == (0, 1, ("new password",))


# --- what always holds --------------------------------------------------------------------------

WORDS = st.lists(
    st.sampled_from(["loyalty", "points", "parcel", "password", "goat", "where", "my", "is", "<ORDER_1>"]), max_size=5
)
SENTENCES = st.lists(WORDS.map(" ".join), max_size=6)


@given(
    kind=st.sampled_from(ProposalKind),
    failures=SENTENCES,
    successes=st.lists(st.tuples(WORDS.map(" ".join), st.sampled_from([*NLU, "learned/question_1"])), max_size=6),
    examples=st.lists(WORDS.map(" ".join).filter(bool), min_size=1, max_size=4, unique=True),
    is_live=st.booleans(),
)
def test_counts_are_never_more_than_there_are_messages(
    kind: ProposalKind,
    failures: list[str],
    successes: list[tuple[str, str]],
    examples: list[str],
    is_live: bool,
) -> None:
    live = Live.of([OTHER], ENCODER) if is_live else None
    result = run(failures, successes, live, kind=kind, examples=tuple(examples), target="track_order")

    assert (result.failures, result.successes) == (len(failures), len(successes))
    assert 0 <= result.fixed <= result.failures
    assert 0 <= result.broken + result.changed <= result.successes
    assert len(result.broken_texts) == len(result.broken_labels) == min(result.broken, SHOWN)
    assert all(
        (text, label) in successes for text, label in zip(result.broken_texts, result.broken_labels, strict=True)
    )
    if kind is not ProposalKind.RETIRE:
        assert "learned/question_1" not in result.broken_labels


@given(texts=st.lists(WORDS.map(" ".join), min_size=1, max_size=5), examples=st.permutations(LOYALTY[:5]))
def test_the_order_of_examples_does_not_matter(texts: list[str], examples: list[str]) -> None:
    assert run(texts, examples=tuple(examples)) == run(texts, examples=LOYALTY[:5])


def test_more_examples_count_together_with_those_of_the_label_that_are_live() -> None:
    """One message is near to one old and one new example, and to no two of either."""
    kind = {"kind": ProposalKind.EXAMPLES, "label": "learned/skiing", "answer": None}
    live = Live.of([entry(8, label="learned/skiing", examples=("glacier skiing", "zebra lift"))], ENCODER)
    more = {**kind, "examples": ("skiing holidays", "unlike anything")}

    assert run(["glacier skiing holidays"], live=live, **more).fixed == 1
    assert run(["glacier skiing holidays"], live=None, **more).fixed == 0


def test_entries_of_one_label_are_one_in_what_is_live() -> None:
    same = [entry(number, label="learned/skiing", examples=(f"skiing {number}",)) for number in (1, 2)]
    live = Live.of([*same, OTHER], ENCODER)

    assert live.labels == ("learned/skiing", "learned/points")
    assert live.owners.tolist() == [0, 0, *[1] * len(OTHER.examples)]
    assert len(live.of_label("learned/skiing")) == 2
    assert len(live.of_label("learned/none")) == 0
