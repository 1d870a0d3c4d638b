from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from learning.adapters import encoder as module
from learning.adapters import encoder_graph
from learning.adapters.encoder import EncoderError, OnnxEncoder
from tests.unit.components.toys import encoder

PARAPHRASES = ("where is my parcel?", "when will my package arrive?", "i forgot my password", "reset my login password")


def test_vectors_are_unit_length_float32_and_in_order() -> None:
    vectors = encoder().encode(["hello", "where is my order", "hello"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(vectors[0], vectors[2])


def test_paraphrases_are_nearer_than_other_needs() -> None:
    similarity = encoder().encode(PARAPHRASES) @ encoder().encode(PARAPHRASES).T
    assert min(similarity[0, 1], similarity[2, 3]) > max(similarity[:2, 2:].ravel()) + 0.2


def test_a_vector_does_not_depend_on_its_neighbors() -> None:
    fresh = OnnxEncoder(threads=2)
    together = fresh.encode([*PARAPHRASES, "a much longer sentence " * 10])
    assert np.array_equal(together[:4], np.vstack([fresh.encode([text]) for text in PARAPHRASES]))


def test_int8_stays_near_fp32() -> None:
    import onnxruntime

    source = module._source_directory(None)
    session = onnxruntime.InferenceSession(encoder_graph.build_graph(source).SerializeToString())
    for text, small in zip(PARAPHRASES, encoder().encode(PARAPHRASES), strict=True):
        ids = np.array([encoder()._tokenizer.encode(text).ids])
        full = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        assert float(full @ small) > 0.98


@pytest.mark.parametrize("text", ["", " ", "\x00\x01", "😀", "я", "\ud800", "x" * 10_000, "a " * 10_000])
def test_any_text_has_a_finite_vector(text: str) -> None:
    assert np.isfinite(encoder().encode([text])).all()


def test_middle_layers_follow_the_sentence_vector() -> None:
    deep = encoder().encode_deep(["where is my order"])
    assert deep.shape == (1, 384 + 768)
    assert np.array_equal(deep[:, :384], encoder().encode(["where is my order"]))


def test_nothing_to_encode_gives_an_empty_matrix() -> None:
    assert encoder().encode([]).shape == (0, 384)


def test_cache_forgets_the_least_recently_used() -> None:
    small = OnnxEncoder(cache_size=2)
    small.encode(["one", "two"])
    small.encode(["one", "three"])
    assert list(small._cache) == ["one", "three"]


def test_identity_names_model_and_length() -> None:
    assert encoder().identity.startswith("all-minilm-l6-v2-r")
    assert OnnxEncoder(max_tokens=16).identity != encoder().identity


@pytest.fixture
def small_model(tmp_path: Path) -> Path:
    """A sentence-transformers directory of a tiny BERT with the packaged tokenizer."""
    from safetensors.numpy import save_file

    folder = tmp_path / "tiny-bert"
    folder.mkdir()
    shutil.copy(module._source_directory(None) / "tokenizer.json", folder)
    config = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps(config))
    random = np.random.default_rng(0)
    shapes = {"embeddings.word_embeddings.weight": (30522, 8), "embeddings.position_embeddings.weight": (512, 8)}
    shapes |= {"embeddings.token_type_embeddings.weight": (2, 8)}
    layer = "encoder.layer.0."
    for name, shape in (
        (f"{layer}attention.self.query", (8, 8)),
        (f"{layer}attention.self.key", (8, 8)),
        (f"{layer}attention.self.value", (8, 8)),
        (f"{layer}attention.output.dense", (8, 8)),
        (f"{layer}intermediate.dense", (16, 8)),
        (f"{layer}output.dense", (8, 16)),
    ):
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in ("embeddings.LayerNorm", f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"):
        shapes |= {f"{name}.weight": (8,), f"{name}.bias": (8,)}
    save_file(
        {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
        str(folder / "model.safetensors"),
    )
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(module.CACHE_VARIABLE, str(folder))
    return folder


def test_a_sentence_transformers_directory_is_built_once(
    small_model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = OnnxEncoder(small_model)
    monkeypatch.setattr(encoder_graph, "build_graph", None)
    second = OnnxEncoder(small_model)
    assert first.dimension == 8
    assert first.identity == second.identity
    assert np.array_equal(first.encode(["hello"]), second.encode(["hello"]))


def test_cls_pooling_is_read(small_model: Path, cache: Path) -> None:
    mean = OnnxEncoder(small_model).encode(["hello there"])
    (small_model / "1_Pooling").mkdir()
    (small_model / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    shutil.rmtree(cache)
    assert not np.allclose(OnnxEncoder(small_model).encode(["hello there"]), mean)


@pytest.mark.parametrize("damaged", ["*.onnx", "manifest.json"])
def test_a_damaged_cache_is_built_again(small_model: Path, cache: Path, damaged: str) -> None:
    expected = OnnxEncoder(small_model).encode(["hello"])
    for path in (cache / "encoders").rglob(damaged):
        path.write_bytes(path.read_bytes()[:20])
    assert np.array_equal(OnnxEncoder(small_model).encode(["hello"]), expected)


def test_concurrent_builders_do_not_disturb_each_other(small_model: Path, cache: Path) -> None:
    vectors: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: vectors.append(OnnxEncoder(small_model).encode(["hi"]))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(vectors) == 4
    assert all(np.array_equal(vector, vectors[0]) for vector in vectors)


def test_a_finished_onnx_directory_can_be_named(small_model: Path, cache: Path, tmp_path: Path) -> None:
    built = OnnxEncoder(small_model)
    folder = tmp_path / "finished"
    folder.mkdir()
    graph = next((cache / "encoders").rglob("*.onnx"))
    shutil.copy(graph, folder / "model.onnx")
    shutil.copy(small_model / "tokenizer.json", folder)
    assert np.array_equal(OnnxEncoder(folder).encode(["hello"]), built.encode(["hello"]))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError) as caught:
        OnnxEncoder(tmp_path / "nowhere")
    assert "nowhere: no such model directory" in str(caught.value)


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError) as caught:
        OnnxEncoder(tmp_path)
    assert "neither model.onnx nor model.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("model.safetensors", b"nonsense", "model.safetensors: cannot be read"),
        ("config.json", b"{", "not a readable BERT config"),
        ("config.json", b'{"model_type": "t5"}', "only 'bert' can be built"),
        ("tokenizer.json", b"{}", "tokenizer.json: cannot be read"),
        ("model.onnx", b"nonsense", "isn't a loadable ONNX model"),
    ],
)
def test_a_broken_file_is_named(small_model: Path, cache: Path, name: str, content: bytes, expected: str) -> None:
    (small_model / name).write_bytes(content)
    with pytest.raises(EncoderError) as caught:
        OnnxEncoder(small_model)
    assert expected in str(caught.value)


def test_a_cache_that_cannot_be_written_is_named(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a directory should be")
    monkeypatch.setenv(module.CACHE_VARIABLE, str(blocked))
    with pytest.raises(EncoderError) as caught:
        OnnxEncoder(small_model)
    assert "cannot be written" in str(caught.value)


def test_options_are_checked() -> None:
    with pytest.raises(EncoderError) as caught:
        OnnxEncoder(threads=0)
    assert "threads=0" in str(caught.value)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        module.write_atomically(tmp_path / "file", b"data")
    assert list(tmp_path.iterdir()) == []


def test_one_order_number_stands_for_all() -> None:
    texts = ["where is order 10342", "where is order #18888", "where is order <ORDER_1>", "where is order 12"]

    vectors = encoder().encode(texts)

    assert np.allclose(vectors[0], vectors[1])
    assert np.allclose(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], vectors[3])
