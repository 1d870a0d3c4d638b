"""The lists by which words are told from names: Faker's names of 60 countries and WordNet's words.

Faker (MIT) keeps first and last names for each locale; the dictionary is WordNet's index, which the spaCy model
carries for its lemmatizer.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

from learning.privacy.lexicon import Lexicon

_LATIN = re.compile(r"[A-Za-zÀ-ɏ'’-]{2,}(?: [A-Za-zÀ-ɏ'’-]{2,})?")
_NOUN = "noun"
_GIVEN, _LAST = ("first_name", "first_romanized"), ("last_name", "last_romanized")


def read_lexicon(model: Path) -> Lexicon:
    """Return the names and words; `model` is the folder of the spaCy model.

    Raises:
        ImportError: Faker is not installed.
        OSError: the model carries no dictionary.
    """
    from spacy.lookups import Lookups

    index = Lookups().from_disk(model / "lemmatizer" / "lookups").get_table("lemma_index")
    words = frozenset(word for kind in ("adj", "adv", "verb") for word in index[kind])
    given, surnames = _names()
    return Lexicon(given=given, surnames=surnames, nouns=frozenset(index[_NOUN]), words=words)


def _names() -> tuple[frozenset[str], frozenset[str]]:
    """Return given names and surnames in Latin letters, in lower case."""
    from faker.providers import person

    given: set[str] = set()
    surnames: set[str] = set()
    for locale in pkgutil.iter_modules(person.__path__):
        provider = importlib.import_module(f"{person.__name__}.{locale.name}").Provider
        for field in dir(provider):
            names = given if field.startswith(_GIVEN) else surnames if field.startswith(_LAST) else None
            listed = getattr(provider, field)
            if names is not None and isinstance(listed, (tuple, list, dict)):  # dicts: name -> frequency
                names.update(name.lower() for name in listed if isinstance(name, str) and _LATIN.fullmatch(name))
    return frozenset(given), frozenset(surnames)
