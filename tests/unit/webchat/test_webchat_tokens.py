from __future__ import annotations

import pytest

from webchat.errors import WebchatConfigError
from webchat.tokens import SECRET_VARIABLE, TokenSigner, new_conversation_id, secret_from

NOW = 1_700_000_000.0
DAY_S = 86_400
SIGNER = TokenSigner(b"s" * 32, max_age_s=DAY_S, customer_age_s=3600)


def opened(token: str | None, now: float = NOW) -> str | None:
    caller = SIGNER.caller(token, now)
    return caller.conversation_id if caller else None


def test_a_token_opens_its_own_conversation() -> None:
    conversation_id = new_conversation_id()
    assert opened(SIGNER.issue(conversation_id, NOW)) == conversation_id


def test_conversation_ids_hold_128_random_bits() -> None:
    ids = {new_conversation_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(one.removeprefix("web-")) == 32 for one in ids)


def test_a_token_for_one_conversation_does_not_open_another() -> None:
    token = SIGNER.issue(new_conversation_id(), NOW)
    foreign = new_conversation_id() + token[token.index(".") :]
    assert opened(foreign) is None


def test_every_changed_character_makes_a_token_invalid() -> None:
    token = SIGNER.issue(new_conversation_id(), NOW)
    for position, char in enumerate(token):
        changed = token[:position] + ("0" if char != "0" else "1") + token[position + 1 :]
        assert opened(changed) is None, position


def test_another_secret_does_not_open_it() -> None:
    token = TokenSigner(b"t" * 32, DAY_S, 3600).issue(new_conversation_id(), NOW)
    assert opened(token) is None


def test_a_token_expires() -> None:
    conversation_id = new_conversation_id()
    token = SIGNER.issue(conversation_id, NOW)
    assert opened(token, NOW + DAY_S) == conversation_id
    assert opened(token, NOW + DAY_S + 1) is None


@pytest.mark.parametrize("token", [None, "", "x", "web-", "web-00.1.2", "é", "web-" + "0" * 32, "a" * 100_000])
def test_what_is_no_token_opens_nothing(token: str | None) -> None:
    assert opened(token) is None


def test_a_token_with_anything_behind_it_is_invalid() -> None:
    token = SIGNER.issue(new_conversation_id(), NOW)
    assert opened(token + "\n") is None


def test_the_secret_is_not_shown_by_repr() -> None:
    assert "sss" not in repr(SIGNER)


def test_the_secret_comes_from_the_environment() -> None:
    assert secret_from({}) is None
    assert secret_from({SECRET_VARIABLE: "k" * 32}) == b"k" * 32


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(WebchatConfigError) as raised:
        secret_from({SECRET_VARIABLE: "hunter2"})
    assert str(raised.value) == f"{SECRET_VARIABLE} has 7 characters; use 32 or more random ones"
