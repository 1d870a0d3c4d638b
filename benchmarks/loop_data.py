"""What the loop benchmark is played with: a bot that lacks some intents, weeks of messages, and a test apart.

Every message is used once: to train the bot, to hold out for the retraining gate, in one week's stream, or in the test.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.nlu_data import OUT_OF_SCOPE, load
from learning.texts import STOP_WORDS, words_of

DATASETS = ("clinc150", "banking77")
ZIPF = 0.8  # exponent of how often each hidden need comes
HIDDEN_MEAN = 18  # messages on a hidden need in a week, on average before the pool of a data set ends
HIDDEN_LEAST = 2
KNOWN_A_WEEK = 4  # messages on each intent that the bot was trained on
KNOWN_TRAINED = 0.6  # share of an intent's messages that training may take at most
HELD_OUT = 4  # messages of each trained intent that the retraining gate compares on
HIDDEN_TESTED, KNOWN_TESTED = 20, 5  # test messages of an intent
OUTSIDE_A_WEEK, OUTSIDE_TESTED = 50, 300  # messages that no intent covers
RESERVED = 8  # messages of a hidden intent that only its article is written from
KEYWORDS = 5


@dataclass(frozen=True)
class Size:
    """How large a run is: intents of the data set (None: all), hidden ones, training messages an intent, weeks."""

    hidden: Mapping[str, int]
    shots: int
    weeks: int
    intents: int | None = None


FULL = Size({"clinc150": 30, "banking77": 15}, shots=40, weeks=6)
QUICK = Size({"clinc150": 6, "banking77": 6}, shots=20, weeks=2, intents=30)


@dataclass(frozen=True)
class Message:
    """What a customer says, and its intent: one of the data set, or `oos`."""

    text: str
    truth: str


@dataclass(frozen=True)
class Scenario:
    """A bot's training data, the intents hidden from it, and what its customers will say."""

    dataset: str
    seed: int
    hidden: frozenset[str]
    known: frozenset[str]
    training: tuple[Message, ...]
    holdout: tuple[Message, ...]
    weeks: tuple[tuple[Message, ...], ...]
    test: tuple[Message, ...]
    articles: Mapping[str, str]  # hidden intent -> Markdown


def build(dataset: str, folder: Path, seed: int, size: Size = FULL) -> Scenario:
    """Draw a scenario; the same one for the same arguments.

    Raises:
        SystemExit: the data set is not there.
    """
    rng = random.Random(f"loop {dataset} {seed}")
    train, test, outside = _pools(dataset, folder)
    intents = sorted(train)
    intents = sorted(rng.sample(intents, size.intents)) if size.intents else intents
    hidden = frozenset(rng.sample(intents, size.hidden[dataset]))
    known = frozenset(intents) - hidden
    for texts in (*train.values(), *test.values(), outside):
        rng.shuffle(texts)
    training: list[Message] = []
    holdout: list[Message] = []
    weeks: list[list[Message]] = [[] for _ in range(size.weeks)]
    for intent in sorted(known):
        pool = train[intent]
        count = min(size.shots, int(KNOWN_TRAINED * len(pool)))
        training += [Message(text, intent) for text in pool[:count]]
        holdout += [Message(text, intent) for text in pool[count : count + HELD_OUT]]
        _spread(pool[count + HELD_OUT :], intent, KNOWN_A_WEEK, weeks)
    for rank, intent in enumerate(rng.sample(sorted(hidden), len(hidden))):
        scale = HIDDEN_MEAN * len(hidden) / sum((place + 1) ** -ZIPF for place in range(len(hidden)))
        wanted = max(HIDDEN_LEAST, round(scale * (rank + 1) ** -ZIPF))
        _spread(train[intent][RESERVED:], intent, wanted, weeks)
    tested = outside[:OUTSIDE_TESTED]
    _spread(outside[OUTSIDE_TESTED:], OUT_OF_SCOPE, OUTSIDE_A_WEEK, weeks)
    for week in weeks:
        rng.shuffle(week)
    return Scenario(
        dataset=dataset,
        seed=seed,
        hidden=hidden,
        known=known,
        training=tuple(training),
        holdout=tuple(holdout),
        weeks=tuple(map(tuple, weeks)),
        test=(
            *(Message(text, intent) for intent in sorted(hidden) for text in test[intent][:HIDDEN_TESTED]),
            *(Message(text, intent) for intent in sorted(known) for text in test[intent][:KNOWN_TESTED]),
            *(Message(text, OUT_OF_SCOPE) for text in tested),
        ),
        articles=_articles({intent: train[intent][:RESERVED] for intent in sorted(hidden)}),
    )


def title(intent: str) -> str:
    """Return an intent's name in words."""
    return intent.replace("_", " ").lower()


def _spread(pool: Sequence[str], intent: str, wanted: int, weeks: Sequence[list[Message]]) -> None:
    """Give every week up to `wanted` messages of the pool, the same number each."""
    count = min(wanted, len(pool) // len(weeks))
    for number, week in enumerate(weeks):
        week += [Message(text, intent) for text in pool[number * count : (number + 1) * count]]


def _pools(dataset: str, folder: Path) -> tuple[dict[str, list[str]], dict[str, list[str]], list[str]]:
    """Return messages by intent to train and talk with, those to test with, and what no intent covers."""
    data = load(dataset, folder)
    content = json.loads((folder / "clinc150" / "data_full.json").read_text("utf-8"))
    more = [(text, intent) for text, intent in content["val"]] if dataset == "clinc150" else []
    outside = [text for part in ("oos_train", "oos_val", "oos_test") for text, _ in content[part]]
    seen: set[str] = set()

    def fresh(text: str) -> bool:
        key = text.casefold().strip()
        new = key not in seen
        seen.add(key)
        return new

    # A message that stands in two parts is used in the first of them only.
    test, train = defaultdict(list), defaultdict(list)
    for text, intent in data.test:
        if fresh(text):
            test[intent].append(text)
    for text, intent in (*data.train, *more):
        if fresh(text):
            train[intent].append(text)
    return dict(train), dict(test), [text for text in outside if fresh(text)]


def _articles(reserved: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a short article on each intent, from a template, its name and the words that only its messages have."""
    said = {
        intent: Counter(word for text in texts for word in set(words_of(text))) for intent, texts in reserved.items()
    }
    everywhere = Counter(word for counts in said.values() for word in counts)
    articles = {}
    for intent, counts in said.items():
        own = [word for word in counts if word not in STOP_WORDS]
        own.sort(key=lambda word: (-counts[word] / everywhere[word], word))
        words = own[:KEYWORDS] or [title(intent)]
        questions = "".join(f'For "{text}", see the page {title(intent)}.\n' for text in reserved[intent])
        articles[intent] = (
            f"# {title(intent).capitalize()}\n\n"
            f"This is what to know about {title(intent)}: {', '.join(words)}.\n{questions}"
        )
    return articles
