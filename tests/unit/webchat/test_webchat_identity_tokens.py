from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webchat.errors import WebchatConfigError
from webchat.identity import (
    SECRET_VARIABLE,
    Customer,
    IdentityChecker,
    IdentityRefused,
    identity_secret_from,
    main,
    make_token,
)
from webchat.tokens import TokenSigner, new_conversation_id

NOW = 1_700_000_000.0
SECRET = b"i" * 32
CHECKER = IdentityChecker(SECRET, longest_s=600)
SIGNER = TokenSigner(b"s" * 32, max_age_s=86_400, customer_age_s=3600)
ADA = Customer("7", "Ada Lovelace", "ada@example.com")
CUSTOMERS = st.builds(
    Customer,
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=128),
    st.none() | st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=100),
    st.none() | st.just("ada@example.com"),
)


@given(CUSTOMERS)
@example(Customer("\U0001f600" * 128, "\U0001f600" * 100, "a" * 60 + "@" + "b" * 60 + ".com"))
def test_whoever_is_signed_is_read_and_goes_into_the_chats_own_token(customer: Customer) -> None:
    assert CHECKER.customer(make_token(SECRET, customer, NOW, 300), NOW) == customer
    caller = SIGNER.caller(SIGNER.issue(new_conversation_id(), NOW, customer), NOW)
    assert caller is not None
    assert caller.customer == customer


def test_it_is_valid_to_the_second_and_a_little_for_clocks_that_differ() -> None:
    token = make_token(SECRET, ADA, NOW, 300)
    assert CHECKER.customer(token, NOW + 329) == ADA
    assert CHECKER.customer(token, NOW - 30) == ADA
    for late in (NOW + 330, NOW - 31):
        with pytest.raises(IdentityRefused):
            CHECKER.customer(token, late)


def test_a_refusal_names_the_reason_only() -> None:
    with pytest.raises(IdentityRefused) as raised:
        CHECKER.customer(make_token(b"x" * 32, ADA, NOW, 300), NOW)
    assert str(raised.value) == "InvalidSignatureError"


def test_a_known_customers_chat_is_theirs_alone() -> None:
    token = SIGNER.issue(new_conversation_id(), NOW, ADA)
    assert SIGNER.resumed(token, ADA, NOW + 7200) == token.split(".")[0]
    assert SIGNER.resumed(token, Customer("8"), NOW) is None
    assert SIGNER.resumed(token, ADA, NOW + 86_401) is None
    assert SIGNER.resumed(SIGNER.issue(new_conversation_id(), NOW), ADA, NOW) is None
    assert SIGNER.resumed({"x": 1}, ADA, NOW) is None


def test_every_changed_character_makes_a_known_customers_token_invalid() -> None:
    token = SIGNER.issue(new_conversation_id(), NOW, ADA)
    for position, char in enumerate(token):
        changed = token[:position] + ("0" if char != "0" else "1") + token[position + 1 :]
        assert SIGNER.caller(changed, NOW) is None, position


def test_the_secret_comes_from_the_environment_and_is_one_of_its_own() -> None:
    assert identity_secret_from({}, b"s" * 32) is None
    assert identity_secret_from({SECRET_VARIABLE: "k" * 32}, b"s" * 32) == b"k" * 32
    for wrong in ("short", "s" * 32):
        with pytest.raises(WebchatConfigError):
            identity_secret_from({SECRET_VARIABLE: wrong}, b"s" * 32)


def test_the_command_prints_a_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    assert main(["7"]) == 1
    assert "is not set" in capsys.readouterr().err
    monkeypatch.setenv(SECRET_VARIABLE, SECRET.decode())
    monkeypatch.setattr("time.time", lambda: NOW)
    assert main(["7", "--name", "Ada Lovelace", "--email", "ADA@example.com"]) == 0
    assert CHECKER.customer(capsys.readouterr().out.strip(), NOW) == ADA


def test_the_secret_is_not_shown_by_repr() -> None:
    assert "iii" not in repr(CHECKER)
