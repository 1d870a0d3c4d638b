from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.training_data.message import Message

from components import vector_cache
from components.messages import MIDDLE_LAYERS_SUFFIX, dense_vector
from components.sentence_encoder import SentenceEncoder
from learning.adapters.encoder import CACHE_VARIABLE, OnnxEncoder
from tests.unit.components.toys import Workbench, encoder, training_data


def test_adds_the_embedding_as_sentence_feature(bench: Workbench) -> None:
    component = bench.create(SentenceEncoder)
    [message] = component.process([Message({"text": "where is my order"})])
    vector = dense_vector(message, [])
    assert vector is not None
    assert np.array_equal(vector, encoder().encode(["where is my order"])[0])


def test_middle_layers_are_features_of_their_own(bench: Workbench) -> None:
    [message] = bench.create(SentenceEncoder).process([Message({"text": "hello"})])
    middle = dense_vector(message, [], MIDDLE_LAYERS_SUFFIX)
    assert middle is not None
    assert len(middle) == 768
    [without] = bench.create(SentenceEncoder, middle_layers=False).process([Message({"text": "hello"})])
    assert dense_vector(without, [], MIDDLE_LAYERS_SUFFIX) is None
    assert len(without.features) == 1


@pytest.mark.parametrize("text", ["", "   ", "😀", "?!", None])
def test_a_text_without_words_gets_no_feature(bench: Workbench, text: str | None) -> None:
    [message] = bench.create(SentenceEncoder).process([Message({"text": text})])
    assert dense_vector(message, []) is None


def test_features_carry_the_alias(bench: Workbench) -> None:
    [message] = bench.create(SentenceEncoder, alias="minilm").process([Message({"text": "hello"})])
    assert dense_vector(message, ["minilm"]) is not None
    assert dense_vector(message, ["other"]) is None


@pytest.fixture
def cached(bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Redirects the vector cache and counts the texts that are encoded."""
    bench.create(SentenceEncoder)  # loads the model before the cache directory moves
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    counts: list[int] = []
    original = OnnxEncoder.encode_deep

    def counting(self: OnnxEncoder, texts: list[str]) -> np.ndarray:
        counts.append(len(texts))
        return original(self, texts)

    monkeypatch.setattr(OnnxEncoder, "encode_deep", counting)
    return counts


def test_a_retraining_encodes_only_new_examples(bench: Workbench, cached: list[int]) -> None:
    component = bench.create(SentenceEncoder)
    first = component.process_training_data(training_data({"a": ["one", "two"]}, featurized=False))
    second = component.process_training_data(training_data({"a": ["one", "two", "three"]}, featurized=False))
    assert cached == [2, 1]
    assert np.array_equal(
        dense_vector(first.training_examples[0], []),
        dense_vector(second.training_examples[0], []),  # type: ignore[arg-type]
    )


def test_the_cache_can_be_switched_off(bench: Workbench, cached: list[int], tmp_path: Path) -> None:
    component = bench.create(SentenceEncoder, vector_cache=False)
    component.process_training_data(training_data({"a": ["one"]}, featurized=False))
    assert not (tmp_path / "cache").exists()


def test_a_damaged_vector_cache_only_costs_time(bench: Workbench, cached: list[int], tmp_path: Path) -> None:
    component = bench.create(SentenceEncoder)
    data = {"a": ["one", "two"]}
    component.process_training_data(training_data(data, featurized=False))
    [path] = (tmp_path / "cache" / "vectors").glob("*.sqlite")
    path.write_bytes(b"not a database" * 100)
    component.process_training_data(training_data(data, featurized=False))
    component.process_training_data(training_data(data, featurized=False))
    component.process_training_data(training_data(data, featurized=False))
    assert cached == [2, 2]


def test_the_vector_cache_forgets_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "MAX_VECTORS", 2)
    path = tmp_path / "vectors.sqlite"
    asked: list[str] = []

    def encode(texts: object) -> np.ndarray:
        asked.extend(texts)  # type: ignore[call-overload]
        return np.ones((len(texts), 2), dtype=np.float32)  # type: ignore[arg-type]

    for text in ("one", "two", "three", "one", "one"):
        vector_cache.encode_with_cache(path, [text], encode)
    assert asked == ["one", "two", "three", "one"]


def test_the_vector_cache_holds_no_text(bench: Workbench, cached: list[int], tmp_path: Path) -> None:
    component = bench.create(SentenceEncoder)
    component.process_training_data(training_data({"a": ["a confidential sentence"]}, featurized=False))
    [path] = (tmp_path / "cache" / "vectors").glob("*.sqlite")
    assert b"confidential" not in path.read_bytes()


def test_a_missing_model_directory_is_an_error_before_training(bench: Workbench) -> None:
    with pytest.raises(InvalidConfigException) as caught:
        bench.create(SentenceEncoder, model_dir="/nowhere/at/all")
    assert "SentenceEncoder: /nowhere/at/all: no such model directory" in str(caught.value)


@pytest.mark.parametrize(("option", "value"), [("threads", 0), ("threads", "two"), ("max_tokens", True)])
def test_options_are_checked(bench: Workbench, option: str, value: object) -> None:
    with pytest.raises(InvalidConfigException) as caught:
        bench.create(SentenceEncoder, **{option: value})
    assert f"SentenceEncoder: {option} is {value!r}" in str(caught.value)


def test_fingerprint_follows_the_model() -> None:
    default = SentenceEncoder.fingerprint_addon({})
    assert default == encoder().identity
    assert SentenceEncoder.fingerprint_addon({"max_tokens": 16}) != default
