"""The inbox, gaps and proposals in a real browser: by keyboard, in the dark, on a phone, by two people at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from hub import texts
from learning.model import Action, Decision, Proposal, ProposalState, ScorePart
from learning.review import OPEN_STATES, move
from tests.hub_browser import PHONE, OpenTab, Served, check_accessible, check_fits, login, shot
from tests.hub_world import HOSTILE, NOW, a_proposal, fill

pytestmark = pytest.mark.e2e
PARTS = (
    ScorePart("different people", 0.9, 0.5),
    ScorePart("replay fixes", 0.5, 0.3),
    ScorePart("a need of its own", 0.2, 0.2),
)
PENDING, LIVE, REJECTED = ProposalState.PENDING, ProposalState.PUBLISHED, ProposalState.REJECTED
DEFERRED = ProposalState.DEFERRED
DECIDED_MS = 60_000  # the first decision of a process loads the encoder and the redactor


@pytest.fixture(autouse=True)
def _empty_inbox(hub: Served) -> Iterator[None]:
    """Let nothing wait that another test has left."""
    yield
    for one in hub.store.proposals():
        if one.state in OPEN_STATES:
            hub.store.save_decision(one, move(one, REJECTED), Decision(one.proposal_id, Action.REJECT, "test", NOW))


def add(hub: Served, number: int, said: str = "do you have a points program?", **changes: Any) -> Proposal:
    """Save a proposal, each with a larger number below the one before it."""
    proposal = a_proposal(number, **{"score": 99 - number % 90, "score_parts": PARTS, **changes})
    fill(hub.store, proposal, said, name=f"loyalty points {number}")
    return proposal


def state(hub: Served, number: int) -> ProposalState:
    return hub.store.proposal(f"{number:016x}").state


def address(hub: Served, number: int) -> str:
    return f"{hub.url}/proposals/{number:016x}"


def press(page: Any, *keys: str) -> None:
    """Press keys, the last of which sends a form, and wait for the page that says that it is done."""
    for key in keys[:-1]:
        page.keyboard.press(key)
    with page.expect_navigation(timeout=DECIDED_MS):
        page.keyboard.press(keys[-1])
    page.wait_for_selector(".box.done")


def test_ten_decisions_by_keyboard_alone(hub: Served, tab: OpenTab) -> None:
    for number in range(1, 11):
        add(hub, number, said=f"points program {number}?")
    page = tab("reviewer")
    page.wait_for_selector(".queue-item")
    began = time.monotonic()
    press(page, "j", "a")
    press(page, "a")
    press(page, "r", "2")
    press(page, "r", "1")
    press(page, "d", "1")
    press(page, "d", "2")
    press(page, "x", "j", "x", "j", "x", "j", "x", "a")
    seconds = time.monotonic() - began
    found = [state(hub, number) for number in range(1, 11)]
    assert found == [LIVE, LIVE, REJECTED, REJECTED, DEFERRED, DEFERRED, LIVE, LIVE, LIVE, LIVE]
    assert [one.reason for one in hub.store.decisions_about(f"{3:016x}")] == [texts.REJECT_REASONS[1]]
    print(f"ten decisions by keyboard took {seconds:.1f} s")
    press(page, "u")
    assert [state(hub, number) for number in range(7, 11)] == [PENDING] * 4, "one undo takes all of the bulk back"


def test_the_page_of_a_proposal_by_keyboard(hub: Served, tab: OpenTab) -> None:
    for number in (21, 22, 23):
        add(hub, number)
    page = tab("reviewer")
    page.wait_for_selector(".queue-item")
    page.keyboard.press("j")
    with page.expect_navigation():
        page.keyboard.press("e")
    page.wait_for_selector("#answer:focus")
    page.keyboard.press("Control+a")
    page.keyboard.type("Ten points a dollar, a and r and u are only letters here.")
    page.keyboard.press("Escape")
    with page.expect_navigation():
        page.keyboard.press("j")
    assert page.url == address(hub, 22)
    press(page, "r", "3")
    page.goto(address(hub, 21))
    assert page.input_value("#answer").startswith("Ten points"), "what was typed waits for its return"
    assert page.is_visible("#draft")
    press(page, "a")
    assert [state(hub, number) for number in (21, 22, 23)] == [LIVE, REJECTED, PENDING]
    assert hub.store.entries(LIVE)[-1].answer.startswith("Ten points")


def test_somebody_who_is_slower_is_told_and_loses_no_word(hub: Served, tab: OpenTab) -> None:
    add(hub, 31)
    first, second = tab("reviewer"), tab("reviewer2")
    second.goto(address(hub, 31))
    second.fill("#answer", "What I had in mind.")
    first.goto(address(hub, 31))
    with first.expect_navigation():
        first.dblclick("#approve button.primary")
    first.wait_for_selector(".box.done")
    assert len([one for one in hub.store.entries(LIVE) if one.proposal_id == f"{31:016x}"]) == 1
    told = second.wait_for_selector("#stand .live-only:not([hidden])")
    assert texts.review.LIVE_DECIDED.format(state=texts.STATES[LIVE]) in told.inner_text()
    assert second.input_value("#answer") == "What I had in mind."
    with second.expect_navigation():
        second.click("#approve button.primary")
    assert "by reviewer" in second.inner_text("#problem")


def test_what_comes_in_moves_nothing_under_the_hand(hub: Served, tab: OpenTab) -> None:
    for number in range(41, 49):
        add(hub, number, score=60 - number + 41)
    page = tab("reviewer")
    page.wait_for_selector(".queue-item")
    for key in ("j", "j", "j", "x", "j", "x"):
        page.keyboard.press(key)
    row = page.locator(f"#item-{44:016x}")
    before = row.bounding_box()["y"]
    add(hub, 50, score=97)
    # One that is ticked has changed: nobody has read what it says now.
    hub.store.save_proposals([a_proposal(43, score=58, score_parts=PARTS, answer="Something else.")], NOW)
    page.wait_for_selector(f"#item-{50:016x}")
    page.wait_for_selector("text=Something else.")
    assert abs(row.bounding_box()["y"] - before) < 2
    assert row.locator(".cover").evaluate("one => one === document.activeElement")
    assert row.locator("input").is_checked()
    assert not page.locator(f"#item-{43:016x} input").is_checked()


def test_a_session_that_ends_takes_no_words_along(hub: Served, tab: OpenTab) -> None:
    add(hub, 61)
    page = tab("reviewer")
    page.goto(address(hub, 61))
    page.fill("#answer", "A long answer that took an hour.")
    page.context.clear_cookies()
    with page.expect_navigation():
        page.click("#approve button.primary")
    assert texts.ERROR_TEXTS[401] in page.inner_text("main")
    login(page, hub, "reviewer")
    page.goto(address(hub, 61))
    assert page.input_value("#answer") == "A long answer that took an hour."
    press(page, "a")
    page.goto(address(hub, 61))
    assert state(hub, 61) is LIVE


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, PHONE)])
def test_every_page_is_accessible_and_fits(hub: Served, tab: OpenTab, dark: bool, width: int) -> None:
    hostile, usual = (73, 74) if dark else (71, 72)
    add(hub, hostile, said=HOSTILE, examples=(HOSTILE, "b" * 300), answer=HOSTILE)
    add(hub, usual)
    page = tab("reviewer", dark=dark, width=width)
    look = "dark-phone" if dark else "light"
    pages = {
        "inbox": "/",
        "proposal": f"/proposals/{hostile:016x}",
        "gap": f"/gaps/{a_proposal(usual).gap_id}",
        "rearrange": f"/proposals/{usual:016x}/rearrange",
    }
    for name, path in pages.items():
        page.goto(f"{hub.url}{path}")
        for details in page.locator("main details").all():
            details.evaluate("one => { one.open = true; }")
        check_accessible(page)
        check_fits(page)
        shot(page, f"review-{name}-{look}")


def test_all_of_it_works_without_scripts(hub: Served, tab: OpenTab) -> None:
    for number in (81, 82):
        add(hub, number)
    page = tab("reviewer", script=False)
    page.check(f"#item-{81:016x} input")
    page.check(f"#item-{82:016x} input")
    page.click("#bulk-reject summary")
    page.check("input[name=quick][value='1']")
    page.fill("#reason", "")
    page.keyboard.press("Enter")
    assert state(hub, 81) is PENDING, "Enter in a field decides nothing by accident"
    page.click("#bulk-reject button")
    page.wait_for_selector(".box.done")
    assert (state(hub, 81), state(hub, 82)) == (REJECTED, REJECTED)
    page.click("form.stuck button")
    page.wait_for_selector(".box.done")
    assert (state(hub, 81), state(hub, 82)) == (PENDING, PENDING)


def test_keys_do_nothing_for_who_only_looks_or_has_them_off(hub: Served, tab: OpenTab) -> None:
    add(hub, 91)
    viewer, reviewer = tab("viewer"), tab("reviewer")
    reviewer.evaluate("localStorage.setItem('evergreen-keys', 'off')")
    for page in (viewer, reviewer):
        page.goto(hub.url)
        for key in ("j", "a", "r", "1", "d", "1", "u", "x"):
            page.keyboard.press(key)
        page.goto(address(hub, 91))
        for key in ("a", "r", "1", "u"):
            page.keyboard.press(key)
    assert state(hub, 91) is PENDING
