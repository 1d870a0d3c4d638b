"""The metrics pages in a real browser: charts are drawn under the content policy, in any light and at any width."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from learning.model import Outcome, ServiceCall
from tests.hub_browser import PHONE, OpenTab, Served, check_accessible, check_fits, shot
from tests.learning_builders import mined, turn

pytestmark = pytest.mark.e2e


def fill(hub: Served) -> None:
    now = datetime.now(timezone.utc)
    for number in range(1, 61):
        ended = now - timedelta(days=number % 10, hours=1)
        outcome = list(Outcome)[1 + number % 3]
        reason = {Outcome.ESCALATED: "asked", Outcome.ABANDONED: "rated_down"}.get(outcome, "")
        reading = mined(
            f"person{number}",
            f"message {number}",
            turns=(turn(f"message {number}", channel="web", csat=1 + number % 5),),
            conversation_id=f"{number:016x}",
            started=ended - timedelta(minutes=2),
            last_at=ended,
            first_row=number,
            last_row=number,
            outcome=outcome,
            reason=reason,
            calls=(ServiceCall("shop", "balance", "ok", 20.0 + number),),
        )
        hub.store.save_batch([reading], [], None)


def test_charts_are_drawn_and_every_number_leads_to_its_conversations(hub: Served, tab: OpenTab) -> None:
    fill(hub)
    page = tab("viewer")
    page.goto(f"{hub.url}/metrics")
    page.wait_for_selector(".plot.drawn canvas")
    assert page.locator(".plot.drawn canvas").count() == page.locator("figure.chart").count() >= 5
    check_accessible(page)
    shot(page, "metrics")
    page.click("#metric-resolution .definition summary")
    assert "ended without a person" in page.inner_text("#metric-resolution")
    page.click("#metric-resolution a >> nth=0")
    assert "/conversations?outcome=resolved" in page.url
    assert page.locator("text=20").count() >= 1


def test_dark_on_a_phone_nothing_sticks_out(hub: Served, tab: OpenTab) -> None:
    page = tab("reviewer", dark=True, width=PHONE)
    for path in ("/metrics", "/metrics/services", "/metrics/releases", "/metrics/confusion", "/metrics/report"):
        page.goto(f"{hub.url}{path}")
        check_fits(page)
        check_accessible(page)
    shot(page, "metrics-report-phone")
