"""A Rasa project for one run of the loop benchmark, with this assistant's own NLU pipeline."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from benchmarks.loop_data import Message, Scenario, title
from benchmarks.nlu_cell import pipelines
from learning.adapters.project import LEARNED_FOLDER
from learning.model import LEARNED_INTENT

ROOT = Path(__file__).parents[1]
TRACKER = "var/tracker.db"


def write_project(folder: Path, scenario: Scenario) -> None:
    """Write config, domain, rules, training data, hold-out and articles as an operator would have them."""
    for name in ("data/nlu", f"data/{LEARNED_FOLDER}", "data/knowledge", "tests/holdout", "models", "var"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    config = {
        "recipe": "default.v1",
        "language": "en",
        "assistant_id": "loop",
        "pipeline": pipelines(ROOT)["evergreen"],
        "policies": [],
    }
    _dump(folder / "config.yml", config)
    responses = {f"utter_{intent}": [{"text": answer_to(intent)}] for intent in sorted(scenario.known)}
    domain = {"version": "3.1", "intents": [*sorted(scenario.known), LEARNED_INTENT], "responses": responses}
    _dump(folder / "domain.yml", domain)
    rules = [
        {"rule": f"answer {intent}", "steps": [{"intent": intent}, {"action": f"utter_{intent}"}]}
        for intent in sorted(scenario.known)
    ]
    _dump(folder / "data" / "rules.yml", {"version": "3.1", "rules": rules})
    _dump(folder / "data" / "nlu" / "nlu.yml", _nlu(scenario.training))
    _dump(folder / "tests" / "holdout" / "nlu.yml", _nlu(scenario.holdout))
    for intent, article in scenario.articles.items():
        (folder / "data" / "knowledge" / article_of(intent)).write_text(article, "utf-8")
    store = {"type": "SQL", "dialect": "sqlite", "db": TRACKER}
    _dump(folder / "endpoints.yml", {"tracker_store": store})


def merge_learned(folder: Path, files: dict[str, str]) -> None:
    """Put what was learned into the working tree, as merging the review branch does."""
    target = folder / "data" / LEARNED_FOLDER
    shutil.rmtree(target)
    target.mkdir()
    for name, text in files.items():
        (target / name).write_text(text, "utf-8")


def article_of(intent: str) -> str:
    """Return the file name of the article on a hidden intent."""
    return f"{intent.lower()}.md"


def answer_to(intent: str) -> str:
    """Return what the bot answers to an intent that it was trained on."""
    return f"You will find {title(intent)} in your account, under the heading of the same name."


def _nlu(messages: Iterable[Message]) -> dict[str, object]:
    by_intent: dict[str, list[str]] = {}
    for message in messages:
        plain = " ".join(message.text.split()).replace("[", "(").replace("]", ")")
        by_intent.setdefault(message.truth, []).append(plain)
    items = [
        {"intent": intent, "examples": "".join(f"- {text}\n" for text in texts)} for intent, texts in by_intent.items()
    ]
    return {"version": "3.1", "nlu": items}


def _dump(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
