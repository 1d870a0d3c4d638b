"""docs/settings.md names every setting and every environment variable of the code, with the defaults that hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from actions.services import shop_client
from components import slack_inbox
from hub.settings import DEFAULT_DATABASE, HubSettings
from hub.staff import oidc
from learning import overlay
from learning.adapters import encoder
from learning.errors import EvergreenError
from learning.overrides import LOCK
from scripts import settings_page
from shop import database, mailer
from tests.docs_pages import PAGES, name_of, prose_of

ROOT = Path(__file__).parents[3]
CODE = ("learning", "hub", "webchat", "desk", "actions", "components", "shop", "deploy")
KINDS = ("*.py", "*.yml", "*.yaml")
NAME = re.compile(r"EVERGREEN_[A-Z0-9_]+")
ROW = re.compile(r"^\| `(EVERGREEN_\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
PAGE = settings_page.PAGE.read_text("utf-8")

# Where the code has the default of a variable that is no setting of learning.yml.
DEFAULTS: Mapping[str, object] = {
    "EVERGREEN_CACHE": f"~/{encoder.cache_directory().relative_to(Path.home())}",
    "EVERGREEN_HUB_DB": DEFAULT_DATABASE,
    "EVERGREEN_HUB_URL": HubSettings.public_url,
    "EVERGREEN_HUB_OIDC_NAME_CLAIM": oidc.OidcSettings.name_claim,
    "EVERGREEN_HUB_OIDC_GROUPS_CLAIM": oidc.OidcSettings.groups_claim,
    "EVERGREEN_HUB_OIDC_SCOPE": oidc.OidcSettings.scope,
    "EVERGREEN_HUB_OIDC_LABEL": oidc.OidcSettings.label,
    "EVERGREEN_OVERLAY": "on",
    "EVERGREEN_OVERLAY_POLL": overlay.POLL_SECONDS,
    "EVERGREEN_SHOP_DB": database.DEFAULT_URL,
    "EVERGREEN_SHOP_MAIL_FROM": mailer.MailServer.sender,
    "EVERGREEN_SHOP_URL": shop_client.DEFAULT_URL,
    "EVERGREEN_SLACK_INBOX": slack_inbox.DEFAULT,
}


def variables_of_the_code() -> set[str]:
    """Every name that the code has, those that it puts together included."""
    files = [path for folder in CODE for kind in KINDS for path in (ROOT / folder).rglob(kind)]
    files += [path for kind in KINDS for path in ROOT.glob(kind)]
    found = {name for path in files for name in NAME.findall(path.read_text("utf-8"))}
    found |= {f"EVERGREEN_HUB_OIDC_{name}" for name in oidc.NAMES}
    return {name for name in found if not name.endswith("_") and not name.startswith(LOCK)}


def documented() -> dict[str, str]:
    return {name: default.strip("`") for name, default, _, _ in ROW.findall(PAGE)}


def test_the_tables_are_those_of_the_code() -> None:
    assert settings_page.page(PAGE) == PAGE, "run `python -m scripts.settings_page`"


def test_every_setting_says_what_it_is() -> None:
    silent = [row.key for row in settings_page.read_rows() if not row.meaning and row.default is not None]

    assert silent == [], "give each a comment with unit and reason in learning.yml"


def test_every_environment_variable_of_the_code_is_documented_and_no_other() -> None:
    assert set(documented()) == variables_of_the_code()


def test_the_defaults_of_the_variables_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERGREEN_CACHE", raising=False)
    settings = {row.variable: (row.default or "").strip('"[]') for row in settings_page.read_rows() if row.variable}
    expected = {name: str(DEFAULTS.get(name, settings.get(name) or "none")) for name in documented()}

    assert documented() == expected


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_that_a_page_names_exist(page: Path) -> None:
    keys = {row.key for row in settings_page.read_rows()}
    sections = {key.partition(".")[0] for key in keys}
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)(?:: [^`]*)?`", prose_of(page)))
    files = {"yml", "md", "py", "db", "json", "css", "js"}

    assert {one for one in named if one.split(".")[0] in sections and one.split(".")[1] not in files} <= keys


def test_comments_are_read_with_their_continuations() -> None:
    text = "# The file.\n\nfirst:   # about it\n  one: [1, 2]  # unit\n     # and reason\n  two: 3\nlast:\n  x: 1\n"

    assert settings_page.read_comments(text) == {"first": "about it", "first.one": "unit and reason"}


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(EvergreenError, match="lost its marks"):
        settings_page.page("# Settings\n")
