from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from learning.adapters.encoder import OnnxEncoder
from learning.errors import SettingsError
from learning.settings import AutonomySettings
from learning.topic_words import WordList, plain_letters, read
from learning.topics import Exclusion, Topics, read_topics
from tests.learning_builders import FakeEncoder

WORDS = WordList(
    ["refund*", "price", "fee", "doctor*", "lawyer*", "discount*", "password*", "how_much", "€"],
    innocent=["prince", "layer", "fees"],
    foreign=["preis*"],
)
PARCELS = (
    "where is my parcel",
    "when does my parcel arrive",
    "has the parcel left the warehouse yet",
    "the tracking page shows no parcel",
    "which carrier brings my parcel",
)
TENTS = (
    "how many pegs are in the bag",
    "which pole goes into the front of the tent",
    "can two people sleep in the small tent",
    "how do i get the tent back into its bag",
    "does the tent stand in strong wind",
)
DEV = Path(__file__).parents[2] / "data" / "excluded_dev.yml"


@pytest.fixture(scope="module")
def topics() -> Topics:
    return Topics(AutonomySettings(), OnnxEncoder(cache_size=5000))


def found(text: str) -> str | None:
    return WORDS.find(read(text))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("What is the PRICE?", "price"),
        ("refunded yet?", "refund"),
        ("what about a pr1ce", "price"),
        ("your p@$$word page", "password"),
        ("i want a r e f u n d", "refund"),
        ("p.r.i.c.e list", "price"),
        ("re fund me", "refund"),
        ("re-fund me", "refund"),
        ("a la wy er please", "lawyer"),
        ("refuuuuund", "refund"),
        ("see a docter", "doctor"),
        ("a refnud please", "refund"),
        ("the lawer said", "lawyer"),
        ("dokktor", "doctor"),
        ("the tnuocsid", "discount"),
        ("rfnd me", "refund"),
        ("f**k the ref*nd", "refund"),
        ("iwantmyrefundnow", "refund"),
        ("ＰＲＩＣＥ", "price"),
        ("ⓟⓡⓘⓒⓔ list", "price"),
        ("🅿🆁🅸🅲🅴 list", "price"),
        ("рriсe with Cyrillic letters", "price"),
        ("pri\u200bce", "price"),
        ("príce", "price"),
        ("how, much then", "how much"),
        ("5 €", "€"),
        ("welcher Preis", "preis"),
    ],
)
def test_a_listed_word_is_found_in_every_disguise(text: str, word: str) -> None:
    assert found(text) == word


@pytest.mark.parametrize(
    "text",
    [
        "the prince of a lamp",
        "one more layer of paint",
        "coffee please",  # `fee` is a word of its own
        "where is my parcel",
        "much is to be said about how",
        "order 10342 has 2 items",
        "meet me on 3/6 - 3/9",
        "presence of mind",  # foreign words are looked up as they are
        "",
    ],
)
def test_words_that_only_resemble_a_listed_one_are_left_alone(text: str) -> None:
    assert found(text) is None


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("сколько это стоит", "letters of another script"),
        ("多少钱", "letters of another script"),
        ("g i v e m e", "words spelled out letter by letter"),
        ("?!?! :-( x", "hardly any letters"),
        ("hw cn y pss ths", "words without vowels"),
        ("wie viel ist das", "another language"),
        ("where is my parcel", ""),
        ("order 10342", ""),
        ("i need a die for my board game", ""),
        ("it's 18:30 o'clock", ""),
    ],
)
def test_what_cannot_be_read_is_in_doubt(text: str, doubt: str) -> None:
    assert read(text, read_topics().other_languages).doubt == doubt


def test_plain_letters_keep_what_is_plain() -> None:
    assert plain_letters("Where is my 2nd parcel?") == "where is my 2nd parcel?"


@pytest.mark.parametrize(
    "label", ["faq/shipping_cost", "refund_status", "complaint", "learned/lawyer", "reset_password"]
)
def test_a_label_named_after_a_topic_is_excluded(label: str) -> None:
    excluded = Topics(AutonomySettings(), FakeEncoder()).by_label(label)

    assert excluded is not None
    assert excluded.by == "label"


def test_harmless_labels_are_not() -> None:
    topics = Topics(AutonomySettings(), FakeEncoder())

    assert [topics.by_label(label) for label in ("track_order", "faq/opening_hours", "learned/garden_tents")] == [
        None
    ] * 3


def test_messages_about_parcels_pass(topics: Topics) -> None:
    assert topics.find("learned/parcels", PARCELS, "Your parcel leaves our warehouse on the next day.") is None


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("how deep into my pocket do i reach for the lamp", "pricing"),
        ("somebody ordered things in my name", "security"),
        ("get me whoever runs this place, at once", "complaints"),
        ("my belly turns since i ate from that plate", "medical"),
    ],
)
def test_a_paraphrase_without_any_listed_word_is_excluded(topics: Topics, text: str, topic: str) -> None:
    excluded = topics.find("learned/question", [text])

    assert topics.by_word([text]) is None
    assert excluded is not None
    assert (excluded.topic, excluded.by) == (topic, "similarity")


@pytest.mark.parametrize("text", ["is there a fee for it", "does it cause an allergy"])
def test_one_message_among_harmless_ones_excludes_all(topics: Topics, text: str) -> None:
    excluded = topics.find("learned/parcels", [*PARCELS, text])

    assert excluded is not None
    assert excluded.by == "word"


def test_an_answer_about_a_topic_excludes_harmless_questions(topics: Topics) -> None:
    excluded = topics.find("learned/parcels", PARCELS, "Delivery costs EUR 5.")

    assert excluded is not None
    assert excluded.topic == "pricing"


def test_one_message_may_be_too_little_where_five_are_enough(topics: Topics) -> None:
    alone = [topics.by_similarity([text]) is not None for text in TENTS]

    assert any(alone)
    assert topics.by_similarity(TENTS) is None


def test_too_few_different_messages_are_unclear(topics: Topics) -> None:
    texts = [PARCELS[0], f"{PARCELS[0]}?", PARCELS[0].upper(), PARCELS[1]]

    assert topics.by_number(texts) == Exclusion("unclear", "number", "2 different messages")
    assert topics.by_number(PARCELS) is None


def test_saying_the_same_again_adds_no_surety(topics: Topics) -> None:
    text = "do i need a certificate to teach yoga there"
    alone = topics.by_similarity([text])

    assert alone is not None
    assert topics.by_similarity([text, f"{text} please", f"hi {text}", f"{text}??", f"{text} thanks"]) is not None


def test_every_development_text_is_excluded_alone(topics: Topics) -> None:
    texts = [(topic, text) for topic, lines in yaml.safe_load(DEV.read_text()).items() for text in lines.splitlines()]

    told = [topics.by_word([text]) or topics.by_script([text]) or topics.by_similarity([text]) for _, text in texts]
    missed = [text for (_, text), excluded in zip(texts, told, strict=True) if excluded is None]

    assert len(texts) > 400
    assert missed == []


def test_evidence_is_never_what_the_customer_wrote(topics: Topics) -> None:
    excluded = topics.find("learned/question", ["my passw0rd is swordfish99"])

    assert excluded is not None
    assert "swordfish" not in str(excluded)


def test_own_intents_and_words_are_excluded_in_any_form() -> None:
    own = AutonomySettings(excluded=(), excluded_intents=("faq/store_locations", "orders"), excluded_words=("crypto",))
    topics = Topics(own, FakeEncoder())

    assert topics.find("faq/store_locations", PARCELS) == Exclusion("excluded_intents", "label", "faq/store_locations")
    assert topics.find("orders/late", PARCELS) == Exclusion("excluded_intents", "label", "orders/late")
    assert topics.find("learned/pay", ["can i pay in cryptos"]) == Exclusion("excluded_words", "word", "crypto")
    assert topics.find("learned/pay", ["cr¥pto or cryp to"]) == Exclusion("excluded_words", "word", "crypto")
    assert topics.by_similarity(PARCELS) is None
    assert topics.by_word(PARCELS) is None


def test_topics_that_are_not_excluded_may_go_live() -> None:
    topics = Topics(replace(AutonomySettings(), excluded=("legal",)), FakeEncoder())

    assert topics.by_word(["is there a fee"]) is None
    assert topics.by_word(["see my lawyer"]) == Exclusion("legal", "word", "lawyer")


def test_an_unknown_topic_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError) as error:
        Topics(AutonomySettings(excluded=("prices",)), FakeEncoder())

    assert "'prices'" in str(error.value)
    assert "complaints, legal, medical, pricing, security" in str(error.value)


def test_a_proposal_without_words_has_no_topic_by_similarity(topics: Topics) -> None:
    assert topics.by_similarity(["12345", "..."]) is None
