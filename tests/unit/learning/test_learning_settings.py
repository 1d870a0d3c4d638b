from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from learning.errors import SettingsError
from learning.settings import Settings, load_settings

REPOSITORY = Path(__file__).parents[3]


def write(root: Path, text: str) -> Path:
    (root / "learning.yml").write_text(text, "utf-8")
    return root


SECRETS = ("token", "key", "help_desk_token", "help_desk_secret", "urls")  # from the environment only


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})

    assert settings.gaps == Settings().gaps
    assert settings.root == tmp_path.resolve()


def test_the_documented_file_holds_exactly_the_defaults() -> None:
    documented = yaml.safe_load((REPOSITORY / "learning.yml").read_text("utf-8"))
    defaults = {
        section.name: {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(getattr(Settings(), section.name)).items()
            if name not in SECRETS
        }
        for section in fields(Settings)
        if section.name != "root"
    }

    assert documented == defaults


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("gasp:\n  min_people: 3\n", "learning.yml: gasp"),
        ("gaps:\n  min_peple: 3\n", "learning.yml: gaps: min_peple"),
        ("bot:\n  token: secret\n", "learning.yml: bot: token"),
        ("drafter:\n  key: secret\n", "learning.yml: drafter: key"),
        ("root: /elsewhere\n", "learning.yml: root"),
        ("1: 2\n", "learning.yml: 1"),
    ],
)
def test_an_unknown_key_is_named_with_those_that_exist(tmp_path: Path, text: str, item: str) -> None:
    with pytest.raises(SettingsError, match="is not a setting; use one of") as caught:
        load_settings(write(tmp_path, text), {})

    assert caught.value.item.endswith(item)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "gaps:\n  min_people: three\n",
        "gaps:\n  min_people: 3.5\n",
        "gaps:\n  min_people: true\n",
        "gaps:\n  join_distance: yes\n",
        "store:\n  url: 5\n",
        "gaps: 0\n",
        "gaps: [1]\n",
        "- gaps\n",
        "just words\n",
        "gaps: {min_people: 3\n",
    ],
)
def test_a_wrong_type_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"learning\.yml"):
        load_settings(write(tmp_path, text), {})


def test_an_empty_section_and_a_whole_number_for_a_share_are_fine(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "gaps:\nsignals:\n  near_tie: 1\n"), {})

    assert settings.gaps == Settings().gaps
    assert settings.signals.near_tie == 1.0


def test_names_are_given_as_a_list(tmp_path: Path) -> None:
    (tmp_path / "learning.yml").write_text("conversations:\n  handoff_actions: [action_human, action_call_me]\n")

    assert load_settings(tmp_path, {}).conversations.handoff_actions == ("action_human", "action_call_me")


@pytest.mark.parametrize("value", ["action_human", "[1, 2]", "{a: b}", "null"])
def test_names_that_are_no_list_say_how_to_write_one(tmp_path: Path, value: str) -> None:
    (tmp_path / "learning.yml").write_text(f"conversations:\n  handoff_actions: {value}\n")

    with pytest.raises(SettingsError, match=r"conversations: handoff_actions: is .*, not a list of names; write it as"):
        load_settings(tmp_path, {})


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "learning.yml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SettingsError, match="is not valid YAML"):
        load_settings(tmp_path, {})


def test_a_project_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no folder"):
        load_settings(tmp_path / "typo", {})

    assert not (tmp_path / "typo").exists()


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    write(tmp_path, "store:\n  url: sqlite:///one.db\nbot:\n  url: http://one\n")
    environ = {
        "EVERGREEN_STORE_URL": "postgresql://me@host/two",
        "EVERGREEN_BOT_URL": "http://two",
        "EVERGREEN_BOT_TOKEN": "secret",
    }

    settings = load_settings(tmp_path, environ)

    assert (settings.store.url, settings.bot.url, settings.bot.token) == (
        "postgresql://me@host/two",
        "http://two",
        "secret",
    )
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///var/learning.db", "sqlite:///{root}/var/learning.db"),
        ("sqlite:////srv/learning.db", "sqlite:////srv/learning.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:/srv/a.db?mode=ro&uri=true", "sqlite:///file:/srv/a.db?mode=ro&uri=true"),
        ("postgresql://me@host/name", "postgresql://me@host/name"),
    ],
)
def test_a_relative_database_lies_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, expected: str
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path)

    settings = load_settings(Path("project"), {"EVERGREEN_STORE_URL": url})

    assert settings.store.url == expected.format(root=(tmp_path / "project").resolve())


def test_a_setting_that_has_moved_says_where_to(tmp_path: Path) -> None:
    (tmp_path / "learning.yml").write_text("retrain:\n  max_accuracy_drop: 0.02\n")
    with pytest.raises(SettingsError, match="write it as gate: max_accuracy_drop"):
        load_settings(tmp_path, {})
