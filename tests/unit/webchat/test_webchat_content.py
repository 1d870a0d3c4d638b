from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webchat.content import Button, Card, Link, buttons_of, cards_of, picture, web_address

HOSTS = ("images.example.com",)
IMAGE = "https://images.example.com/a.png"
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["title", "card", "cards", "buttons", "image", "url", "link", "payload"]), inner
        )
    ),
    max_leaves=12,
)


def test_a_card_of_the_custom_part() -> None:
    given_card = {
        "title": "Tent",
        "text": "For two",
        "image": IMAGE,
        "image_alt": "A tent",
        "link": "https://shop.example.com/tent",
        "link_title": "Look",
        "buttons": [{"title": "Buy", "payload": "/buy"}, {"title": "Map", "url": "https://maps.example.com"}],
    }
    wanted = Card(
        "Tent",
        "For two",
        IMAGE,
        "A tent",
        (Link("Look", "https://shop.example.com/tent"), Link("Map", "https://maps.example.com")),
        (Button("Buy", "/buy"),),
    )
    assert cards_of({"custom": {"card": given_card}}, HOSTS) == (wanted,)
    assert cards_of({"attachment": {"cards": [given_card, given_card]}}, HOSTS) == (wanted, wanted)


def test_rasas_elements_are_cards() -> None:
    element = {"title": "Tent", "subtitle": "For two", "image_url": IMAGE, "item_url": "https://x.example/t"}
    assert cards_of({"elements": [element]}, HOSTS) == (
        Card("Tent", "For two", IMAGE, links=(Link("Open", "https://x.example/t"),)),
    )


def test_a_picture_of_another_host_becomes_a_link() -> None:
    [card] = cards_of({"custom": {"card": {"title": "Tent", "image": "https://evil.example/a.png"}}}, HOSTS)
    assert (card.image, card.links) == (None, (Link("Picture", "https://evil.example/a.png"),))


@pytest.mark.parametrize(
    "address",
    [
        "http://images.example.com/a.png",  # others on the way could see it and change it
        "https://images.example.com.evil.example/a.png",
        "https://images.example.com@evil.example/a.png",
        "https://evil.example/images.example.com",
        "https://images.example.com:8443/a.png",
        "data:image/png;base64,AAAA",
        "//images.example.com/a.png",
        "javascript:alert(1)",
        None,
        7,
    ],
)
def test_pictures_come_from_allowed_hosts_only(address: Any) -> None:
    assert picture(address, HOSTS) is None


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "https://", "https://x\ny", "ftp://x", " "]
)
def test_what_is_no_web_address_is_no_link(address: str) -> None:
    assert web_address(address) is None


def test_odd_buttons_are_left_out() -> None:
    assert buttons_of(
        [{"title": "Yes", "payload": "/affirm"}, {"title": ""}, 5, {"payload": "/x"}, {"title": "No"}]
    ) == (
        (Button("Yes", "/affirm"), Button("No", "No")),
        (),
    )
    assert buttons_of("buttons") == ((), ())


@given(ANY_JSON, ANY_JSON)
def test_whatever_an_action_sends_never_breaks_the_chat(custom: Any, elements: Any) -> None:
    for card in cards_of({"custom": custom, "elements": elements}, HOSTS):
        assert card.title
        assert card.image is None or card.image.startswith("https://images.example.com/")
        assert all(link.url.startswith(("https://", "http://")) for link in card.links)
