from __future__ import annotations

import pytest

from webchat.errors import WebchatConfigError
from webchat.page import load_pages, load_static, security_headers
from webchat.settings import WebchatSettings


def test_no_options_give_the_defaults() -> None:
    assert WebchatSettings.from_options(None) == WebchatSettings()


def test_options_replace_defaults() -> None:
    settings = WebchatSettings.from_options({"title": "Help", "suggestions": ["Hi"], "token_days": 1})
    assert (settings.title, settings.suggestions, settings.token_days) == ("Help", ("Hi",), 1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"token_days": 0}, "token_days"),
        ({"token_days": True}, "token_days"),
        ({"messages_per_minute": "20"}, "messages_per_minute"),
        ({"title": 5}, "title"),
        ({"suggestions": "Hi"}, "suggestions"),
        ({"frame_ancestors": "*; script-src *"}, "frame_ancestors"),
        ({"demo_page": "yes"}, "demo_page"),
        ({"image_hosts": "images.example.com"}, "image_hosts"),
        ({"image_hosts": ["*; script-src *"]}, "image_hosts"),
        ({"image_hosts": ["https://images.example.com"]}, "image_hosts"),
        ({"push_interval_ms": 0}, "push_interval_ms"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(WebchatConfigError) as raised:
        WebchatSettings.from_options(options)
    assert named in str(raised.value)
    assert str(raised.value).startswith("credentials.yml: webchat")


def test_the_page_escapes_what_the_settings_say() -> None:
    html = load_pages(WebchatSettings(title='<b>"Help" & more</b>', suggestions=('"><script>',)))[
        "index.html"
    ].body.decode()
    assert "<b>" not in html
    assert '"><script>' not in html


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    everything = [*load_pages(WebchatSettings()).values(), *load_static().values()]
    for asset in everything:
        text = asset.body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "//www" not in text
        assert 'src="http' not in text
        assert "@import" not in text
        assert "innerHTML" not in text
        assert "style=" not in text


def test_the_policy_has_no_way_around_for_scripts() -> None:
    policy = security_headers("'none'")["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert policy.endswith("frame-ancestors 'none'")


def test_pictures_are_allowed_from_named_hosts_only() -> None:
    policy = security_headers("'none'", ("images.example.com",))["Content-Security-Policy"]
    assert "img-src 'self' images.example.com;" in policy
