"""What the components read from and write to Rasa's messages, named once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasa.nlu.constants import (
    RESPONSE_SELECTOR_PREDICTION_KEY,
    RESPONSE_SELECTOR_PROPERTY_NAME,
    RESPONSE_SELECTOR_RANKING_KEY,
    RESPONSE_SELECTOR_RESPONSES_KEY,
    RESPONSE_SELECTOR_RETRIEVAL_INTENTS,
    RESPONSE_SELECTOR_UTTER_ACTION_KEY,
)
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import (
    ENTITIES,
    ENTITY_ATTRIBUTE_END,
    ENTITY_ATTRIBUTE_START,
    ENTITY_ATTRIBUTE_TYPE,
    FEATURE_TYPE_SENTENCE,
    INTENT,
    INTENT_NAME_KEY,
    INTENT_RANKING_KEY,
    INTENT_RESPONSE_KEY,
    PREDICTED_CONFIDENCE_KEY,
    TEXT,
)
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.softmax_regression import Matrix

# Message properties that these components add to what `/model/parse` returns and the tracker keeps.
OUT_OF_SCOPE = "out_of_scope"
OVERLAY = "overlay"
OVERLAY_WITHHELD = "overlay_withheld"  # the entry that would have decided if its rollout had reached the sender
SENTIMENT = "sentiment"

# What a featurizer's name carries behind it where the features are those of the encoder's middle layers.
MIDDLE_LAYERS_SUFFIX = ".middle_layers"

_WORD = re.compile(r"\w")


def text_of(message: Message) -> str:
    """Returns the text of a message, an empty string if it has none."""
    return str(message.get(TEXT) or "")


def has_words(text: str) -> bool:
    """Tells whether a text holds at least one letter or digit of any script."""
    return _WORD.search(text) is not None


def label_of(message: Message) -> str:
    """Returns the full label of a training example: `faq/shipping_cost`, or the intent if it isn't a retrieval one."""
    return str(message.get(INTENT_RESPONSE_KEY) or message.get(INTENT))


def base_intent(label: str) -> str:
    """Returns the intent that a label belongs to: `faq` for `faq/shipping_cost`."""
    return label.split("/", 1)[0]


def dense_vector(message: Message, featurizers: Sequence[str], suffix: str = "") -> Matrix | None:
    """Returns the sentence vector of a message from the named featurizers (all if none is named).

    With a suffix it returns what the featurizers wrote under their name and that suffix instead.
    """
    parts = [
        np.asarray(feature.features, dtype=np.float32).reshape(-1)
        for feature in message.features
        if feature.attribute == TEXT
        and feature.type == FEATURE_TYPE_SENTENCE
        and feature.is_dense()
        and _is_wanted(feature.origin, featurizers, suffix)
    ]
    return np.concatenate(parts) if parts else None


def _is_wanted(origin: str | list[str], featurizers: Sequence[str], suffix: str) -> bool:
    name = origin if isinstance(origin, str) else origin[0]
    if name.endswith(MIDDLE_LAYERS_SUFFIX) != bool(suffix):
        return False
    return not featurizers or name.removesuffix(suffix) in featurizers


@dataclass(frozen=True)
class LabeledExamples:
    """The training examples that a component can learn from, row for row."""

    vectors: Matrix
    middle: Matrix | None  # of the encoder's middle layers, if every example has them
    texts: list[str]
    labels: list[str]


def labeled_examples(training_data: TrainingData, featurizers: Sequence[str], component: str) -> LabeledExamples:
    """Returns vectors, texts and full labels of all examples that have a text, an intent and features."""
    examples = [example for example in training_data.intent_examples if has_words(text_of(example))]
    vectors = [dense_vector(example, featurizers) for example in examples]
    known = [(vector, example) for vector, example in zip(vectors, examples, strict=True) if vector is not None]
    if examples and not known:
        named = f" from {', '.join(featurizers)}" if featurizers else ""
        raise RasaException(
            f"{component}: none of the {len(examples)} training examples has dense sentence features{named}. "
            "Put components.sentence_encoder.SentenceEncoder before it in the pipeline of config.yml."
        )
    if not known:
        return LabeledExamples(np.zeros((0, 0), dtype=np.float32), None, [], [])
    middles = [dense_vector(example, featurizers, MIDDLE_LAYERS_SUFFIX) for _, example in known]
    present = [middle for middle in middles if middle is not None]
    return LabeledExamples(
        vectors=np.stack([vector for vector, _ in known]),
        middle=np.stack(present) if len(present) == len(known) else None,
        texts=[text_of(example) for _, example in known],
        labels=[label_of(example) for _, example in known],
    )


def ranked(name: str | None, confidence: float) -> dict[str, Any]:
    """Returns an intent as Rasa's classifiers write it."""
    return {INTENT_NAME_KEY: name, PREDICTED_CONFIDENCE_KEY: confidence}


def set_intents(message: Message, ranking: list[dict[str, Any]]) -> None:
    """Makes the first of the ranking the intent of the message."""
    message.set(INTENT, dict(ranking[0]) if ranking else ranked(None, 0.0), add_to_output=True)
    message.set(INTENT_RANKING_KEY, ranking, add_to_output=True)


def set_response(
    message: Message,
    label: str,
    ranking: list[tuple[str, float]],
    responses: list[dict[str, Any]],
    retrieval_intents: Sequence[str],
) -> None:
    """Writes the response chosen for a retrieval intent in the shape of Rasa's ResponseSelector."""
    properties = dict(message.get(RESPONSE_SELECTOR_PROPERTY_NAME) or {})
    known = properties.get(RESPONSE_SELECTOR_RETRIEVAL_INTENTS, [])
    properties[RESPONSE_SELECTOR_RETRIEVAL_INTENTS] = sorted({*known, *retrieval_intents})
    properties[base_intent(label)] = {
        RESPONSE_SELECTOR_PREDICTION_KEY: {
            RESPONSE_SELECTOR_RESPONSES_KEY: responses,
            PREDICTED_CONFIDENCE_KEY: ranking[0][1],
            INTENT_RESPONSE_KEY: label,
            RESPONSE_SELECTOR_UTTER_ACTION_KEY: f"utter_{label}",
        },
        RESPONSE_SELECTOR_RANKING_KEY: [
            {PREDICTED_CONFIDENCE_KEY: confidence, INTENT_RESPONSE_KEY: key} for key, confidence in ranking
        ],
    }
    message.set(RESPONSE_SELECTOR_PROPERTY_NAME, properties, add_to_output=True)


def full_ranking(message: Message) -> list[tuple[str, float]]:
    """Returns full labels with their probabilities, best first: retrieval intents are split into their keys."""
    selected = message.get(RESPONSE_SELECTOR_PROPERTY_NAME) or {}
    labels: list[tuple[str, float]] = []
    for entry in message.get(INTENT_RANKING_KEY) or []:
        name, confidence = str(entry[INTENT_NAME_KEY]), float(entry[PREDICTED_CONFIDENCE_KEY])
        keys = selected.get(name, {}).get(RESPONSE_SELECTOR_RANKING_KEY)
        if keys:
            labels += [
                (str(key[INTENT_RESPONSE_KEY]), confidence * float(key[PREDICTED_CONFIDENCE_KEY])) for key in keys
            ]
        else:
            labels.append((name, confidence))
    return sorted(labels, key=lambda label: -label[1])


def only_entities(message: Message, kinds: Sequence[str] = ()) -> bool:
    """Tells whether a message holds entities (of the kinds named, or any) and no other word: a bare order number."""
    entities = [
        entity for entity in message.get(ENTITIES) or [] if not kinds or entity.get(ENTITY_ATTRIBUTE_TYPE) in kinds
    ]
    if not entities:
        return False
    characters = list(text_of(message))
    for entity in entities:
        start, end = int(entity[ENTITY_ATTRIBUTE_START]), int(entity[ENTITY_ATTRIBUTE_END])
        characters[start:end] = " " * len(characters[start:end])
    return not has_words("".join(characters))
