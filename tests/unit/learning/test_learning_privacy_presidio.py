from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.adapters.presidio_redactor import PresidioRedactor, PrivacyError, load_analyzer
from learning.privacy.spans import LONGEST
from learning.texts import PLACEHOLDER

ROOT = Path(__file__).resolve().parents[3]


@lru_cache(maxsize=1)
def shared() -> PresidioRedactor:
    """The analyzer takes seconds to load: one for all tests."""
    return PresidioRedactor()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my name is john smith and i want a refund", "my name is <NAME_1> and i want a refund"),
        ("MY NAME IS JOHN SMITH", "MY NAME IS <NAME_1>"),
        ("this is maria from dublin", "this is <NAME_1> from dublin"),
        ("i am mohammed al fayed, account holder", "i am <NAME_1>, account holder"),
        ("hello will, thanks", "hello <NAME_1>, thanks"),
        ("received by M. Jones", "received by <NAME_1>"),
        ("my boss Ms Adeyemi", "my boss Ms <NAME_1>"),
        ("thanks, Tom", "thanks, <NAME_1>"),
        ("please tell lucy's manager", "please tell <NAME_1>'s manager"),
        ("ask Krzysztof Brzęczyszczykiewicz about it", "ask <NAME_1> about it"),
        ("i live at 22 acacia avenue in leeds", "i live at <ADDRESS_1> in leeds"),
        ("the passport is AB1234567", "the passport is <ID_1>"),
        ("pesel 87041579955", "pesel <ID_1>"),
        ("my password is hunter2 ok", "my password is <SECRET_1> ok"),
    ],
)
def test_people_and_numbers_are_replaced(text: str, expected: str) -> None:
    assert shared().redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "where is my order",
        "I paid with Klarna on Monday and DHL lost it",
        "Will it arrive in May? I live in Paris",
        "san jose, st louis and san francisco",
        "the Charlotte vase is broken",
        "my name is misspelled",
        "my password is wrong",
        "my pin is blocked",
        "I'm Really Angry",
        "hi there",
        "I was told I'd get an email, and he said they'd call",
        "Dear Sir or Madam",
        "can you mark it as a gift, i hope so",
        "the drill is a Bosch PSB 1800",
        "it was 19.99 and 29.99 on 12/03/2024",
        "two items on the way, 5 minutes down the road",
    ],
)
def test_what_a_message_is_about_stays(text: str) -> None:
    assert shared().redact(text) == text


def test_a_person_and_a_number_keep_their_placeholders_within_a_conversation() -> None:
    group = [
        "I'm Ann Smith, call +44 20 7946 0958",
        "Ann again, or was it bob@x.example",
        "Mrs Smith here: 020 7946 0958; my husband Bob Smith has 07700 900123",
        "BOB@x.example and Smith and Bob",
    ]

    redacted = shared().redact_conversations([group, ["this is bob"]])

    assert redacted == [
        [
            "I'm <NAME_1>, call <PHONE_1>",
            "<NAME_1> again, or was it <EMAIL_1>",
            "Mrs <NAME_1> here: <PHONE_1>; my husband <NAME_2> has <PHONE_2>",
            "<EMAIL_1> and <NAME_1> and <NAME_2>",
        ],
        ["this is <NAME_1>"],
    ]


def test_texts_alone_and_in_a_batch_are_redacted_alike() -> None:
    texts = ["ask Krzysztof Nowak", "where is 10342", "", "I met Zbigniew in May", "ask Krzysztof Nowak"]

    batch = shared().redact_conversations([[text] for text in texts])

    assert [text for (text,) in batch] == [PresidioRedactorFresh().redact(text) for text in texts]


def PresidioRedactorFresh() -> PresidioRedactor:
    redactor = PresidioRedactor()
    redactor._analyzer = shared()._analyzer or load_analyzer()
    return redactor


PIECES = (
    "my name is", "I'm", "Ann", "ann lee", "Zbyněk", "Mr", "will", "May", "10342", "#55501", "+44 20 7946 0958", "'s",
    "4111 1111 1111 1111", "ann@x.example", "www.x.example/a?b=1", "<NAME_1>", "<ORDER_12>", "<ORDER_", "12 Oak Lane",
    "M14 5AB", "T-10045", "password is", "x9!", ",", ".", "\n", "\ue000", "von", "-", "the", "vase", "from", "order",
    "born on 1 May 1990", "DE89370400440532013000", "é", "\ud800",
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=14), st.sampled_from([" ", "", "  "]))
def test_redacting_twice_changes_nothing_more(pieces: list[str], between: str) -> None:
    once = shared().redact(between.join(pieces))

    assert shared().redact(once) == once


@settings(max_examples=60)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=10))
def test_what_is_outside_of_placeholders_was_in_the_text(pieces: list[str]) -> None:
    text = " ".join(pieces)
    rest = text
    for part in PLACEHOLDER.split(shared().redact(text)):
        assert part in rest
        rest = rest[rest.index(part) + len(part) :]


def test_a_long_message_is_cut_and_stays_as_it_is_afterwards() -> None:
    once = shared().redact("ask Krzysztof Nowak about 10342. " * 400)

    assert len(PLACEHOLDER.sub("x", once)) <= LONGEST
    assert shared().redact(once) == once


def test_a_text_that_the_gates_let_pass_holds_no_name() -> None:
    names = (shared()._analyzer or load_analyzer())._names
    for path in sorted((ROOT / "tests" / "privacy").glob("*.yml")):
        for line in path.read_text("utf-8").splitlines():
            assert names.may_hold(line) or names.find(line) == []


def test_nothing_is_loaded_before_the_first_text() -> None:
    code = (
        "import sys, learning.bootstrap\n"
        "from learning.adapters.presidio_redactor import PresidioRedactor\n"
        "PresidioRedactor()\n"
        "sys.exit(any(name in sys.modules for name in ('spacy', 'presidio_analyzer', 'faker', 'tensorflow')))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_loading_leaves_no_import_blocked_and_no_tensorflow_behind() -> None:
    code = (
        "import sys; from learning.adapters.presidio_redactor import PresidioRedactor; PresidioRedactor().redact('x');"
        "sys.exit('tensorflow' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_missing_model_says_what_to_do() -> None:
    with pytest.raises(PrivacyError) as caught:
        load_analyzer("no_such_model")

    assert "no_such_model" in str(caught.value)
    assert "make install" in caught.value.next_step
