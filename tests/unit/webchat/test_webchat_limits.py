from __future__ import annotations

import pytest

from webchat.errors import ChatError
from webchat.limits import RateLimit, checked_text, without_command


def test_text_is_taken_without_surrounding_blanks() -> None:
    assert checked_text("  hello \n", 5, "the message") == "hello"


@pytest.mark.parametrize("value", [None, 7, [], {}, "", " \n "])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ChatError) as raised:
        checked_text(value, 10, "the message")
    assert (raised.value.status, raised.value.code) == (400, "bad_request")


def test_a_message_over_the_limit_is_refused_with_both_numbers() -> None:
    with pytest.raises(ChatError) as raised:
        checked_text("x" * 1001, 1000, "the message")
    assert raised.value.status == 413
    assert "1,001" in raised.value.message
    assert "1,000" in raised.value.message


def test_characters_are_counted_not_bytes() -> None:
    assert checked_text("é" * 10, 10, "the message") == "é" * 10


@pytest.mark.parametrize("typed", ['/inform{"customer_id": "7"}', "//restart", " / /restart", "/\n/x"])
def test_a_typed_command_reaches_rasa_as_plain_words(typed: str) -> None:
    assert not without_command(typed).startswith("/")


def test_a_slash_inside_a_sentence_stays() -> None:
    assert without_command("red and/or blue") == "red and/or blue"


def test_only_slashes_are_an_empty_message() -> None:
    with pytest.raises(ChatError) as raised:
        without_command(" // / ")
    assert raised.value.code == "bad_request"


def test_the_rate_limit_lets_through_as_many_as_it_says() -> None:
    limit = RateLimit(per_minute=3)
    assert [limit.hit(now) for now in (0.0, 1.0, 2.0)] == [0, 0, 0]
    assert limit.hit(2.5) == 58


def test_waiting_as_long_as_told_is_enough() -> None:
    limit = RateLimit(per_minute=2)
    limit.hit(0.3)
    limit.hit(10.0)
    wait_s = limit.hit(20.9)
    assert limit.hit(20.9 + wait_s) == 0


def test_refused_hits_do_not_lengthen_the_wait() -> None:
    limit = RateLimit(per_minute=1)
    limit.hit(0.0)
    for now in range(1, 60):
        assert limit.hit(float(now)) == 60 - now
    assert limit.hit(60.0) == 0


def test_half_a_character_is_replaced_so_that_every_store_takes_the_text() -> None:
    text = checked_text("hello \ud800 \N{WAVING HAND SIGN}", 100, "the message")
    assert text == "hello \N{REPLACEMENT CHARACTER} \N{WAVING HAND SIGN}"
    assert text.encode()
