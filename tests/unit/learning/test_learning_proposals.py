from __future__ import annotations

import pytest

from learning.model import Answer, Draft, GapKind, Proposal, ProposalKind, Source
from learning.proposals import learned_label, propose
from learning.review import LEARNED_KEY
from learning.settings import ProposalSettings
from tests.learning_builders import LOYALTY, START, FakeEncoder, failed_turns, gap

ENCODER = FakeEncoder()
SETTINGS = ProposalSettings()


SENTENCE = "You collect loyalty points with every order."
DRAFT = Draft(SENTENCE, (Source("loyalty.md", SENTENCE, 0.6),), warnings=("It is long.",))


def propose_for(texts: tuple[str, ...], draft: Draft = DRAFT, **more: object) -> Proposal | None:
    return propose(gap(**more), failed_turns(texts), draft, ENCODER, SETTINGS, START)


def test_a_new_need_gets_the_answer_that_was_drafted() -> None:
    proposal = propose_for(LOYALTY)

    assert proposal is not None
    assert (proposal.kind, proposal.answer, proposal.sources) == (ProposalKind.ANSWER, DRAFT.answer, DRAFT.sources)
    assert (proposal.drafter, proposal.warnings) == (DRAFT.drafter, DRAFT.warnings)


def test_examples_hold_no_placeholders_and_nothing_twice() -> None:
    texts = (*LOYALTY[:3], LOYALTY[0].upper(), "loyalty points for <ORDER_1>", "<EMAIL_1>", "do [you](x) have points")
    proposal = propose_for(texts)

    assert proposal is not None
    assert not any("<" in example or "[" in example for example in proposal.examples)
    assert len({example.casefold() for example in proposal.examples}) == len(proposal.examples)
    assert "loyalty points for" not in proposal.examples  # there are enough without personal data


def test_texts_with_personal_data_are_used_where_there_is_little_else() -> None:
    proposal = propose_for(("points for <ORDER_1>", "points of <ORDER_1> missing", "loyalty <NAME_1> points"))

    assert proposal is not None
    assert set(proposal.examples) == {"points for", "points of missing", "loyalty points"}


@pytest.mark.parametrize("texts", [(), ("<ORDER_1>", "???", "👍"), LOYALTY[:2], (LOYALTY[0],) * 5])
def test_too_little_text_makes_no_proposal(texts: tuple[str, ...]) -> None:
    assert propose_for(texts) is None


def test_a_known_intent_gets_examples_and_no_answer() -> None:
    proposal = propose_for(LOYALTY[:1], kind=GapKind.EXISTING_INTENT, intent="faq/hours")

    assert proposal is not None
    assert (proposal.kind, proposal.label, proposal.answer) == (ProposalKind.EXAMPLES, "faq/hours", None)
    assert (proposal.sources, proposal.drafter, proposal.warnings) == ((), "", ())


def test_there_are_never_more_examples_than_the_settings_allow() -> None:
    proposal = propose_for(tuple(f"loyalty points {chr(97 + number)}x" for number in range(26)) * 2)

    assert proposal is not None
    assert len(proposal.examples) == SETTINGS.max_examples


def test_a_proposal_has_no_score_before_it_was_tried() -> None:
    proposal = propose_for(LOYALTY)

    assert proposal is not None
    assert (proposal.score, proposal.score_parts, proposal.replay) == (0, (), None)


def test_a_weak_answer_is_reworded_where_one_response_gives_it() -> None:
    current = Answer("faq/points", "utter_faq/points", "Points exist.")
    known = propose(
        gap(kind=GapKind.WEAK_ANSWER, intent="faq/points"),
        failed_turns(LOYALTY[:1]),
        DRAFT,
        ENCODER,
        SETTINGS,
        START,
        current,
    )

    assert known is not None
    assert (known.kind, known.label, known.target) == (ProposalKind.REWORD, "faq/points", "utter_faq/points")
    assert (known.answer, known.sources) == (DRAFT.answer, DRAFT.sources)
    assert propose_for(LOYALTY, kind=GapKind.WEAK_ANSWER, intent="track_order") is None


def test_the_same_gap_makes_the_same_proposal() -> None:
    assert propose_for(LOYALTY) == propose_for(LOYALTY)


@pytest.mark.parametrize("name", ["loyalty points", "don't work", "", "???", "größe straße", "a" * 500, "_x_", "can’t"])
def test_a_suggested_name_can_be_approved(name: str) -> None:
    assert LEARNED_KEY.fullmatch(learned_label(name))
