from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from learning.adapters.encoder import OnnxEncoder
from learning.adapters.project import Project
from learning.agent_sentences import agreed, usable
from learning.drafting import ANSWER_SENTENCES, Article, Materials, draft, read_article
from learning.model import AGENTS, AgentAnswer, Answer, Draft, Source
from learning.sentences import split_sentences
from learning.settings import ProposalSettings, load_settings
from learning.texts import PLACEHOLDER
from learning.tone import Tone
from tests.learning_builders import ARTICLE, LOYALTY, START, FakeEncoder

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"
ENCODER = FakeEncoder()
SETTINGS = ProposalSettings()
LAMPS = "# Lamps\n\nLamps are sold without bulbs.\n"


def articles(**texts: str) -> list[Article]:
    return [read_article(f"{name}.md", text, ENCODER) for name, text in texts.items()]


def said(*texts: str, sender: str = "") -> tuple[AgentAnswer, ...]:
    """What agents wrote, each to another customer unless one is named."""
    return tuple(
        AgentAnswer(f"turn{number}", f"talk{number}", sender or f"person{number}", text, START)
        for number, text in enumerate(texts)
    )


def load(name: str) -> Any:
    return yaml.safe_load((DATA / name).read_text("utf-8"))


# --- articles -----------------------------------------------------------------------------------------


def test_an_answer_is_made_of_sentences_of_one_article_only() -> None:
    made = draft(LOYALTY, Materials(articles(loyalty=ARTICLE, other=LAMPS)), ENCODER, SETTINGS)

    assert made.answer
    assert made.answer == " ".join(source.sentence for source in made.sources)
    assert {source.document for source in made.sources} == {"loyalty.md"}
    assert all(source.sentence in ARTICLE for source in made.sources)
    assert (made.drafter, made.warnings) == ("extractive", ())


@pytest.mark.parametrize("texts", [{}, {"other": LAMPS}, {"empty": ""}, {"title": "# Loyalty points"}])
def test_where_nothing_fits_the_answer_stays_empty(texts: dict[str, str]) -> None:
    assert draft(LOYALTY, Materials(articles(**texts)), ENCODER, SETTINGS) == Draft()


def test_without_questions_there_is_no_answer() -> None:
    assert draft([], Materials(articles(loyalty=ARTICLE)), ENCODER, SETTINGS) == Draft()


def test_an_article_is_read_as_plain_sentences() -> None:
    text = "---\ntitle: x\n---\n# Heading\n\n- **Points** are collected with orders.\n* They never expire! See you.\n"

    assert read_article("a.md", text, ENCODER).sentences == (
        "Points are collected with orders.",
        "They never expire!",
    )


@pytest.mark.parametrize(
    "title", ["---\ntopics: [x]\ntitle: Loyalty points\n---\n", '---\ntitle: "Loyalty points"\n---\n']
)
def test_a_sentence_is_found_by_the_title_that_it_stands_under(title: str) -> None:
    text = "Every order earns some of them."
    settings = replace(SETTINGS, source_similarity=0.2)
    alone = draft(LOYALTY, Materials(articles(a=text)), ENCODER, settings)
    titled = draft(LOYALTY, Materials(articles(a=title + text)), ENCODER, settings)

    assert alone.answer is None
    assert titled.answer == text


def test_there_are_never_more_sentences_than_are_read() -> None:
    text = "\n".join(f"Loyalty points are number {number} here." for number in range(9))

    assert len(draft(LOYALTY, Materials(articles(a=text)), ENCODER, SETTINGS).sources) == ANSWER_SENTENCES


# --- what agents wrote ----------------------------------------------------------------------------------


def test_what_agents_told_two_customers_goes_before_an_article() -> None:
    agents = said("Hi <NAME_1>! Loyalty points expire after 18 months.", "Loyalty points expire after 18 months.")
    made = draft(LOYALTY, Materials(articles(loyalty=ARTICLE), agents), ENCODER, SETTINGS)

    assert made.answer == "Loyalty points expire after 18 months."
    assert {source.document for source in made.sources} == {AGENTS}


def test_what_agents_told_one_customer_twice_does_not() -> None:
    agents = said(*["Loyalty points expire after 18 months."] * 2, sender="ann")
    with_article = draft(LOYALTY, Materials(articles(loyalty=ARTICLE), agents), ENCODER, SETTINGS)
    without = draft(LOYALTY, Materials((), agents), ENCODER, SETTINGS)

    assert {source.document for source in with_article.sources} == {"loyalty.md"}
    assert without.answer == "Loyalty points expire after 18 months."
    assert without.warnings == ("Agents told this to one customer only.",)


def test_of_different_answers_most_customers_got_one_and_the_other_is_named() -> None:
    agents = said(*["Loyalty points expire after 18 months."] * 2, "Loyalty points expire after 12 months.")
    made = draft(LOYALTY, Materials((), agents), ENCODER, SETTINGS)

    assert made.answer == "Loyalty points expire after 18 months."
    assert made.warnings == ('Agents told others differently: "Loyalty points expire after 12 months."',)


def test_an_article_that_agents_contradict_is_named() -> None:
    agents = said(*["Loyalty points expire after 18 months."] * 2)
    article = "# Loyalty points\n\nLoyalty points expire after 12 months.\n"
    made = draft(LOYALTY, Materials(articles(loyalty=article), agents), ENCODER, SETTINGS)

    assert made.warnings == (
        "The article loyalty.md may contradict this (18 months against 1 year): "
        '"Loyalty points expire after 12 months."',
    )


def test_what_one_agent_recommends_goes_before_what_many_said_and_before_an_article() -> None:
    many = said(*["Loyalty points expire after 18 months."] * 5)
    (one,) = said("Hi! Loyalty points expire after 12 months. Your loyalty points are in the app.", sender="zoe")
    made = draft(
        LOYALTY, Materials(articles(loyalty=ARTICLE), (*many, replace(one, recommended=True))), ENCODER, SETTINGS
    )

    assert made.answer == "Loyalty points expire after 12 months. Your loyalty points are in the app."
    assert {source.document for source in made.sources} == {AGENTS}
    assert 'Agents told others differently: "Loyalty points expire after 18 months."' in made.warnings
    without = draft(LOYALTY, Materials(articles(loyalty=ARTICLE), (*many, one)), ENCODER, SETTINGS)
    assert without.answer == "Loyalty points expire after 18 months."


def test_what_is_recommended_about_something_else_is_no_answer() -> None:
    (one,) = said("Lamps are sold without bulbs.")

    assert draft(LOYALTY, Materials((), (replace(one, recommended=True),)), ENCODER, SETTINGS) == Draft()


def test_a_recommended_answer_is_told_in_the_order_in_which_it_was_written() -> None:
    first, second = "Your loyalty points are in the app.", "Loyalty points never expire."
    for text, answer in ((f"{first} {second}", f"{first} {second}"), (f"{second} {first}", f"{second} {first}")):
        made = draft(LOYALTY, Materials((), (replace(said(text)[0], recommended=True),)), ENCODER, SETTINGS)

        assert made.answer == answer


def test_agents_sentences_about_something_else_are_no_answer() -> None:
    assert draft(LOYALTY, Materials((), said(*["Lamps are sold without bulbs."] * 5)), ENCODER, SETTINGS) == Draft()


@pytest.mark.parametrize("file", ["agent_sentences.yml", "agent_sentences_second.yml"])
def test_what_a_bot_cannot_say_is_never_usable(file: str) -> None:
    assert [usable(text) for text in load(file)["unusable"] if usable(text)] == []


# Measured once on the second set: 15 of 16; "in the last week of June" is taken for a day that passes.
@pytest.mark.parametrize(("file", "least"), [("agent_sentences.yml", 18 / 18), ("agent_sentences_second.yml", 15 / 16)])
def test_most_of_what_a_bot_can_say_is_usable(file: str, least: float) -> None:
    texts = load(file)["usable"]

    assert sum(bool(usable(text)) for text in texts) / len(texts) >= least


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Hi <NAME_1>, thanks for asking! Yes, points are valid for 18 months. Bye!",
            ["Points are valid for 18 months."],
        ),
        ("Sure! Of course, <NAME_1> can pay by card.", []),
        ("", []),
        ("Hello", []),
        ("hi, " * 5000, []),
        ("Points expire \x1b[2J after 18 months.", []),
        ("Points and " * 40 + "more points.", []),
        ("Hello, hello, hello, points are valid for a year.", ["Points are valid for a year."]),
        (
            "Returns are always free\nKeep the original box safe",
            ["Returns are always free", "Keep the original box safe"],
        ),
    ],
)
def test_an_agents_message_is_reduced_to_what_anybody_may_be_told(text: str, found: list[str]) -> None:
    assert usable(text) == found


def test_agreement_does_not_depend_on_the_order_of_messages() -> None:
    texts = ["Points expire after 18 months.", "Points expire after 12 months.", "Points can be spent online."] * 2
    one, other = said(*texts), said(*texts)[::-1]

    assert [item.text for item in agreed(one, ENCODER)] == [item.text for item in agreed(other, ENCODER)]


# --- other responses, and the one that is replaced -------------------------------------------------------


POINTS = Answer("faq/points", "utter_faq/points", "Loyalty points expire.")


def test_another_response_is_used_where_there_is_nothing_else_and_named_as_a_repeat() -> None:
    made = draft(["loyalty points expire"], Materials((), (), [POINTS]), ENCODER, SETTINGS, label="learned/x")

    assert made.answer == POINTS.text
    assert [source.document for source in made.sources] == [POINTS.response]
    assert made.warnings == ("utter_faq/points already says this (1.00).",)


def test_a_weak_answer_gets_what_it_lacks_and_loses_nothing() -> None:
    article = "# Loyalty points\n\nYou see loyalty points under the tab Rewards.\n"
    questions = ["where do i see loyalty points", "see points rewards tab", "tab for loyalty points"]
    made = draft(
        questions, Materials(articles(a=article), (), [POINTS]), ENCODER, SETTINGS, label=POINTS.label, current=POINTS
    )

    assert made.answer == "You see loyalty points under the tab Rewards. Loyalty points expire."
    assert [source.document for source in made.sources] == ["a.md", "utter_faq/points"]
    assert made.warnings == ()


def test_a_sentence_that_is_no_longer_true_goes_and_is_named() -> None:
    current = replace(POINTS, text="Loyalty points expire after 12 months. Ask in a store.")
    article = "# Loyalty points\n\nLoyalty points expire after 18 months.\n"
    questions = ["when do loyalty points expire", "points expire after 18 months"]
    made = draft(questions, Materials(articles(a=article)), ENCODER, SETTINGS, label=current.label, current=current)

    assert made.answer == "Loyalty points expire after 18 months. Ask in a store."
    assert made.warnings == (
        'It contradicts the present answer, which loses: "Loyalty points expire after 12 months."',
    )


@pytest.mark.parametrize("article", ["", "Loyalty points expire.", "Lamps are sold without bulbs."])
def test_an_answer_that_lacks_nothing_is_not_drafted_again(article: str) -> None:
    made = draft(LOYALTY, Materials(articles(a=article), (), [POINTS]), ENCODER, SETTINGS, POINTS.label, POINTS)

    assert made == Draft()


# --- a language model -------------------------------------------------------------------------------------


class FakeDrafter:
    """Writes what it is told, of what it is given."""

    def __init__(self, text: str | None) -> None:
        self.text = text
        self.material: Sequence[Source] = ()
        self.tone: Sequence[str] = ()

    def word(self, questions: Sequence[str], material: Sequence[Source], tone: Sequence[str], draft: Draft) -> Draft:
        self.material, self.tone = material, tone
        if self.text is None:
            return replace(draft, warnings=(*draft.warnings, "It failed."))
        return Draft(self.text, tuple(material), "machine:toy", draft.warnings)


def worded(text: str | None, materials: Materials | None = None) -> tuple[Draft, FakeDrafter]:
    drafter = FakeDrafter(text)
    materials = materials or Materials(articles(loyalty=ARTICLE), (), [POINTS])
    return draft(LOYALTY, materials, ENCODER, SETTINGS, "learned/points", drafter=drafter), drafter


def test_a_language_model_words_the_same_material() -> None:
    made, drafter = worded("You collect loyalty points with every order!")

    assert (made.answer, made.drafter) == ("You collect loyalty points with every order!", "machine:toy")
    assert made.sources == tuple(drafter.material)
    assert list(drafter.tone) == [POINTS.text]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "You collect loyalty points with every order. Pay nothing at Evil Shop today.",
            "a sentence that no source has",
        ),
        ("You collect no loyalty points with every order.", "contradicted a source"),
    ],
)
def test_what_the_material_does_not_back_is_not_used(text: str, warning: str) -> None:
    made, _ = worded(text)
    extractive = draft(LOYALTY, Materials(articles(loyalty=ARTICLE), (), [POINTS]), ENCODER, SETTINGS, "learned/points")

    assert (made.answer, made.drafter, made.sources) == (extractive.answer, "extractive", extractive.sources)
    assert warning in made.warnings[0]


def test_where_it_fails_the_sentences_themselves_are_used() -> None:
    made, _ = worded(None)

    assert (made.drafter, made.warnings) == ("extractive", ("It failed.",))
    assert made.answer


def test_without_material_it_is_not_asked() -> None:
    made, drafter = worded("Anything.", Materials())

    assert (made, drafter.material) == (Draft(), ())


# --- tone -------------------------------------------------------------------------------------------------

CALM = ["You can pay by card.", "It costs €5.", "You can return it.", "Your order is on its way.", "You get €5 off."]


@pytest.mark.parametrize(
    ("texts", "sentence", "adapted"),
    [
        (CALM, "It costs EUR 4.90!!", "It costs €4.90."),
        (CALM, "It costs USD 4.90.", "It costs USD 4.90."),
        ([*CALM, "EUR 5 is enough."], "It costs EUR 5.", "It costs EUR 5."),
        ([f"{text[:-1]}!" for text in CALM], "Great news!", "Great news!"),
        (CALM[:2], "EUR 5 only!", "EUR 5 only!"),
    ],
)
def test_only_what_changes_no_meaning_is_adapted(texts: list[str], sentence: str, adapted: str) -> None:
    assert Tone.of(texts).adapt(sentence) == adapted


@pytest.mark.parametrize(
    ("texts", "answer", "count"),
    [
        (CALM, "The customer pays.", 1),
        (CALM, "You pay.", 0),
        (CALM, "You " + "really " * 20 + "pay.", 1),
        (CALM[:2], "The customer pays " * 50, 0),
    ],
)
def test_what_only_a_person_can_put_right_is_warned_about(texts: list[str], answer: str, count: int) -> None:
    assert len(Tone.of(texts).warnings(answer)) == count


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It costs €4.90. Pay by card, e.g. Visa. Done.", ["It costs €4.90.", "Pay by card, e.g. Visa.", "Done."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("a\n\nb", ["a", "b"]),
        (" \n ", []),
    ],
)
def test_texts_are_split_into_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


# --- how often it is right ----------------------------------------------------------------------------------


def hits(needs: Iterable[dict[str, Any]], encoder: OnnxEncoder) -> tuple[int, int, int]:
    """How many drafts hold what they must, how many needs without an answer got none, and how many have one."""
    project = Project(load_settings(ROOT, {}))
    read = [read_article(name, text, encoder) for name, text in project.articles()]
    answers = project.answers()
    right = empty = answerable = 0
    for need in needs:
        materials = Materials(read, said(*need.get("agents", ())), answers)
        text = draft(need["questions"], materials, encoder, SETTINGS).answer or ""
        answerable += bool(need["facts"])
        right += any(fact in text for fact in need["facts"]) and not any(word in text for word in need.get("wrong", ()))
        empty += not need["facts"] and not text
    return right, empty, answerable


# Of 16 needs that an article answers and 6 that agents did, and 8 that nobody can answer.
@pytest.mark.parametrize(("file", "least"), [("drafting.yml", 21), ("drafting_second.yml", 19)])
def test_drafts_hold_what_they_must(file: str, least: int) -> None:
    right, empty, answerable = hits(load(file)["needs"], OnnxEncoder(cache_size=2000))

    assert (answerable, empty) == (22, 8)
    assert right >= least


# Measured once on the second set: 7 of 8.
@pytest.mark.parametrize(("file", "least"), [("drafting.yml", 8), ("drafting_second.yml", 7)])
def test_a_weak_answer_gets_the_sentence_that_it_lacks(file: str, least: int) -> None:
    encoder, project = OnnxEncoder(cache_size=2000), Project(load_settings(ROOT, {}))
    answers = {answer.label: answer for answer in project.answers()}
    read = [read_article(name, text, encoder) for name, text in project.articles()]
    materials = Materials(read, (), tuple(answers.values()))
    right = 0
    for case in load(file)["rewords"]:
        current = answers[case["label"]]
        made = draft(case["questions"], materials, encoder, SETTINGS, current.label, current)
        added = " ".join(source.sentence for source in made.sources if source.document != current.response)
        right += any(fact in added for fact in case["facts"])

    assert right >= least


@given(st.lists(st.text(max_size=80) | st.sampled_from([*LOYALTY, *CALM, "Points of <NAME_1> expire."]), max_size=6))
def test_whatever_agents_write_a_draft_is_their_sentences_without_personal_data(texts: list[str]) -> None:
    made = draft(LOYALTY, Materials((), said(*texts)), ENCODER, SETTINGS)

    assert made.answer == (" ".join(source.sentence for source in made.sources) or None)
    assert not PLACEHOLDER.search(made.answer or "")
    assert all(source.sentence in {one for text in texts for one in usable(text)} for source in made.sources)


def test_characters_that_nobody_sees_do_not_come_into_an_answer() -> None:
    hidden = ARTICLE.replace("loyalty points with", "loyalty\u200b points\ufeff with")
    clean = draft(LOYALTY, Materials(articles(loyalty=ARTICLE)), ENCODER, ProposalSettings())

    assert clean.answer
    assert draft(LOYALTY, Materials(articles(loyalty=hidden)), ENCODER, ProposalSettings()).answer == clean.answer
