"""What the desk says to customers, and how a hand-over is told to people."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from desk.model import Handover, Kind, Reason
from desk.texts import said_to_customer


def test_the_assistant_does_not_claim_to_know_what_was_said() -> None:
    said = said_to_customer(Kind.RETURNED, "Mia")
    assert "Mia" in said
    assert "assistant" in said
    assert "know" not in said


@pytest.mark.parametrize(
    ("topic", "about"),
    [
        ("account_balance", "account balance"),
        ("faq/shipping_cost", "shipping cost"),
        ("legal action", "legal action"),
        ("", ""),
    ],
)
def test_a_topic_is_told_in_words(topic: str, about: str) -> None:
    asked = datetime(2025, 11, 21, tzinfo=timezone.utc)
    assert Handover("h1", "ann", Reason.ASKED, asked, 1, topic=topic).about == about
