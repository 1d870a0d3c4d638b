"""The page of components names every component of the pipeline and every option it has."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/components.md").read_text("utf-8")
PIPELINE = yaml.safe_load((ROOT / "config.yml").read_text("utf-8"))["pipeline"]
OWN = [item["name"] for item in PIPELINE if item["name"].startswith("components.")]
FROM_RASA = {"alias"}  # every featurizer has it


@pytest.mark.parametrize("name", OWN)
def test_every_option_is_documented(name: str) -> None:
    module, _, cls = name.rpartition(".")
    options = set(getattr(import_module(module), cls).get_default_config())
    section = PAGE.partition(f"## {name}\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (.+?) \|", section, re.MULTILINE))))

    assert section, f"docs/components.md has no section on {name}"
    assert documented - FROM_RASA == options - FROM_RASA
