"""The desk's command line: where it listens, and what it says when that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from desk.__main__ import cli, listening_port
from learning.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "port"), [("http://127.0.0.1:8082", 8082), ("https://desk.example.com", 443), ("http://desk/x", 80)]
)
def test_it_listens_where_the_settings_say(url: str, port: int) -> None:
    assert listening_port(url) == port


@pytest.mark.parametrize("url", ["", "8082", "desk:8082", "http://desk:port", "http://desk:99999"])
def test_an_address_without_a_port_is_said(url: str) -> None:
    with pytest.raises(SettingsError, match="write it as http"):
        listening_port(url)


@pytest.mark.parametrize("command", ["serve", "queue", "forget"])
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(cli, ["--project", str(tmp_path), command, "--help"])
    assert answer.exit_code == 0, answer.output
