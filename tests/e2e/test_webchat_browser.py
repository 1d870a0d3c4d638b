"""The customers' chat in a real browser: page and widget against a real server with a scripted bot."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from rasa.shared.core.events import BotUttered, ConversationPaused, ConversationResumed

from desk.model import Kind, Outgoing
from desk.rasa_bot import RasaBot
from tests.hub_browser import DESKTOP, PHONE, WAIT_MS, check_accessible, check_fits, shot
from tests.webchat_world import DEFAULTS, DESK_TOKEN, Shop, running, wait_for

pytestmark = pytest.mark.e2e

SETTINGS = replace(DEFAULTS, image_hosts=("images.example.com",))
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)

OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with running(tmp_path_factory.mktemp("chat") / "tracker.db", SETTINGS, time.time) as one:
        yield one


@pytest.fixture
def visit(browser: Any, shop: Shop) -> Iterator[OpenPage]:
    """Return a function that opens a page of the chat in a browser of its own."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(path: str = "", dark: bool = False, width: int = DESKTOP, **more: Any) -> Any:
        scheme = "dark" if dark else "light"
        options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "reduced_motion": "reduce"}
        contexts.append(browser.new_context(**{**options, **more}))
        contexts[-1].set_default_timeout(WAIT_MS)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: complaints.append(said.text) if _is_complaint(said) else None)
        page.route("https://images.example.com/**", lambda route: route.fulfill(body=PIXEL, content_type="image/png"))
        page.goto(shop.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _is_complaint(said: Any) -> bool:
    # A refusal such as 429, or a server that was stopped, is what a test asks for.
    return said.type == "error" and not said.text.startswith("Failed to load resource")


def say(page: Any, text: str) -> None:
    page.locator("#message").fill(text)
    page.locator("#message").press("Enter")


def conversation(shop: Shop) -> str:
    return str(shop.agent.handled[-1].sender_id)


def lines(page: Any) -> list[str]:
    """Return what is said on the page, without the speakers' names for screen readers."""
    said = "rows => rows.map(row => [...row.childNodes].slice(1).map(node => node.textContent).join(''))"
    return list(page.locator("#log .message .bubble").evaluate_all(said))


def by_anna(text: str) -> BotUttered:
    return BotUttered(text, metadata={"agent": "Anna", "desk_id": text, "desk": "reply"})


def in_frame(page: Any) -> Any:
    return page.frame_locator("#evergreen-chat iframe")


def test_a_conversation_with_a_person_in_it(shop: Shop, visit: OpenPage) -> None:
    page = visit()
    check_accessible(page)
    say(page, "hello")
    page.get_by_text("You said hello").wait_for()
    assert page.evaluate("document.activeElement.id") == "message"
    name = conversation(shop)
    shop.append(name, ConversationPaused())
    page.get_by_text("A person has been asked to join").wait_for()
    shop.append(name, BotUttered("Anna is here now.", metadata={"desk": "joined", "by": "Anna", "desk_id": "1"}))
    shop.append(name, by_anna("Let me look"))
    page.get_by_text("Let me look").wait_for()
    page.get_by_text("Talking to Anna").wait_for()
    # What a person says is no answer of the bot: it has no thumbs.
    assert page.locator(".message-person .thumbs").count() == 0
    say(page, "thank you")
    wait_for(lambda: shop.events("user")[-1]["text"] == "thank you", "the message is stored")
    shop.append(name, by_anna("You are welcome"))
    page.get_by_text("You are welcome").wait_for()
    shop.append(name, ConversationResumed())
    page.get_by_text("The assistant is back").wait_for()
    page.get_by_text("How was this conversation?").wait_for()
    check_accessible(page)
    shot(page, "webchat-person")
    said = ["hello", "You said hello", "Let me look", "thank you", "You are welcome"]
    assert lines(page) == said
    page.reload()
    page.get_by_text("You are welcome").wait_for()
    assert lines(page) == said


def test_it_is_seen_that_a_person_writes(shop: Shop, visit: OpenPage) -> None:
    page = visit()
    bot = RasaBot(shop.url.removesuffix("webhooks/webchat/"), DESK_TOKEN)
    say(page, "a person please")
    page.get_by_text("You said a person please").wait_for()
    name = conversation(shop)
    shop.append(name, ConversationPaused(), by_anna("Let me look"))
    page.get_by_text("Talking to Anna").wait_for()
    typing = page.get_by_text("Anna is typing")
    # The sign is gone after six seconds, which a busy machine may be too slow to see.
    wait_for(lambda: bot.show_typing(name) or typing.count() == 1, "three dots")
    check_accessible(page)
    bot.show_typing(name)
    bot.deliver(Outgoing("m1", "h1", name, Kind.REPLY, "Anna", "It comes today.", datetime.now(timezone.utc)))
    page.get_by_text("It comes today.").wait_for()
    typing.wait_for(state="detached")
    bot.close()


def test_a_mark_by_keyboard_and_a_skip(shop: Shop, visit: OpenPage) -> None:
    page = visit()
    before = len(shop.slots("csat"))
    for text in ("hello", "bye"):
        say(page, text)
        page.get_by_text(f"You said {text}").wait_for()
    four = page.get_by_role("button", name="4 of 5, good")
    four.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Thank you for your answer!").wait_for()
    assert shop.slots("csat")[before:] == [4]
    assert page.evaluate("document.activeElement.id") == "message"
    for text in ("again", "bye"):
        say(page, text)
        page.locator("#log").get_by_text(f"You said {text}").last.wait_for()
    page.get_by_role("button", name="Skip").click()
    page.reload()
    page.get_by_text("You said again").wait_for()
    assert page.get_by_text("How was this conversation?").count() == 0
    assert shop.slots("csat")[before:] == [4]


def test_cards_choices_and_thumbs(shop: Shop, visit: OpenPage) -> None:
    page = visit(dark=True, width=PHONE)
    say(page, "card")
    page.get_by_text("Light, and dry to the bone").wait_for()
    picture = page.locator(".card img")
    picture.wait_for()
    wait_for(lambda: picture.evaluate("it => it.complete && it.naturalWidth > 0"), "the picture of an allowed host")
    link = page.get_by_role("link", name="See it in the shop")
    assert link.get_attribute("href") == "https://shop.example.com/jacket"
    assert link.get_attribute("rel") == "noopener noreferrer"
    check_accessible(page)
    check_fits(page)
    shot(page, "webchat-card-dark-phone")
    page.get_by_role("button", name="Return it").click()
    page.get_by_text("You said /return_item").wait_for()
    assert page.get_by_role("button", name="Return it").count() == 0  # its question is over
    last = page.locator(".message-bot").last
    last.get_by_role("button", name="Not helpful").click()
    page.get_by_label("What was wrong? (optional)").fill("not this one")
    page.keyboard.press("Enter")
    last.get_by_text("Thank you!").wait_for()
    assert shop.slots("last_feedback")[-1]["value"] == "down"
    assert shop.slots("last_feedback")[-1]["comment"] == "not this one"
    page.reload()
    page.get_by_role("button", name="Not helpful", pressed=True).wait_for()


def test_what_is_written_offline_is_kept_and_sent_once(shop: Shop, visit: OpenPage) -> None:
    page = visit()
    say(page, "first")
    page.get_by_text("You said first").wait_for()
    page.context.set_offline(True)
    page.get_by_text("Connection lost").wait_for()
    for text in ("second", "third"):
        say(page, text)
    page.get_by_text("Not sent. Try again").first.wait_for()
    page.context.set_offline(False)
    page.get_by_text("You said third").wait_for()
    assert lines(page) == ["first", "You said first", "second", "You said second", "third", "You said third"]
    page.get_by_text("Connection lost").wait_for(state="hidden")
    name = conversation(shop)
    assert [one.text for one in shop.agent.handled if one.sender_id == name] == ["first", "second", "third"]


def test_an_answer_lost_on_the_way_is_asked_for_again_without_a_second_message(shop: Shop, visit: OpenPage) -> None:
    page = visit()
    lost: list[str] = []

    def lose(route: Any) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.request.url)
        route.fetch()  # the server has it, the page does not know
        route.abort()

    page.route("**/stream", lambda route: route.abort())
    page.route("**/messages", lose)
    say(page, "only once")
    page.get_by_text("You said only once").wait_for()
    assert [one.text for one in shop.agent.handled].count("only once") == 1
    assert lines(page) == ["only once", "You said only once"]


def test_a_restart_of_the_server_loses_and_repeats_nothing(tmp_path: Path, browser: Any) -> None:
    context = browser.new_context()
    context.set_default_timeout(3 * WAIT_MS)
    page = context.new_page()
    with running(tmp_path / "tracker.db", SETTINGS, time.time) as before:
        page.goto(before.url)
        say(page, "one")
        page.get_by_text("You said one").wait_for()
        name = conversation(before)
        port = int(before.url.split(":")[2].split("/")[0])
        before.append(name, by_anna("just before"))
    before.append(name, by_anna("while it is down"))
    say(page, "written while it is down")
    with running(tmp_path / "tracker.db", SETTINGS, time.time, port) as after:
        page.get_by_text("You said written while it is down").wait_for()
        after.append(name, by_anna("after it"))
        page.get_by_text("after it").wait_for()
        said = ["one", "You said one", "just before", "while it is down", "written while it is down"]
        assert lines(page) == [*said, "You said written while it is down", "after it"]
        assert len(after.agent.handled) == 1
    context.close()


def test_two_pages_of_one_conversation_show_the_same(shop: Shop, visit: OpenPage) -> None:
    page = visit()
    say(page, "hello")
    page.get_by_text("You said hello").wait_for()
    other = page.context.new_page()
    other.goto(shop.url)
    other.get_by_text("You said hello").wait_for()
    say(page, "from the first")
    other.get_by_text("You said from the first").wait_for()
    say(other, "from the second")
    page.get_by_text("You said from the second").wait_for()
    assert lines(page) == lines(other)


def test_hostile_texts_stay_texts(shop: Shop, visit: OpenPage) -> None:
    page = visit(width=PHONE)
    evil = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script> javascript:alert(1)"
    say(page, evil)
    page.get_by_text(f"You said {evil}").wait_for()
    shop.append(
        conversation(shop),
        BotUttered(
            "\u202e" + "w" * 400,
            {
                "buttons": [{"title": "<b>x</b>", "url": "javascript:alert(1)"}],
                "custom": {
                    "card": {"title": "<i>c</i>", "image": "https://evil.example/x.png", "link": "data:text/html,x"}
                },
            },
            metadata={"agent": "<u>Anna</u>"},
        ),
    )
    page.get_by_text("<i>c</i>").wait_for()
    assert page.title() != "hacked"
    assert page.locator("#log img").count() == 0  # a host that is not allowed gets a link instead
    assert page.locator("#log a[href^='javascript'], #log a[href^='data']").count() == 0
    check_fits(page)


def test_the_widget_opens_closes_and_keeps_the_focus_right(shop: Shop, visit: OpenPage) -> None:
    page = visit("demo/")
    check_accessible(page)
    launcher = page.locator("#evergreen-chat .launcher")
    assert launcher.get_attribute("aria-expanded") == "false"
    launcher.focus()
    page.keyboard.press("Enter")
    field = in_frame(page).locator("#message")
    field.wait_for()
    wait_for(lambda: field.evaluate("it => it === document.activeElement && document.hasFocus()"), "focus is inside")
    say(in_frame(page), "hello")
    in_frame(page).get_by_text("You said hello").wait_for()
    check_accessible(page)
    shot(page, "webchat-widget", whole=False)
    page.keyboard.press("Escape")
    page.locator("#evergreen-chat .panel").wait_for(state="hidden")
    assert launcher.evaluate("it => it.getRootNode().activeElement === it")
    assert launcher.get_attribute("aria-expanded") == "false"


def test_the_widget_counts_what_was_not_read_over_pages(shop: Shop, visit: OpenPage) -> None:
    page = visit("demo/")
    page.get_by_role("button", name="Ask us anything").click()
    say(in_frame(page), "hello")
    in_frame(page).get_by_text("You said hello").wait_for()
    in_frame(page).get_by_role("button", name="Close chat").click()
    name = conversation(shop)
    shop.append(name, by_anna("The first"), by_anna("The second"))
    page.get_by_role("button", name="Open chat, 2 unread").wait_for()
    page.reload()
    page.get_by_role("button", name="Open chat, 2 unread").click()
    in_frame(page).get_by_text("The second").wait_for()
    page.reload()  # it was open, and is again, without taking the focus from the page
    in_frame(page).get_by_text("The second").wait_for()
    assert page.evaluate("document.activeElement === document.body")
    page.get_by_role("button", name="Close chat").first.click()
    page.get_by_role("button", name="Open chat", exact=True).wait_for()


def test_on_a_phone_the_widget_takes_the_whole_screen(shop: Shop, visit: OpenPage) -> None:
    page = visit("demo/", width=PHONE, dark=True)
    check_fits(page)
    page.get_by_role("button", name="Open chat").click()
    in_frame(page).locator("#message").wait_for()
    box = page.locator("#evergreen-chat .panel").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, PHONE, 800)
    shot(page, "webchat-widget-phone", whole=False)
    in_frame(page).get_by_role("button", name="Close chat").click()
    page.get_by_role("button", name="Open chat").wait_for()


def test_a_strict_host_page_with_colors_of_its_own(shop: Shop, visit: OpenPage) -> None:
    page = visit("demo/")
    origin = shop.url.split("/webhooks")[0]
    html = f"""<!doctype html><html lang="en"><title>Host</title><h1>Host</h1>
      <script src="{shop.url}widget.js" data-accent="#ffcc00" data-theme="dark" data-position="left"
        data-label="Help" data-title="Ask us"></script></html>"""
    policy = f"default-src 'none'; script-src {origin}; frame-src {origin}"
    page.route(
        "**/host",
        lambda route: route.fulfill(
            body=html, headers={"content-type": "text/html", "content-security-policy": policy}
        ),
    )
    page.goto(f"{origin}/host")
    page.get_by_role("button", name="Help").click()
    field = in_frame(page).locator("#message")
    field.wait_for()
    root = in_frame(page).locator("html")
    wait_for(lambda: root.evaluate("it => it.style.getPropertyValue('--accent')") == "#ffcc00", "the color arrives")
    assert root.get_attribute("data-scheme") == "dark"
    assert root.evaluate("it => getComputedStyle(it).getPropertyValue('--on-accent')") == "#000000"
    assert page.locator("#evergreen-chat .panel").bounding_box()["x"] == 20
    check_accessible(page)


def test_a_known_customer_in_the_widget(shop: Shop, visit: OpenPage) -> None:
    page = visit("demo/")
    before = len(shop.slots("verified_customer"))
    page.get_by_role("button", name="Open chat").click()
    say(in_frame(page), "anonymous words")
    in_frame(page).get_by_text("You said anonymous words").wait_for()
    page.get_by_label("Identity token").fill(shop.identity("7", name="Ada"))
    page.get_by_role("button", name="Log in with it").click()
    in_frame(page).get_by_text("anonymous words").first.wait_for(state="detached")
    say(in_frame(page), "it is me")
    in_frame(page).get_by_text("You said it is me").wait_for()
    assert shop.slots("verified_customer")[before:] == [{"id": "7", "name": "Ada", "email": None}]
    page.get_by_role("button", name="Log out").click()
    in_frame(page).get_by_text("You said anonymous words").wait_for()
    assert in_frame(page).get_by_text("it is me").count() == 0
    kept = in_frame(page).locator("body").evaluate("() => JSON.stringify({...localStorage})")
    assert "customer" not in kept


def test_the_limits_are_told_in_friendly_words(tmp_path: Path, browser: Any) -> None:
    settings = replace(SETTINGS, messages_per_minute=1, max_message_chars=40)
    with running(tmp_path / "tracker.db", settings, time.time) as shop:
        context = browser.new_context()
        page = context.new_page()
        page.goto(shop.url)
        say(page, "x" * 41)
        assert page.locator("#counter").inner_text() == "41 of 40 characters"
        assert shop.agent.handled == []
        say(page, "one")
        page.get_by_text("You said one").wait_for()
        say(page, "two")
        page.get_by_text("You are writing faster than I can read").wait_for()
        page.get_by_text("Not sent. Try again").wait_for()
        context.close()
