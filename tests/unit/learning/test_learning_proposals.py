from __future__ import annotations

import pytest

from learning.model import GapKind, Proposal, ProposalKind
from learning.proposals import learned_label, propose, read_article
from learning.review import LEARNED_KEY
from learning.settings import ProposalSettings
from tests.learning_builders import ARTICLE, LOYALTY, START, FakeEncoder, failed_turns, gap

ENCODER = FakeEncoder()
SETTINGS = ProposalSettings()


def propose_for(texts: tuple[str, ...], articles: dict[str, str] | None = None, **more: object) -> Proposal | None:
    read = [read_article(name, text, ENCODER) for name, text in (articles or {}).items()]
    return propose(gap(**more), failed_turns(texts), read, ENCODER, SETTINGS, START)


def test_an_answer_is_made_of_sentences_of_one_article_only() -> None:
    proposal = propose_for(LOYALTY, {"loyalty.md": ARTICLE, "other.md": "# Lamps\n\nLamps are sold without bulbs.\n"})

    assert proposal is not None
    assert proposal.answer
    assert proposal.answer == " ".join(source.sentence for source in proposal.sources)
    assert {source.document for source in proposal.sources} == {"loyalty.md"}
    assert all(source.sentence in ARTICLE for source in proposal.sources)


@pytest.mark.parametrize("articles", [{}, {"other.md": "# Lamps\n\nLamps are sold without bulbs.\n"}, {"empty.md": ""}])
def test_where_no_article_fits_the_answer_stays_empty(articles: dict[str, str]) -> None:
    proposal = propose_for(LOYALTY, articles)

    assert proposal is not None
    assert (proposal.answer, proposal.sources) == (None, ())


def test_an_article_is_read_as_plain_sentences() -> None:
    text = "---\ntitle: x\n---\n# Heading\n\n- **Points** are collected with orders.\n* They never expire! See you.\n"

    assert read_article("a.md", text, ENCODER).sentences == (
        "Points are collected with orders.",
        "They never expire!",
    )


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
    proposal = propose_for(LOYALTY[:1], {"a.md": ARTICLE}, kind=GapKind.EXISTING_INTENT, intent="faq/hours")

    assert proposal is not None
    assert (proposal.kind, proposal.label, proposal.answer) == (ProposalKind.EXAMPLES, "faq/hours", None)


def test_there_are_never_more_examples_than_the_settings_allow() -> None:
    proposal = propose_for(tuple(f"loyalty points {chr(97 + number)}x" for number in range(26)) * 2)

    assert proposal is not None
    assert len(proposal.examples) == SETTINGS.max_examples


def test_the_score_is_the_sum_of_its_parts_between_0_and_100() -> None:
    proposal = propose_for(LOYALTY, {"loyalty.md": ARTICLE})

    assert proposal is not None
    assert sum(part.share for part in proposal.score_parts) == pytest.approx(1)
    assert all(0 <= part.value <= 1 for part in proposal.score_parts)
    assert 0 <= proposal.score <= 100


def test_the_same_gap_makes_the_same_proposal() -> None:
    assert propose_for(LOYALTY, {"a.md": ARTICLE}) == propose_for(LOYALTY, {"a.md": ARTICLE})


@pytest.mark.parametrize("name", ["loyalty points", "don't work", "", "???", "größe straße", "a" * 500, "_x_", "can’t"])
def test_a_suggested_name_can_be_approved(name: str) -> None:
    assert LEARNED_KEY.fullmatch(learned_label(name))
