"""Topics that a person must see before anything about them goes live: pricing, legal, medical, security, complaints.

A proposal is about a topic if its label is named like it, if one of its texts has one of the topic's words (in whatever
disguise, see `topic_words`) or cannot be read at all, or if its texts do not lie clearly nearer to harmless sentences
than to the topic's. Clearly: more is asked of the mean of a few texts than of the mean of many, so that one message
alone hardly ever passes. `docs/autonomy.md` has the figures.

The sentences are those of `data/topics.yml` alone. A project's own examples are left out on purpose: nothing that
customers say may make an excluded topic look harmless.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import yaml

from learning.errors import SettingsError
from learning.ports import Encoder
from learning.settings import AutonomySettings
from learning.texts import PLACEHOLDER, words_of
from learning.topic_words import Reading, WordList, read
from learning.vectors import Vectors

FILE = Path(__file__).parent / "data" / "topics.yml"
HARMLESS = "harmless"
UNREADABLE = "unreadable"
UNCLEAR = "unclear"
NEIGHBORS = 3  # sentences of each side that a text is compared with
MIDDLE_WEIGHT = 0.6  # of the encoder's middle layers against its sentence vector; missed least on the development texts
# Of the margin by which the nearest sentences of a topic are more similar (mean cosine) than the nearest harmless ones:
MOST = 0.06  # the largest that the mean of very many texts may have
ONE_TEXT = 0.06  # that any one of several may have; lower, it would hold back most of 25 harmless messages
SPREAD = 0.095  # standard deviation among texts about one thing, on the development texts
SURETY = 2.0  # standard deviations of the mean: one in forty is underestimated by chance
READ_KEPT = 5000  # texts; reading one and looking through all lists takes a millisecond
FEWEST = 3  # different texts: what fewer are about is a guess; as many as a gap needs people
SAME = 0.9  # cosine from which two texts say the same and count as one, so that repeating adds no surety


@dataclass(frozen=True)
class Exclusion:
    """Why a proposal needs a person: the topic, how it was noticed, and by what; never a customer's words."""

    topic: str
    by: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.topic} (by {self.by}: {self.evidence})"


@dataclass(frozen=True)
class Topic:
    """A topic as `data/topics.yml` describes it; `about` says in words what belongs to it."""

    name: str
    about: str
    labels: tuple[str, ...]
    words: tuple[str, ...]
    foreign: tuple[str, ...]
    seeds: tuple[str, ...]


@dataclass(frozen=True)
class TopicFile:
    """What `data/topics.yml` holds; see the head of that file."""

    topics: tuple[Topic, ...]
    harmless: tuple[str, ...]
    innocent: frozenset[str]
    other_languages: frozenset[str]


def read_topics(path: Path = FILE) -> TopicFile:
    """Read the topics that can be excluded."""
    content = yaml.safe_load(path.read_text("utf-8"))
    harmless = tuple(content.pop(HARMLESS).splitlines())
    innocent = frozenset(content.pop("innocent").split())
    other_languages = frozenset(content.pop("other_languages").split())
    topics = tuple(
        Topic(
            name=name,
            about=described["about"],
            labels=tuple(described["labels"].split()),
            words=tuple(described["words"].split()),
            foreign=tuple(described["foreign"].split()),
            seeds=tuple(described["seeds"].splitlines()),
        )
        for name, described in content.items()
    )
    return TopicFile(topics, harmless, innocent, other_languages)


class Topics:
    """Finds out whether a proposal is about an excluded topic.

    Raises:
        SettingsError: `autonomy.excluded` names a topic that there is not.

    """

    def __init__(self, settings: AutonomySettings, encoder: Encoder, file: TopicFile | None = None) -> None:
        self._file = file or read_topics()
        known = {topic.name for topic in self._file.topics}
        for name in settings.excluded:
            if name not in known:
                raise SettingsError(
                    f"names {name!r}, which is no topic",
                    "learning.yml: autonomy: excluded",
                    f"use some of {', '.join(sorted(known))}; your own words and intents go into `excluded_words` and"
                    " `excluded_intents`",
                )
        self._encoder = encoder
        self._intents = frozenset(settings.excluded_intents)
        self._topics = tuple(topic for topic in self._file.topics if topic.name in settings.excluded)
        innocent = self._file.innocent
        self._labels = {topic.name: WordList(topic.labels, innocent) for topic in self._topics}
        self._words = {topic.name: WordList(topic.words, innocent, topic.foreign) for topic in self._topics}
        if settings.excluded_words:
            self._words["excluded_words"] = WordList(_with_forms(settings.excluded_words), innocent)
        # Proposals of one run share messages, and a text is asked three things.
        self._reading = lru_cache(maxsize=READ_KEPT)(self._read)
        self._word = lru_cache(maxsize=READ_KEPT)(self._find_word)

    def find(self, label: str, texts: Sequence[str], answer: str | None = None) -> Exclusion | None:
        """Return why what `texts` ask, `label` names and `answer` says needs a person; None if nothing does.

        Args:
            label: the intent, or the full retrieval key.
            texts: the proposal's examples and the messages that it was made from.
            answer: the drafted answer.

        """
        if label in self._intents or label.partition("/")[0] in self._intents:
            return Exclusion("excluded_intents", "label", label)
        asked = [text for text in dict.fromkeys(PLACEHOLDER.sub(" ", text).strip() for text in texts) if text]
        answered = [PLACEHOLDER.sub(" ", answer)] if answer else []
        return (
            self.by_label(label)
            or self.by_word([*asked, *answered])
            or self.by_script([*asked, *answered])
            or self.by_similarity(asked, answered)
            or self.by_number(asked)
        )

    def by_label(self, label: str) -> Exclusion | None:
        """Return the topic that a label is named after, by its own words for labels or by those for texts."""
        named = [read(label.replace("/", " ").replace("_", " "))]
        return _listed(named, self._labels, "label") or _listed(named, self._words, "label")

    def by_word(self, texts: Iterable[str]) -> Exclusion | None:
        """Return the topic of which one of the texts has a word."""
        return next(filter(None, map(self._word, texts)), None)

    def by_script(self, texts: Iterable[str]) -> Exclusion | None:
        """Return an exclusion if one of the texts cannot be read, so that nobody knows what it is about."""
        doubt = next((reading.doubt for reading in map(self._reading, texts) if reading.doubt), None)
        return Exclusion(UNREADABLE, "script", doubt) if doubt else None

    def by_number(self, asked: Sequence[str]) -> Exclusion | None:
        """Return an exclusion if too few different messages say what is asked for."""
        said = [text for text in asked if words_of(text)]
        count = len(self._different(said))
        return Exclusion(UNCLEAR, "number", f"{count} different messages") if count < FEWEST else None

    def by_similarity(self, asked: Sequence[str], answered: Sequence[str] = ()) -> Exclusion | None:
        """Return the topic that the texts are not surely apart from, on average or any one of them alone."""
        texts = [text for text in (*asked, *answered) if words_of(text)]
        if not texts or not self._topics:
            return None
        margins = self.margins(texts)
        nearest = margins.max(axis=1)
        row = int(nearest.argmax())
        if nearest[row] >= ONE_TEXT:
            return Exclusion(self._topics[int(margins[row].argmax())].name, "similarity", f"{nearest[row]:+.2f}")
        count = sum(bool(words_of(text)) for text in asked)
        if not count:
            return None
        different = self._different(texts[:count])
        mean = float(nearest[different].mean())
        if mean >= MOST - SURETY * SPREAD / math.sqrt(len(different)):
            name = self._topics[int(margins[different].mean(axis=0).argmax())].name
            return Exclusion(name, "similarity", f"{mean:+.2f} on average of {len(different)}")
        return None

    def margins(self, texts: Sequence[str]) -> Vectors:
        """Return by how much each text (n) is more similar to each excluded topic (topics) than to what is harmless.

        A text counts as it stands and without its disguise, whichever is nearer to a topic.
        """
        plain = [self._reading(text).plain or text for text in texts]
        vectors = self._space([*texts, *plain])
        near = [_nearest(vectors, seeds) for seeds in self._reference.topics]
        found = np.stack(near, axis=1) - _nearest(vectors, self._reference.harmless)[:, None]
        margins: Vectors = np.maximum(found[: len(texts)], found[len(texts) :])
        return margins

    def _different(self, texts: Sequence[str]) -> list[int]:
        """Return the rows of texts that do not say what an earlier one says."""
        vectors = self._encoder.encode(list(texts))
        kept: list[int] = []
        for row in range(len(texts)):
            if not kept or float((vectors[kept] @ vectors[row]).max()) < SAME:
                kept.append(row)
        return kept

    def _read(self, text: str) -> Reading:
        return read(text, self._file.other_languages)

    def _find_word(self, text: str) -> Exclusion | None:
        return _listed([self._reading(text)], self._words, "word")

    def _space(self, texts: Sequence[str]) -> Vectors:
        return _joined(
            np.asarray(self._encoder.encode_deep(list(texts))), self._reference.center, self._encoder.dimension
        )

    @cached_property
    def _reference(self) -> _Reference:
        """What texts are compared with: encoded when it is first needed, which takes two seconds."""
        groups = [self._file.harmless, *(topic.seeds for topic in self._topics)]
        deep = np.asarray(self._encoder.encode_deep([text for group in groups for text in group]))
        size = self._encoder.dimension
        center = deep[:, size:].mean(axis=0)  # what every sentence has in common tells nothing
        ends = np.cumsum([len(group) for group in groups])[:-1]
        harmless, *topics = np.split(_joined(deep, center, size), ends)
        return _Reference(center, harmless, tuple(topics))


@dataclass(frozen=True)
class _Reference:
    """The vectors of the harmless sentences and of each excluded topic's, and the center of their middle layers."""

    center: Vectors
    harmless: Vectors
    topics: tuple[Vectors, ...]


def _joined(deep: Vectors, center: Vectors, size: int) -> Vectors:
    """Return unit vectors of a sentence with its middle layers, each centered and weighted, behind it."""
    middle: Vectors = deep[:, size:] - center
    layers = [middle[:, start : start + size] for start in range(0, middle.shape[1], size)]
    return _unit(np.concatenate([deep[:, :size], *(MIDDLE_WEIGHT * _unit(layer) for layer in layers)], axis=1))


def _unit(vectors: Vectors) -> Vectors:
    scaled: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return scaled


def _nearest(vectors: Vectors, others: Vectors) -> Vectors:
    """Return the mean cosine of each vector to the nearest of the others."""
    count = min(NEIGHBORS, len(others))
    nearest: Vectors = np.partition(vectors @ others.T, -count, axis=1)[:, -count:].mean(axis=1)
    return nearest


def _listed(readings: Iterable[Reading], lists: Mapping[str, WordList], by: str) -> Exclusion | None:
    for reading in readings:
        for name, words in lists.items():
            if word := words.find(reading):
                return Exclusion(name, by, word)
    return None


def _with_forms(words: Iterable[str]) -> list[str]:
    """Return the operator's own words with their forms: whoever lists `crypto` means cryptos, too."""
    return [word if len(word) < 4 or word.endswith("*") or " " in word else f"{word}*" for word in words]
