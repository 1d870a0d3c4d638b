"""What people say in the demo: real messages of BANKING77 where the file is there, and the shop's own topics."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from learning.adapters.project import Project
from learning.errors import SettingsError
from learning.model import content_id
from learning.settings import load_settings

DEFAULT_DATA = Path("../shared/datasets/banking77/test.csv")
PUBLIC_SOURCE = "https://github.com/PolyAI-LDN/task-specific-datasets (banking_data/test.csv, CC BY 4.0)"
UNKNOWN_TOPIC = "age_limit"  # a thing that shops are asked as well and that this one's bot does not know
UNKNOWN_COUNT, NOISE_COUNT, SHOP_COUNT, UNSEEN_COUNT = 10, 15, 25, 5
ANSWER = "You need to be 18 to have a Fernway account. Younger people can order through a parent's account."

# The same need, written for this project: used where BANKING77 is not at hand.
OWN_UNKNOWN = (
    "how old do i have to be to shop here",
    "Is there a minimum age for an account?",
    "im 16, can i sign up?",
    "whats the age limit to register",
    "Can my daughter open her own account, she is 14",
    "do I need to be 18 to order from you",
    "age requirements for an account??",
    "Are teenagers allowed to have an account with you?",
    "my son wants an account, how old must he be",
    "What is the youngest age you accept for customers?",
    "can kids make an account",
    "at what age can someone open an account",
    "am i too young to register if im 15",
    "how old should you be to create an account here",
    "Is 17 old enough to have an account?",
)


@dataclass(frozen=True)
class Cast:
    """The messages of one demo."""

    source: str
    unknown: tuple[str, ...]
    unseen: tuple[str, ...]
    others: tuple[str, ...]


def choose(root: Path, data: Path, seed: int) -> Cast:
    """Draw the messages: ten of one unknown topic, noise of other topics, and the shop's held-out ones.

    Raises:
        SettingsError: `data` is not a BANKING77 file.
    """
    shop = [example.text for example in Project(load_settings(root)).holdout()]
    if not data.exists():
        others = _drawn(shop, SHOP_COUNT + NOISE_COUNT, seed)
        return Cast("messages of this project", OWN_UNKNOWN[:UNKNOWN_COUNT], OWN_UNKNOWN[UNKNOWN_COUNT:], others)
    with data.open(encoding="utf-8", newline="") as file:
        rows = [(row.get("text", ""), row.get("category", "")) for row in csv.DictReader(file)]
    topic = [text.strip() for text, category in rows if category == UNKNOWN_TOPIC]
    if len(topic) < UNKNOWN_COUNT + UNSEEN_COUNT:
        raise SettingsError(
            f"has {len(topic)} messages of {UNKNOWN_TOPIC}", str(data), f"take test.csv from {PUBLIC_SOURCE}"
        )
    drawn = _drawn(topic, UNKNOWN_COUNT + UNSEEN_COUNT, seed)
    one_each = {category: text.strip() for text, category in rows if category != UNKNOWN_TOPIC}
    noise = _drawn(list(one_each.values()), NOISE_COUNT, seed)
    return Cast(str(data), drawn[:UNKNOWN_COUNT], drawn[UNKNOWN_COUNT:], (*noise, *_drawn(shop, SHOP_COUNT, seed)))


def _drawn(texts: list[str], count: int, seed: int) -> tuple[str, ...]:
    """Return `count` of `texts` in an order that depends on the seed alone."""
    return tuple(sorted(texts, key=lambda text: content_id(seed, text))[:count])
