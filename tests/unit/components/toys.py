"""A small assistant's training data and the hands to train components on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from learning.adapters.encoder import OnnxEncoder

EXAMPLES: dict[str, list[str]] = {
    "track_order": [
        "where is my order",
        "track my parcel please",
        "when will my package arrive",
        "has my order been shipped yet",
        "what is the status of my delivery",
        "where is order 10342",
    ],
    "cancel_order": [
        "cancel my order",
        "i want to cancel what i bought",
        "please stop my order before it ships",
        "i don't want the order anymore, cancel it",
        "can you cancel order 10342",
        "how do i call off my purchase",
    ],
    "reset_password": [
        "i forgot my password",
        "reset my password",
        "my password doesn't work, i need a new one",
        "how can i change my password",
        "send me a password reset link",
        "lost my login password",
    ],
    "inform": ["10342", "#10999", "it's 10342", "my number is 11223", "ann@example.com", "order 12345"],
    "greet": ["hi", "hello", "good morning", "hey there", "hi bot", "good evening"],
    "faq/shipping_cost": [
        "how much is shipping",
        "what does delivery cost",
        "is shipping free",
        "price of express delivery",
        "do i pay for shipping",
        "shipping fees?",
    ],
    "faq/opening_hours": [
        "when are you open",
        "what are your opening hours",
        "is the store open on sunday",
        "until when are you open today",
        "opening times please",
        "do you open on holidays",
    ],
    "learned/gift_cards": [
        "can i buy a gift card",
        "do you sell vouchers",
        "how do gift cards work",
        "gift voucher for a friend",
        "where can i order a gift card",
        "do your gift cards expire",
    ],
}

RESPONSES: dict[str, list[dict[str, Any]]] = {
    "utter_faq/shipping_cost": [{"text": "Shipping is 4.95."}],
    "utter_faq/opening_hours": [{"text": "From nine to six."}],
}


@lru_cache(maxsize=1)
def encoder() -> OnnxEncoder:
    return OnnxEncoder(cache_size=4096)


def message(text: str, **data: Any) -> Message:
    """A message as it comes out of the featurizer."""
    built = Message({TEXT: text, **data})
    if any(character.isalnum() for character in text):
        vector = encoder().encode_deep([text])
        size = encoder().dimension
        built.add_features(Features(np.asarray(vector[:, :size]), "sentence", TEXT, "SentenceEncoder"))
        built.add_features(Features(np.asarray(vector[:, size:]), "sentence", TEXT, "SentenceEncoder.middle_layers"))
    return built


def training_data(examples: dict[str, list[str]] | None = None, featurized: bool = True) -> TrainingData:
    chosen = EXAMPLES if examples is None else examples
    messages = []
    for label, texts in chosen.items():
        for text in texts:
            example = Message.build(text, label)
            if featurized:
                example.features = message(text).features
            messages.append(example)
    return TrainingData(messages, responses=RESPONSES)


@dataclass
class Workbench:
    """Where components are trained, stored and loaded."""

    folder: Path
    storage: LocalModelStorage = field(init=False)
    resource: Resource = field(default_factory=lambda: Resource("component"))
    context: ExecutionContext = field(default_factory=lambda: ExecutionContext(GraphSchema({}), "test", node_name="n"))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.storage = LocalModelStorage(self.folder)

    def create(self, kind: Any, **options: Any) -> Any:
        config = {**kind.get_default_config(), **options}
        return kind.create(config, self.storage, self.resource, self.context)

    def load(self, kind: Any, **options: Any) -> Any:
        config = {**kind.get_default_config(), **options}
        return kind.load(config, self.storage, self.resource, self.context)

    def train(self, kind: Any, data: TrainingData | None = None, **options: Any) -> Any:
        component = self.create(kind, **options)
        component.train(training_data() if data is None else data)
        return component

    def file(self, name: str) -> Path:
        return self.folder / self.resource.name / name
