"""The featurizer that gives every message a sentence embedding."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.featurizers.dense_featurizer.dense_featurizer import DenseFeaturizer
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import FEATURE_TYPE_SENTENCE, TEXT
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.messages import MIDDLE_LAYERS_SUFFIX, has_words, text_of
from components.softmax_regression import Matrix
from components.vector_cache import encode_with_cache
from learning.adapters.encoder import DEFAULT_MAX_TOKENS, EncoderError, OnnxEncoder, cache_directory


@lru_cache(maxsize=4)
def shared_encoder(model_dir: str | None, threads: int, max_tokens: int) -> OnnxEncoder:
    """Returns the encoder of these options; all components of a process share its 60 MB."""
    try:
        return OnnxEncoder(model_dir, threads=threads, max_tokens=max_tokens, cache_size=256)
    except EncoderError as error:
        raise InvalidConfigException(f"SentenceEncoder: {error}") from error


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class SentenceEncoder(DenseFeaturizer, GraphComponent):
    """Adds the unit-length embedding of the whole message as its dense sentence feature.

    A message without a letter or digit gets no feature: there is nothing to compare.
    """

    @staticmethod
    def required_packages() -> list[str]:
        """Any extra python dependencies required for this component to run."""
        return ["onnxruntime", "tokenizers", "numpy"]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """The component's options.

        alias: a name for other components to refer to these features by.
        model_dir: a directory with `tokenizer.json` and either `model.onnx` or the `model.safetensors` of a BERT
            sentence-transformers model; none for the packaged all-MiniLM-L6-v2.
        threads: messages encoded at a time; matters for training only, a customer's message is one.
        max_tokens: word pieces read of a message.
        vector_cache: keep the vectors of training examples on disk, so that a retraining encodes only new ones.
        middle_layers: also add the mean token vectors of two middle layers, as features of the alias with
            `.middle_layers` behind it. They cost no time, and IntentClassifier learns from them.
        """
        return {
            **DenseFeaturizer.get_default_config(),
            "model_dir": None,
            "threads": 2,
            "max_tokens": DEFAULT_MAX_TOKENS,
            "vector_cache": True,
            "middle_layers": True,
        }

    def __init__(self, config: dict[str, Any], name: str) -> None:
        """Loads the encoder; a missing or broken model directory is an error here, not at the first message."""
        super().__init__(name, config)
        self._encoder = shared_encoder(*_encoder_options(config))

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> SentenceEncoder:
        """Creates the component."""
        return cls(config, execution_context.node_name)

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """Follows the weights: another model in the same directory retrains what was built on its vectors."""
        return shared_encoder(*_encoder_options(config)).identity

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Checks the options that Rasa doesn't check."""
        for option in ("threads", "max_tokens"):
            value = config.get(option)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidConfigException(f"SentenceEncoder: {option} is {value!r}; give a whole number above 0.")

    def process(self, messages: list[Message]) -> list[Message]:
        """Adds the embedding to each message."""
        wanted = [message for message in messages if has_words(text_of(message))]
        self._add(wanted, self._encoder.encode_deep([text_of(message) for message in wanted]))
        return messages

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Adds the embedding to each training example, encoding only those never seen before."""
        wanted = [message for message in training_data.training_examples if has_words(text_of(message))]
        texts = [text_of(message) for message in wanted]
        if self._config["vector_cache"] and texts:
            name = re.sub(r"[^\w.-]+", "-", self._encoder.identity)
            path = cache_directory() / "vectors" / f"{name}.sqlite"
            vectors = encode_with_cache(path, texts, self._encoder.encode_deep)
        else:
            vectors = self._encoder.encode_deep(texts)
        self._add(wanted, vectors)
        return training_data

    def _add(self, messages: list[Message], vectors: Matrix) -> None:
        split = self._encoder.dimension
        for message, vector in zip(messages, vectors, strict=True):
            self._add_feature(message, vector[:split], self._identifier)
            if self._config["middle_layers"] and len(vector) > split:
                self._add_feature(message, vector[split:], self._identifier + MIDDLE_LAYERS_SUFFIX)

    def _add_feature(self, message: Message, vector: Matrix, origin: str) -> None:
        message.add_features(Features(vector.reshape(1, -1), FEATURE_TYPE_SENTENCE, TEXT, origin))


def _encoder_options(config: dict[str, Any]) -> tuple[str | None, int, int]:
    options = {**SentenceEncoder.get_default_config(), **config}
    return options["model_dir"], options["threads"], options["max_tokens"]
