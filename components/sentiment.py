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

# What raises the frustration of a message, in shares of 1.
_NEGATIVE_WEIGHT = 0.6  # times the strength of the negative words
_SIGNS: dict[str, tuple[float, re.Pattern[str]]] = {
    "shouting": (0.3, re.compile(r"(?:\b[A-Z]{3,}\b\W*){2,}")),
    "punctuation": (0.15, re.compile(r"[!?]{2,}")),
    "repetition": (
        0.35,
        re.compile(
            r"\b(?:(?:second|third|fourth|fifth|\dth|umpteenth|hundredth) time|(?:\w+ )?times (?:now|already)|"
            r"again and again|over and over|how (?:many|often)(?: more)? times|keeps? (?:on )?\w+ing me|"
            r"already (?:told|said|asked|explained|sent|wrote)|still (?:no|not|nothing|waiting|hasn'?t|haven'?t))\b",
            re.IGNORECASE,
        ),
    ),
    "strong words": (
        0.5,
        re.compile(
            r"\b(?:ridiculous|unacceptable|useless|disgrace(?:ful)?|outrag\w+|joke|fed up|sick (?:of|and tired)|"
            r"had enough|"
            r"waste of (?:my )?(?:time|money)|never again|worst|pathetic|appalling|disgust\w+|furious|scam\w*|rip.?off|"
            r"for (?:god|christ|heaven)'?s sake|wtf|ffs|omfg|bull\w*|damn|crap|shit\w*|f[u*]+c?k\w*|lawyer|"
            r"what is wrong with you|are you kidding|seriously\?)",
            re.IGNORECASE,
        ),
    ),
    "angry emoji": (0.5, re.compile("[😠😡🤬👿🖕😤]")),
}


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class Sentiment(GraphComponent):
    """Writes the message property `sentiment`, for actions and for mining; it changes no intent.

    - `polarity`: from -1 (negative) to 1, by VADER's lexicon without the words that only name a customer's topic;
    - `frustration`: from 0 to 1, from negative words, shouting, repetition, strong words and emoji;
    - `frustrated`: whether that reaches the option `frustrated_from`;
    - `signs`: what raised it, by name.
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
        signs = [name for name, (_, pattern) in _SIGNS.items() if pattern.search(text)]
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
