"""The component that notes in what mood a message was written."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.training_data.message import Message

from components.messages import SENTIMENT, text_of

# The mood shows early, and the lexicon's checks grow with the square of the length.
MAX_CHARACTERS = 600

# Words that a lexicon of opinions calls negative and that in a shop only say what the matter is.
_TOPICS = """
alert alone blocked broke broken cancel canceled canceling cancelled cancelling cancels charge charged charges
crack cracked cut damage damaged dead debt defect defective demand denied difficulties dispute dropped error errors
fail failed fails fault faulty fire forget forgot forgotten hard ill leak leave locked lose lost low miss missed
missing no pay problem problems refuse refused reject rejected scratched scratches short sorry stolen stop stopped
stuck tear torn uncertain unsure wrong
"""
TOPIC_WORDS = frozenset(_TOPICS.split())

# What raises the frustration of a message, in shares of 1: half is enough to call a customer frustrated.
_NEGATIVE_WEIGHT = 0.6  # times the strength of the negative words
# Polarity above which loudness is joy: "GREAT, thank you!!"
_JOY = 0.3


def _any_of(*phrases: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(phrases)})", re.IGNORECASE)


_SIGNS: dict[str, tuple[float, re.Pattern[str]]] = {
    "shouting": (0.5, re.compile(r"\b[A-Z]{2,}\W+[A-Z]{3,}\b|\b[A-Z]{3,}\W+[A-Z]{2,}\b")),
    "loud punctuation": (0.2, re.compile(r"[!?]{3,}|\?!|!\?")),
    "punctuation": (0.15, re.compile(r"[!?]{2,}")),
    "waiting": (0.35, _any_of(r"still (?:no|not|nothing|waiting|hasn'?t|haven'?t)\b")),
    "repetition": (
        0.5,
        _any_of(
            r"(?:second|third|fourth|fifth|\d+(?:nd|rd|th)|umpteenth|hundredth) time\b",
            r"(?:\w+ )?times (?:now|already)\b",
            r"(?:ask|tell|told|call|writ|wrote|email|mail|explain)\w*\b.{0,30}\btimes\b",
            r"how (?:many|often)(?: more)? times",
            r"again and again|over and over|every single time|again\s?[?!]",
            r"the same \w{0,10} ?(?:answer|reply|link|question)",
            r"keeps? (?:on )?\w+ing me\b",
            r"already (?:told|said|asked|explained|sent|wrote)\b",
        ),
    ),
    "impatience": (
        0.5,
        _any_of(
            r"(?:are|r) (?:you|u) (?:even|deaf|blind|kidding|serious)|(?:going|goes) nowhere",
            r"tak(?:ing|es|en) (?:so|too|way too) long|taking (?:forever|ages)",
            r"(?:losing|lost|out of) (?:my )?patience|thanks for nothing|wast(?:e|ed|ing) (?:of )?(?:my|our)\b",
            r"(?:i'?m|i am) (?:so )?done with (?:you|this)|stop (?:sending|giving|asking|telling) me",
            r"no ?(?:body|one) (?:ever |even )?(?:cares?|answers?|helps?|replies|listens)",
            r"any ?(?:body|one) (?:there|home)\s?[?!]{2,}",
        ),
    ),
    "strong words": (
        0.5,
        _any_of(
            r"ridiculous|unacceptable|useless|unbelievable|disgrac\w+|outrag\w+|joke\b|fed up|sick (?:of|and tired)",
            r"had enough|never again|never (?:order|buy|shopp?)\w* (?:\w+ ){0,2}again|worst\b|pathetic|appall\w+",
            r"disgust\w+|furious|angry|annoy(?:ed|ing)|frustrat\w+|terrible|horrible|awful|stupid|idiot\w*|incompetent",
            r"rude\b|liars?\b",
            r"(?:rubbish|garbage|trash)(?! (?:bin|can|bag))|i hate (?:this|you|your)|scam\w*|rip.?off|shame on",
            r"for (?:god|christ|heaven)'?s sake|(?:what|where|why|how|who) the (?:hell|heck)|wtf|ffs|omfg|damn|crap",
            r"shit\w*|bullsh\w+|f[u*]+c?k\w*|lawyer|what is wrong with you|seriously\?",
        ),
    ),
    "angry emoji": (0.5, re.compile("[😠😡🤬👿🖕😤]")),
}
# Signs of loudness only.
_TONE = frozenset({"shouting", "loud punctuation", "punctuation"})


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class Sentiment(GraphComponent):
    """Writes the message property `sentiment`, for actions and for mining; it changes no intent.

    - `polarity`: from -1 (negative) to 1, by VADER's lexicon without the words that only name a customer's topic;
    - `frustration`: from 0 to 1, from negative words, shouting, waiting, repetition, impatience, strong words, emoji;
    - `frustrated`: whether that reaches the option `frustrated_from`;
    - `signs`: what raised it, by name.

    It errs towards calm. On 433 messages by somebody who knew nothing of it (tests/data/frustration_second.yml), 10 of
    17 frustrated customers are noticed and one of 416 others is taken for one.
    """

    @staticmethod
    def required_packages() -> list[str]:
        """Any extra python dependencies required for this component to run."""
        return ["vaderSentiment"]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """The component's options.

        frustrated_from: frustration from which a customer counts as frustrated; two signs, or one strong word.
        topic_words: further words that only say what the matter is in this business.
        """
        return {"frustrated_from": 0.5, "topic_words": []}

    def __init__(self, config: dict[str, Any]) -> None:
        """Takes the options."""
        self._config = {**self.get_default_config(), **config}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Sentiment:
        """Creates the component."""
        return cls(config)

    def process(self, messages: list[Message]) -> list[Message]:
        """Notes the mood of each message."""
        for message in messages:
            message.set(SENTIMENT, self._mood(text_of(message)[:MAX_CHARACTERS]), add_to_output=True)
        return messages

    def _mood(self, text: str) -> dict[str, Any]:
        if not text.strip():
            return {"polarity": 0.0, "frustration": 0.0, "frustrated": False, "signs": []}
        analyzer = _analyzer(frozenset(word.lower() for word in self._config["topic_words"]))
        polarity = float(analyzer.polarity_scores(text)["compound"])
        signs = [
            name
            for name, (_, pattern) in _SIGNS.items()
            if pattern.search(text) and not (name in _TONE and polarity > _JOY)
        ]
        raised = sum(_SIGNS[name][0] for name in signs)
        frustration = round(min(1.0, raised + _NEGATIVE_WEIGHT * max(0.0, -polarity)), 3)
        return {
            "polarity": polarity,
            "frustration": frustration,
            "frustrated": frustration >= self._config["frustrated_from"],
            "signs": signs,
        }


@lru_cache(maxsize=4)
def _analyzer(topic_words: frozenset[str]) -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    for word in TOPIC_WORDS | topic_words:
        analyzer.lexicon.pop(word, None)
    return analyzer
