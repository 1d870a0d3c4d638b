from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.privacy import LONGEST, PatternRedactor, Span, checks
from learning.privacy.addresses import find_addresses
from learning.privacy.spans import first_come, view_of
from learning.texts import PLACEHOLDER


def redact(text: str) -> str:
    return PatternRedactor().redact(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://shop.example/o/10342?t=secret ok", "see <URL_1> ok"),
        ("see www.shop.example/ann", "see <URL_1>"),
        ("write to Ann.Lee+x@mail.example.co.uk!", "write to <EMAIL_1>!"),
        ("ann @ mail.example", "<EMAIL_1>"),
        ("IBAN DE89370400440532013000 thanks", "IBAN <IBAN_1> thanks"),
        ("DE89 3704 0044 0532 0130 00 pls refund it", "<IBAN_1> pls refund it"),
        ("my iban is GB82 WEST 1234 5698 7654 32 please refund", "my iban is <IBAN_1> please refund"),
        ("card 4111 1111 1111 1111", "card <CARD_1>"),
        ("card 4111-1111-1111-1111 12/27", "card <CARD_1> 12/27"),
        ("12 4111111111111111", "12 <CARD_1>"),
        ("ssn 123-45-6789", "ssn <SSN_1>"),
        ("call +44 20 7946 0958 now", "call <PHONE_1> now"),
        ("call (020) 7946-0958", "call <PHONE_1>"),
        ("ticket T-10045?", "ticket <TICKET_1>?"),
        ("where is 10342", "where is <ORDER_1>"),
        ("where is order10342", "where is order<ORDER_1>"),
        ("where is #10342", "where is <ORDER_1>"),
        ("number 12345678901234567890123", "number <ORDER_1>"),
        ("my name is Ann Lee and I am sad", "my name is <NAME_1> and I am sad"),
        ("I’m Éva, hello", "I’m <NAME_1>, hello"),
        ("This is Thi", "This is <NAME_1>"),
        ("thanks\nRegards, Bob", "thanks\nRegards, <NAME_1>"),
    ],
)
def test_personal_data_is_replaced(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "where is my parcel",
        "it cost 1299 euros in 2024",
        "I am not happy",
        "do you have size 42 or 43?",
        "is it 50% off @ the store",
        "order by 12/24 please",
        "👍👍 great",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_the_same_value_is_the_same_placeholder_within_a_text() -> None:
    text = "10342, 10343 and #10342; ann@x.example, bob@x.example, ANN@x.example"

    assert redact(text) == "<ORDER_1>, <ORDER_2> and <ORDER_1>; <EMAIL_1>, <EMAIL_2>, <EMAIL_1>"


def test_redacting_twice_changes_nothing_more() -> None:
    text = "I am Ann Lee, 4111 1111 1111 1111, ann@x.example, T-10045, #10342, www.x.example"

    assert redact(redact(text)) == redact(text)


ADVERSARIAL = (
    "a", "1", "1 ", "A1", "a.", "a@", "DE89", "4111 ", "I am Ann ", "(1", "1-", "www.", "12 a ", "12 Oak ", "A-", "a:",
    "1.1.", "name is ", "order no ", "password for my ", "password is ", "passport a1 ", "a dot a at ", "x/", "eyJ",
    "12 rue de la ", "calle de la ", "born on 1 ", "van der ", "    ", "\n", "<A_1>", "1:1:", "account 1-",
    "flat 1a, 3 Oak ", "my name is Ann ", "::::",
)  # fmt: skip


@pytest.mark.timeout(60)  # without bounds in the patterns it takes minutes
@pytest.mark.parametrize("part", ADVERSARIAL)
def test_no_message_takes_long(part: str) -> None:
    result = redact((part * 10_000)[:10_000])

    assert len(PLACEHOLDER.sub("x", result)) <= LONGEST


@pytest.mark.timeout(120)
@given(st.lists(st.sampled_from(ADVERSARIAL), min_size=1, max_size=4))
def test_no_mixture_takes_long(parts: list[str]) -> None:
    once = redact(("".join(parts) * 10_000)[:10_000])

    assert redact(once) == once


@given(st.text(max_size=200))
def test_any_text_is_redacted_once_and_for_all(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann dot lee at gmail dot com", "<EMAIL_1>"),
        ("lucas@gmial", "<EMAIL_1>"),
        ("open fernway.example/reset?token=ab12 now", "open <URL_1> now"),
        ("from 203.0.113.45 or 2001:db8:0:0:0:0:0:1", "from <IP_1> or <IP_2>"),
        ("password: Sunfl0wer!", "password: <SECRET_1>"),
        ("the password was butterfly, help", "the password was <SECRET_1>, help"),
        ("cvv is 123", "cvv is <SECRET_1>"),
        ("key sk_live_9aF3kLmQ27xT", "key <SECRET_1>"),
        ("born on 12/03/1985", "born on <BIRTHDATE_1>"),
        ("my birthday is July 4, 1988 ok", "my birthday is <BIRTHDATE_1> ok"),
        ("ssn 219 09 9999", "ssn <SSN_1>"),
        ("NI AB 12 34 56 C", "NI <ID_1>"),
        ("nhs number 233 895 1239", "nhs number <ID_1>"),
        ("steuer-id 32 347 735 239", "steuer-id <ID_1>"),
        ("2 90 10 52 156 078 61", "<ID_1>"),
        ("dni 67481482B", "dni <ID_1>"),
        ("NIE Z5380389G", "NIE <ID_1>"),
        ("RGFDMP87D21I200I", "<ID_1>"),
        ("aadhaar 3178 4880 9667", "aadhaar <ID_1>"),
        ("SIN 749-428-470", "SIN <ID_1>"),
        ("passport number C01X00T47", "passport number <ID_1>"),
        ("sort code 20-45-67 account 12345678", "sort code <ACCOUNT_1> account <ACCOUNT_2>"),
        ("customer id K-99812", "customer id <ACCOUNT_1>"),
        ("order no. FW-20391", "order no. <ORDER_1>"),
        ("tracking 1Z999AA10123456784", "tracking <ORDER_1>"),
        ("ship to 14 Maple Drive, Springfield, IL 62704", "ship to <ADDRESS_1>"),
        ("Berliner Straße 12, 10115 Berlin", "<ADDRESS_1> Berlin"),
        ("12 rue de la Paix, 75002 Paris", "<ADDRESS_1> Paris"),
        ("Calle de Alcalá 45, 28014 Madrid", "<ADDRESS_1> Madrid"),
        ("i live at 5 maple close", "i live at <ADDRESS_1>"),
        ("at 22 acacia avenue leeds ls1 4ab", "at <ADDRESS_1> leeds <ADDRESS_2>"),
    ],
)
def test_each_kind_is_found(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01 or 12/03/2024",
        "19.99 and 29.99",
        "2023 2024",
        "sizes 40 41 42 43",
        "$20000",
        "20000 euros",
        "version 1.2.3",
        "my password is wrong",
        "the pin was never sent",
        "My PIN is unlocked, what do I do?",
        "password is definitely right but no",
        "look at amazon.com",
        "2 items on the way",
        "my account is locked",
        "order 2 shirts",
        "WH-1000XM4",
    ],
)
def test_what_only_looks_like_personal_data_stays(text: str) -> None:
    assert redact(text) == text


def test_a_conversation_is_numbered_together_and_conversations_apart() -> None:
    groups = [["order 10342", "I am Ann Novak", "10343, #10342", "Novak?"], ["10343"], []]

    assert PatternRedactor().redact_conversations(groups) == [
        ["order <ORDER_1>", "I am <NAME_1>", "<ORDER_2>, <ORDER_1>", "<NAME_1>?"],
        ["<ORDER_1>"],
        [],
    ]


def test_placeholders_that_a_text_holds_already_keep_their_numbers() -> None:
    assert redact("<ORDER_3> and 10342") == "<ORDER_3> and <ORDER_4>"


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (checks.card, "4111111111111111"),
        (checks.iban, "DE89370400440532013000"),
        (checks.nhs, "2338951239"),
        (checks.steuer_id, "32347735239"),
        (checks.nir, "290105215607861"),
        (checks.dni, "67481482B"),
        (checks.verhoeff, "317848809667"),
    ],
)
def test_one_wrong_digit_fails_the_check(check, good: str) -> None:
    wrong = good[:5] + str((int(good[5]) + 1) % 10) + good[6:]

    assert check(good)
    assert not check(wrong)


@given(st.text(alphabet="ab1 <>_A\ue000", max_size=40), st.data())
def test_a_view_leads_back_to_the_text(text: str, data: st.DataObject) -> None:
    view = view_of(text)
    if not view.text:
        return
    start = data.draw(st.integers(0, len(view.text) - 1))
    span = view.origin(Span(start, start + 1, "X"))

    assert text[span.start] == view.text[start] or PLACEHOLDER.match(text, span.start)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), max_size=8))
def test_spans_that_come_first_stay_and_nothing_overlaps(places: list[tuple[int, int]]) -> None:
    text = "abcdefghij" * 3
    spans = [Span(start, start + length, f"K{number}") for number, (start, length) in enumerate(places)]
    kept = first_come(spans, text)

    assert all(left.end <= right.start for left, right in itertools.pairwise(kept))
    assert {place for span in kept for place in range(span.start, span.end)} == {
        place for span in spans for place in range(span.start, span.end)
    }
    assert not spans or spans[0] in kept


def test_streets_need_a_number() -> None:
    assert find_addresses("down the road on Baker Street") == []
