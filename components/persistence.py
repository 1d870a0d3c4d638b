"""Model files of the components: plain arrays and JSON in one checked archive, never pickled objects."""

from __future__ import annotations

import hashlib
import inspect
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasa.shared.exceptions import RasaException

_META = "meta"


class ModelFileError(RasaException):
    """A component's part of a trained model cannot be read."""


def save_archive(path: Path, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes arrays and a JSON object into one compressed file."""
    encoded = np.frombuffer(json.dumps(meta, ensure_ascii=False).encode("utf-8"), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, **{_META: encoded}, **arrays)


def load_archive(path: Path, component: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Reads what `save_archive` wrote; a damaged file raises an error that names component, file and remedy."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop(_META).tobytes().decode("utf-8"))
        if not isinstance(meta, dict):
            raise ValueError("its description isn't an object")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise unreadable(component, path, error) from error
    return meta, arrays


def unreadable(component: str, path: Path | str, error: BaseException) -> ModelFileError:
    """Returns the error for a model file that is missing, damaged or incomplete."""
    name = path.name if isinstance(path, Path) else path
    return ModelFileError(
        f"{component}: its file '{name}' in the trained model is missing or damaged "
        f"({type(error).__name__}: {error}). Train again with `rasa train`, or start an older model from models/."
    )


def source_fingerprint(*modules: ModuleType) -> str:
    """Returns a hash of the modules' source, so that a change in a helper retrains what it trained."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(inspect.getsource(module).encode("utf-8"))
    return digest.hexdigest()
