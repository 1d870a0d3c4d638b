"""The hub's frame in a real browser: navigation, keys, live updates, sessions."""

from __future__ import annotations

from typing import Any

import pytest

from hub import texts
from tests.hub_browser import DESKTOP, PHONE, OpenTab, Served, check_accessible, check_fits, shot
from tests.hub_world import HOSTILE, a_proposal, fill

pytestmark = pytest.mark.e2e

expect = pytest.importorskip("playwright.sync_api").expect
LIVE = "#live-state"


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_frame(hub: Served, tab: OpenTab, dark: bool, width: int) -> None:
    page = tab("admin", dark=dark, width=width)
    for path in ("/status", "/audit", "/settings", "/settings/accounts", "/account", "/nothing"):
        page.goto(f"{hub.url}{path}")
        check_accessible(page)
        check_fits(page)
        shot(page, f"frame{path.replace('/', '-')}-{'dark' if dark else 'light'}-{width}")


def live_number(page: Any, proposals: int) -> None:
    """Wait until the page shows so many proposals by itself."""
    expect(page.locator("#status section[aria-labelledby=proposals] td.num")).to_have_text(str(proposals))


def test_figures_move_without_a_reload_and_leave_the_page_as_it_is(hub: Served, tab: OpenTab) -> None:
    fill(hub.store, a_proposal(1))
    page = tab("viewer")
    page.goto(f"{hub.url}/status")
    live_number(page, 1)
    page.evaluate("window.mark = 'the same page'")
    page.locator("#content").focus()
    page.evaluate("document.querySelector('#status section').dataset.liveKeep = ''")
    fill(hub.store, a_proposal(2))
    live_number(page, 2)
    assert page.evaluate("window.mark") == "the same page"
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_page_catches_up_after_a_restart(hub: Served, tab: OpenTab) -> None:
    fill(hub.store, a_proposal(1))
    page = tab("viewer")
    page.goto(f"{hub.url}/status")
    page.evaluate("window.mark = 'the same page'")
    assert hub.stop() < 5, "open streams must not keep the process"
    expect(page.locator(LIVE)).to_have_text(texts.LIVE_LOST)
    fill(hub.store, a_proposal(3))
    hub.start()
    expect(page.locator(LIVE)).to_be_hidden()
    live_number(page, len(hub.store.proposals()))
    assert page.evaluate("window.mark") == "the same page"


def test_an_ended_session_says_so_and_leads_back(hub: Served, tab: OpenTab) -> None:
    page = tab("viewer")
    page.goto(f"{hub.url}/status?from=here")
    hub.accounts.set_disabled("viewer", True)
    try:
        expect(page.locator(LIVE)).to_contain_text(texts.LIVE_ENDED)
        assert page.locator(f"{LIVE} a").get_attribute("href") == "/login?next=%2Fstatus%3Ffrom%3Dhere"
        check_accessible(page)
    finally:
        hub.accounts.set_disabled("viewer", False)


def test_keys_lead_to_the_areas_and_can_be_switched_off(hub: Served, tab: OpenTab) -> None:
    page = tab("reviewer")
    page.goto(f"{hub.url}/status")
    page.keyboard.type("gr")
    page.wait_for_url("**/releases")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name=texts.KEYS)).to_be_visible()
    expect(page.locator("#keys-go")).not_to_contain_text(texts.SETTINGS)
    check_accessible(page)
    page.get_by_label(texts.KEYS_ON).uncheck()
    page.keyboard.press("Escape")
    page.keyboard.type("gu")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.url.endswith("/releases")


def test_keys_do_nothing_while_somebody_types(hub: Served, tab: OpenTab) -> None:
    page = tab("reviewer")
    page.goto(f"{hub.url}/audit")
    page.get_by_label(texts.WHO, exact=True).press_sequentially("gi?")
    assert page.url.endswith("/audit")
    assert page.get_by_label(texts.WHO, exact=True).input_value() == "gi?"


def test_the_menu_of_a_phone_works_without_scripts(hub: Served, tab: OpenTab) -> None:
    page = tab("reviewer", width=PHONE, script=False)
    page.goto(f"{hub.url}/status")
    page.get_by_text(texts.MENU, exact=True).click()
    page.get_by_role("link", name=texts.RELEASES, exact=True).click()
    page.wait_for_url("**/releases")


def test_nothing_inline_runs(hub: Served, tab: OpenTab) -> None:
    fill(hub.store, a_proposal(4), HOSTILE, name=HOSTILE)
    page = tab("reviewer")
    for path in ("/", "/proposals/0000000000000004"):
        page.goto(f"{hub.url}{path}")
        expect(page.locator("main")).to_contain_text("alert(1)")
        assert page.locator("main img[onerror]").count() == 0


def test_a_second_click_sends_nothing(hub: Served, tab: OpenTab) -> None:
    page = tab("reviewer")
    page.goto(f"{hub.url}/status")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.route("**/logout", lambda route: None)  # an answer that takes its time
    with page.expect_request("**/logout"):
        page.locator("form.who button").dblclick(no_wait_after=True)
    assert len(sent) == 1
