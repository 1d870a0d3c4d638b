"""The pages of all conversations in a real browser: by keyboard, on a phone, in the dark, and with hostile texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub.texts import conversations as words
from learning import annotations as turn_annotations
from learning import bootstrap, browsing, pipeline
from learning.browsing import Filter, ReviewMark
from learning.browsing_records import Verdict
from learning.loop import Loop
from learning.model import sender_key
from learning.privacy import PatternRedactor
from tests.hub_browser import DESKTOP, PHONE, OpenTab, Served, check_accessible, check_fits, shot
from tests.hub_world import HOSTILE
from tests.learning_builders import START, FakeEncoder, TrackerFile, make_project

pytestmark = pytest.mark.e2e

expect = pytest.importorskip("playwright.sync_api").expect
LIST = "/conversations"
ROW = "ol.talks > li"


@pytest.fixture(scope="module")
def loop(hub: Served) -> Loop:
    """The loop of the running hub's project, opened by the test's own process."""
    make_project(hub.root)
    days = iter(range(1, 100))

    def now() -> Any:
        return START + timedelta(days=next(days) / 10)

    return replace(bootstrap.build(hub.root).loop, encoder=FakeEncoder(), redactor=PatternRedactor(), now=now)


@pytest.fixture(scope="module")
def tracker(hub: Served, loop: Loop) -> TrackerFile:
    tracker = TrackerFile(hub.root / "var/tracker.db")
    tracker.say("ann", "where is my parcel", "track_order", 0.97, "It comes tomorrow.")
    tracker.say("ann", "and the loyalty points?")
    tracker.say("bob", HOSTILE)
    tracker.say("bob", "w" * 10_000)
    tracker.say("bob", "\u202e" + "zalgo" + "\u0301\u0323" * 300)
    tracker.say("bob", "\u200b\u200d\n\n\n" * 50)
    for number in range(4):
        tracker.say(f"cleo{number}", "reset password", "reset_password", 0.41, "I have sent you a link.")
    tracker.wait(7200)
    pipeline.mine(loop)
    return tracker


def of(loop: Loop, person: str) -> str:
    (item, *_) = browsing.find(loop, Filter(person=sender_key(person))).items
    return item.conversation_id


def ready(page: Any) -> None:
    """Wait until the scripts of the page that has come listen to keys."""
    page.wait_for_load_state("load")
    page.locator("#keys-hint:not([hidden])").wait_for()


def verdicts(loop: Loop, conversation: str) -> list[Verdict]:
    return [one.verdict for one in turn_annotations.checked_in(loop, [conversation])]


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_pages(hub: Served, tab: OpenTab, loop: Loop, tracker: TrackerFile, dark: bool, width: int) -> None:
    page = tab("reviewer", dark=dark, width=width)
    hostile = f"{LIST}/{of(loop, 'bob')}"
    for name, path in (("list", f"{LIST}?state=new&state=seen"), ("one", hostile), ("story", f"{hostile}/story")):
        page.goto(f"{hub.url}{path}")
        for details in page.locator("main details > summary").all()[:12]:
            details.click()
        check_accessible(page)
        check_fits(page)
        shot(page, f"conversations-{name}-{'dark' if dark else 'light'}-{width}")


def test_the_list_is_walked_and_marked_by_keyboard(hub: Served, tab: OpenTab, loop: Loop, tracker: TrackerFile) -> None:
    page = tab("reviewer")
    page.goto(f"{hub.url}{LIST}?intent=reset_password")
    rows = page.locator(ROW)
    expect(rows).to_have_count(4)
    ready(page)
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("f")
    expect(page.get_by_role("status")).to_contain_text(
        words.DONE_MARKED.format(count="2 conversations", state="flagged")
    )
    expect(page.locator(f"{ROW}.is-flagged")).to_have_count(2)
    ready(page)
    page.keyboard.press("j")
    page.keyboard.press("t")
    page.keyboard.type("look here")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator(f"{ROW} .own-tag")).to_have_text(["look here"])
    ready(page)
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    flagged = browsing.find(loop, Filter(state=("flagged",))).items
    assert len(flagged) == 2


def test_a_transcript_is_judged_by_keyboard(hub: Served, tab: OpenTab, loop: Loop, tracker: TrackerFile) -> None:
    conversation = of(loop, "ann")
    page = tab("reviewer")
    page.goto(f"{hub.url}{LIST}/{conversation}")
    ready(page)
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(page.locator(".turn.here .how dl")).to_be_visible()
    page.keyboard.press("r")
    expect(page.get_by_role("status")).to_contain_text(words.DONE_RIGHT)
    ready(page)
    page.keyboard.press("j")
    page.keyboard.press("w")
    page.keyboard.type("track_odrer")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("track_order")
    field = page.locator("details.wrong[open] input[name=right]")
    expect(field).to_have_value("track_odrer")
    check_accessible(page)
    field.fill("faq/opening_hours")
    field.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(words.DONE_WRONG)
    assert verdicts(loop, conversation) == [Verdict.RIGHT, Verdict.WRONG]
    ready(page)
    with page.expect_navigation(url=lambda url: url.startswith(f"{hub.url}{LIST}#")):  # it is the oldest of all
        page.keyboard.press("d")
    assert browsing.item(loop, conversation).review is ReviewMark.DONE


def test_a_spot_check_is_walked_through_by_one_key(hub: Served, tab: OpenTab, loop: Loop, tracker: TrackerFile) -> None:
    page = tab("reviewer2")
    page.goto(f"{hub.url}{LIST}?intent=reset_password")
    page.get_by_text(words.CHECKS, exact=True).click()
    page.get_by_role("button", name=words.DRAW_THESE.format(count=browsing.DRAWN)).click()
    for place in range(1, 5):
        expect(page.locator(".talk-progress strong")).to_have_text(words.DRAW_PLACE.format(place=place, total=4))
        ready(page)
        page.keyboard.press("a")
    expect(page.locator("main")).to_contain_text(words.DRAW_FINISHED)
    check_accessible(page)
    check_fits(page)
    shot(page, "conversations-check")
    for number in range(4):
        assert verdicts(loop, of(loop, f"cleo{number}")) == [Verdict.RIGHT]


def test_a_new_conversation_is_told_and_nothing_jumps(
    hub: Served, tab: OpenTab, loop: Loop, tracker: TrackerFile
) -> None:
    page = tab("viewer")
    page.goto(f"{hub.url}{LIST}")
    before = page.locator(ROW).count()
    page.evaluate("window.mark = 'the same page'")
    tracker.wait(7200)
    tracker.say("hal", "is anybody there")
    pipeline.mine(loop)
    expect(page.locator("#newer")).to_contain_text(words.NEWER_FOUND.format(count="1 conversation"))
    assert page.locator(ROW).count() == before
    assert page.evaluate("window.mark") == "the same page"
    page.locator("#newer a").click()
    expect(page.locator(ROW)).to_have_count(before + 1)


def test_everything_works_without_a_script(hub: Served, tab: OpenTab, loop: Loop, tracker: TrackerFile) -> None:
    conversation = of(loop, "bob")
    page = tab("reviewer", script=False)
    page.goto(f"{hub.url}{LIST}?text=zalgo*")
    page.locator(f"{ROW} a.cover").first.click()
    page.locator(".turn").nth(1).get_by_role("button", name="Right").click()
    expect(page.get_by_role("status")).to_contain_text(words.DONE_RIGHT)
    assert verdicts(loop, conversation) == [Verdict.RIGHT]


def test_a_viewer_has_nothing_to_press(hub: Served, tab: OpenTab, loop: Loop, tracker: TrackerFile) -> None:
    page = tab("viewer")
    page.goto(f"{hub.url}{LIST}/{of(loop, 'ann')}")
    ready(page)
    expect(page.locator("main form")).to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("r")
    page.keyboard.press("e")
    expect(page.locator(".turn.here .how dl")).to_be_visible()
