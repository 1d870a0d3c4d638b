"""The desk in a real browser: two agents, live messages, typed text, ready answers by key."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from desk.bootstrap import build_desk
from desk.worker import Worker
from learning.settings import load_settings
from tests.desk_world import ClockedTracker, FakeBot
from tests.hub_browser import PHONE, OpenTab, Served, check_accessible, shot
from tests.learning_builders import user_data
from tests.webchat_world import wait_for

pytestmark = pytest.mark.e2e


class Talks:
    """Customers of the served hub's project, and the desk's worker, run by hand."""

    def __init__(self, hub: Served) -> None:
        (hub.root / "endpoints.yml").write_text("tracker_store: {type: SQL, dialect: sqlite, db: var/tracker.db}\n")
        folder = hub.root / "data" / "desk"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "canned.yml").write_text('answers:\n- {key: hi, title: Greeting, text: "Hello, {agent} here."}\n')
        self.tracker = ClockedTracker(hub.root / "var" / "tracker.db", lambda: datetime.now(timezone.utc))
        self.desk = build_desk(load_settings(hub.root))
        self.bot = FakeBot(self.tracker)
        self.worker = Worker(self.desk, self.bot)

    def ask(self, sender: str) -> str:
        self.tracker.add(sender, user_data("<b>a person</b> please", "talk_to_person"))
        value = {"id": sender, "reason": "frustrated", "live": True, "mood": 0.8, "topic": "track_order"}
        self.tracker.add(sender, {"event": "slot", "name": "handover", "value": value})
        self.tracker.add(sender, {"event": "slot", "name": "order_number", "value": "10342"})
        self.tracker.add(sender, {"event": "pause"})
        self.worker.step()
        found = self.desk.store.newest_of(sender)
        assert found is not None
        return found.handover_id


def shown_typing(talks: Talks, sender: str) -> bool:
    talks.worker.step()
    return sender in talks.bot.typing


@pytest.fixture(scope="module")
def talks(hub: Served) -> Talks:
    return Talks(hub)


def test_a_chat_from_the_queue_to_the_end(hub: Served, tab: OpenTab, talks: Talks) -> None:
    page: Any = tab("agent")
    page.goto(f"{hub.url}/desk")
    page.click("text=Go on duty")
    handover_id = talks.ask("ann")
    page.click(f"a[href='/desk/{handover_id}']")  # it came by itself
    check_accessible(page)
    page.keyboard.press("t")
    page.wait_for_selector("[data-reply]")
    page.wait_for_load_state()  # with its script, which knows the keys
    talks.worker.step()

    page.fill("[data-reply]", "/hi")
    wait_for(lambda: shown_typing(talks, "ann"), "the customer sees that somebody writes")
    page.press("[data-reply]", "Tab")
    assert page.input_value("[data-reply]") == "Hello, agent here."
    talks.tracker.add("ann", user_data("are you there?", "inform"))
    talks.worker.step()
    page.wait_for_selector("text=are you there?")
    assert page.input_value("[data-reply]") == "Hello, agent here."  # typed text outlives the swap
    page.press("[data-reply]", "Control+Enter")
    page.wait_for_selector(".line.pending >> text=Hello, agent here.")
    talks.worker.step()
    page.wait_for_selector(".line.agent:not(.pending) >> text=Hello, agent here.")
    check_accessible(page)
    shot(page, "desk-chat")
    page.click("text=The assistant should have said this")
    page.wait_for_selector("text=Take the mark back")
    page.fill("#note", "label sent")
    page.click("button[value=resolve]")
    page.wait_for_url(f"{hub.url}/desk")
    page.wait_for_selector("text=resolved by agent")


def test_the_second_of_two_agents_is_told(hub: Served, tab: OpenTab, talks: Talks) -> None:
    handover_id = talks.ask("bea")
    first, second = tab("agent"), tab("admin", script=False)
    for page in (first, second):
        page.goto(f"{hub.url}/desk/{handover_id}")
    first.click("text=Take")
    first.wait_for_selector("[data-reply]")
    second.click("text=Take")
    assert "is with agent" in second.inner_text("#problem")


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_and_can_be_read(hub: Served, tab: OpenTab, talks: Talks, dark: bool) -> None:
    handover_id = talks.ask(f"phone-{dark}")
    page: Any = tab("agent", dark=dark, width=PHONE)
    for address in ("/desk", f"/desk/{handover_id}"):
        page.goto(hub.url + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        check_accessible(page)
        name = "desk" if address == "/desk" else "desk-chat"
        shot(page, f"{name}-phone-{'dark' if dark else 'light'}")
