"""Answers are drafted from what is there: sentences of human agents, articles and responses, each with its source.

Where nothing fits the answer stays empty and a person writes it; a guess would cost more trust than it saves time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Protocol, TypeVar

from learning.agent_sentences import AGREED, Said, agreed
from learning.answer_checks import check
from learning.facts import contradiction, says_same
from learning.model import AGENTS, AgentAnswer, Answer, Draft, Source
from learning.ports import Encoder
from learning.review import is_unsayable
from learning.sentences import SHORTEST, split_sentences
from learning.settings import ProposalSettings
from learning.tone import Tone
from learning.vectors import Vectors

ANSWER_SENTENCES = 2  # a chat answer longer than this is not read
LEAD_BONUS = 0.15  # cosine by which an article's first sentence is preferred
AGREED_SIMILARITY = 0.25  # cosine to the question from which agreed sentences answer it: they were said in reply to it
ALONE_SIMILARITY = 0.4  # cosine from which a sentence does that one customer was told, or that another response has
MATERIAL = 8  # sentences that a language model gets to word an answer from
BACKED_SIMILARITY = 0.5  # cosine of a sentence of its answer to the nearest of them, under which it made it up

T = TypeVar("T")


class AnswerDrafter(Protocol):
    """Words an answer from given sentences; fails by returning the draft that it was given, with a warning."""

    def word(self, questions: Sequence[str], material: Sequence[Source], tone: Sequence[str], draft: Draft) -> Draft:
        """Return an answer to what customers asked.

        Args:
            questions: redacted texts of customers.
            material: all that the answer may state.
            tone: answers that the assistant gives to other questions.
            draft: the answer made of sentences of the material.

        """
        ...


@dataclass(frozen=True)
class Article:
    """A knowledge article: its name, and its sentences with (n, d) vectors.

    A sentence's vector is the mean of its own and of that of the sentence under the article's title: "It is free from
    EUR 50" does not say what is.
    """

    name: str
    sentences: tuple[str, ...]
    vectors: Vectors


@dataclass(frozen=True)
class Materials:
    """What an answer may be made of: articles, what agents wrote about the need, and what the assistant answers now."""

    articles: Sequence[Article] = ()
    agent_answers: Sequence[AgentAnswer] = ()
    answers: Sequence[Answer] = ()


def read_article(name: str, text: str, encoder: Encoder) -> Article:
    """Split a Markdown article into plain sentences; front matter, headings and list marks are left out."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    title = re.search(r"\A---\n(?:.*\n)*?title:[ \t]*(.+)|^#+[ \t]+(.+)", text, flags=re.MULTILINE)
    paragraphs = [
        re.sub(r"^[\s>*+-]+", "", line).replace("**", "").strip()
        for line in body.splitlines()
        if line.strip() and not line.startswith("#")
    ]
    sentences = tuple(part for part in split_sentences(" ".join(paragraphs)) if len(part) > SHORTEST)
    if not title or not sentences:
        return Article(name, sentences, encoder.encode(sentences))
    heading = (title[1] or title[2]).strip().strip("\"'")
    titled = encoder.encode([f"{heading}: {sentence}" for sentence in sentences])
    return Article(name, sentences, (encoder.encode(sentences) + titled) / 2)


def draft(
    questions: Sequence[str],
    materials: Materials,
    encoder: Encoder,
    settings: ProposalSettings,
    label: str = "",
    current: Answer | None = None,
    drafter: AnswerDrafter | None = None,
) -> Draft:
    """Return an answer to what customers asked, empty where nothing fits.

    What agents told several customers comes first, then an article, then what one agent said or another response says.
    An answer that customers were not happy with is kept, without what is contradicted now, behind what it lacks; if it
    lacks nothing the draft is empty.

    Args:
        questions: redacted texts of customers.
        materials: what the answer may be made of.
        encoder: places sentences.
        settings: from which cosine a sentence answers a question.
        label: what it would be the answer to; its present answer is not compared with it.
        current: the answer that it would replace.
        drafter: words the answer, if there is material.

    """
    if not questions:
        return Draft()
    search = _Search(encoder.encode(questions), materials, encoder, settings.source_similarity, current)
    chosen, warnings = search.choose()
    if not chosen:
        return Draft()
    tone = Tone.of([answer.text for answer in materials.answers])
    kept: list[Source] = []
    if current is not None:
        kept, lost = search.keep(current, chosen)
        warnings += lost
    sources = (*chosen, *kept)
    # Copied texts hold characters that nobody sees, and that no answer may hold.
    said = "".join(
        char for char in " ".join(tone.adapt(source.sentence) for source in sources) if not is_unsayable(char)
    )
    made = Draft(said, sources, warnings=tuple(warnings))
    if drafter is not None:
        texts = [answer.text for answer in materials.answers if answer.label != label]
        material = search.material(sources)
        worded = drafter.word(questions, material, texts, made)
        unbacked = search.unbacked(worded.answer or "", material) if worded.drafter != made.drafter else None
        made = replace(made, warnings=(*made.warnings, unbacked)) if unbacked else worded
    answer = made.answer or ""
    found = (*check(answer, label, materials.answers, encoder), *tone.warnings(answer))
    return replace(made, warnings=tuple(dict.fromkeys((*made.warnings, *found))))


class _Search:
    """The sentences that may answer some questions (n, d), by where they are from.

    What the present answer says already is left out, if there is one, and what answers less well than it does.
    """

    def __init__(
        self, questions: Vectors, materials: Materials, encoder: Encoder, least: float, current: Answer | None
    ) -> None:
        self._questions = questions
        self._encoder = encoder
        self._least = least
        self._current = split_sentences(current.text) if current else []
        self._nearest = max((self._placed("", text).similarity for text in self._current), default=-1.0)
        self._articles = [
            [
                (row, self._placed(article.name, text, article.vectors[row]))
                for row, text in enumerate(article.sentences)
            ]
            for article in materials.articles
        ]
        self._said = [
            (one, self._placed(AGENTS, one.text, one.vector)) for one in agreed(materials.agent_answers, encoder)
        ]
        others = [
            (answer.response, text)
            for answer in materials.answers
            if current is None or answer.label != current.label
            for text in split_sentences(answer.text)
        ]
        vectors = encoder.encode([text for _, text in others])
        self._answers = [self._placed(*other, vector) for other, vector in zip(others, vectors, strict=True)]

    def choose(self) -> tuple[list[Source], list[str]]:
        """Return the sentences of the answer in reading order, and what a reviewer should know of them."""
        said = [item for item in self._said if self._is_news(item[1])]
        said.sort(key=lambda item: (-item[1].similarity, item[1].sentence))
        fits = [item for item in said if item[1].similarity >= AGREED_SIMILARITY]
        # One agent's word that the assistant should have said it is enough; it was written to be read in its order.
        marked = sorted(
            [item for item in fits if item[0].recommended][:ANSWER_SENTENCES], key=lambda item: item[0].place
        )
        told = marked or [item for item in fits if item[0].customers >= AGREED][:ANSWER_SENTENCES]
        if told:
            return [source for _, source in told], [*_disputes(told), *self._against_articles(told)]
        article = self._from_article()
        if article:
            return article, []
        alone = [item for item in said[:1] if item[1].similarity >= ALONE_SIMILARITY]
        if alone:
            return [alone[0][1]], ["Agents told this to one customer only.", *_disputes(alone)]
        answers = [
            source for source in self._answers if source.similarity >= ALONE_SIMILARITY and self._is_news(source)
        ]
        return sorted(answers, key=lambda source: -source.similarity)[:1], []

    def keep(self, current: Answer, chosen: Sequence[Source]) -> tuple[list[Source], list[str]]:
        """Return the sentences of the present answer that stay, and what is to be said of those that go."""
        kept, lost = [], []
        for sentence in self._current:
            if any(self._contradicts(source, [sentence]) for source in chosen):
                lost.append(f'It contradicts the present answer, which loses: "{sentence}"')
            elif not any(self._compare(says_same, sentence, source.sentence) for source in chosen):
                kept.append(self._placed(current.response, sentence))
        return kept, lost

    def material(self, chosen: Sequence[Source]) -> list[Source]:
        """Return the chosen sentences and, up to `MATERIAL`, the others that are nearest to the questions."""
        articles = [source for article in self._articles for _, source in article]
        said = [source for one, source in self._said if one.recommended or one.customers >= AGREED]
        others = [source for source in (*said, *articles) if source.similarity >= self._least and source not in chosen]
        others.sort(key=lambda source: -source.similarity)
        return [*chosen, *others][: max(MATERIAL, len(chosen))]

    def unbacked(self, answer: str, material: Sequence[Source]) -> str | None:
        """Return why an answer that a language model worded cannot be used, None if the material backs it."""
        texts = [source.sentence for source in material]
        vectors = self._encoder.encode(texts)
        for sentence in split_sentences(answer):
            similarity = vectors @ self._encoder.encode([sentence])[0]
            if float(similarity.max()) < BACKED_SIMILARITY:
                return "The language model wrote a sentence that no source has; these are the sources' own sentences."
            if any(map(contradiction, repeat(sentence), texts, map(float, similarity), repeat(self._encoder))):
                return "The language model contradicted a source; these are the sources' own sentences."
        return None

    def _from_article(self) -> list[Source]:
        """Return the sentences of the best article that answer the questions, in reading order."""
        fitting = [
            [(row, source) for row, source in article if source.similarity >= self._least and self._is_news(source)]
            for article in self._articles
        ]
        best = max(
            fitting, key=lambda article: max((source.similarity for _, source in article), default=-1), default=[]
        )
        # An article says first what it is about: alone, the likeliest sentence is often a detail without its subject.
        best = sorted(best, key=lambda item: (-item[1].similarity - (LEAD_BONUS if item[0] == 0 else 0.0), item[0]))
        return [source for _, source in sorted(best[:ANSWER_SENTENCES], key=lambda item: item[0])]

    def _against_articles(self, told: Sequence[tuple[Said, Source]]) -> list[str]:
        """Return what articles say that cannot be true together with what agents said."""
        articles = [source for article in self._articles for _, source in article if source.similarity >= self._least]
        return [
            f'The article {other.document} may contradict this ({why}): "{other.sentence}"'
            for _, source in told
            for other in articles
            if (why := self._compare(contradiction, source.sentence, other.sentence))
        ]

    def _is_news(self, source: Source) -> bool:
        """Return whether a sentence makes the present answer untrue, or answers better and is not in it."""
        if not self._current or self._contradicts(source, self._current):
            return True
        is_said = any(self._compare(says_same, source.sentence, sentence) for sentence in self._current)
        return source.similarity > self._nearest and not is_said

    def _contradicts(self, source: Source, sentences: Sequence[str]) -> bool:
        return any(self._compare(contradiction, sentence, source.sentence) for sentence in sentences)

    def _compare(self, rule: Callable[[str, str, float, Encoder], T], one: str, other: str) -> T:
        first, second = self._encoder.encode([one, other])
        return rule(one, other, float(first @ second), self._encoder)

    def _placed(self, document: str, sentence: str, vector: Vectors | None = None) -> Source:
        vector = self._encoder.encode([sentence])[0] if vector is None else vector
        return Source(document, sentence, round(float((self._questions @ vector).mean()), 3))


def _disputes(told: Sequence[tuple[Said, Source]]) -> list[str]:
    """Return what agents said to others that contradicts what they said to most."""
    return [f'Agents told others differently: "{one.disputed}"' for one, _ in told if one.disputed is not None]
