"""Presidio's analyzer, set up so that a message costs a fraction of a millisecond and nothing goes to the network.

Imports Presidio and spaCy: only `presidio_redactor` imports this module, and only when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import (
    AuMedicareRecognizer,
    AuTfnRecognizer,
    FiPersonalIdentityCodeRecognizer,
    PlPeselRecognizer,
    SgFinRecognizer,
)
from spacy.language import Language
from spacy.tokens import Doc

from learning.adapters.presidio_lexicon import read_lexicon
from learning.privacy.addresses import KIND as ADDRESS
from learning.privacy.addresses import find_addresses, may_hold_address
from learning.privacy.names import NameFinder
from learning.privacy.placeholders import NAME
from learning.privacy.redactor import RANKS
from learning.privacy.spans import Span, first_come
from learning.privacy.structured import RECOGNIZERS, find_structured, hints_of

_LANGUAGE = "en"
_PERSON = "PERSON"
_BATCH = 128  # texts that spaCy works on at once
_CERTAIN = 1.0  # Presidio's score of a number whose check digits fit
# Identity numbers that Presidio checks and the project doesn't.
_PRESIDIO = (
    AuMedicareRecognizer,
    AuTfnRecognizer,
    PlPeselRecognizer,
    FiPersonalIdentityCodeRecognizer,
    SgFinRecognizer,
)
_IDENTITY = "ID"
_PARTS = ("tagger", "parser", "senter", "attribute_ruler", "lemmatizer", "tok2vec")  # that the recognizer doesn't read
_SHARED_LISTENER = "Tok2VecListener"
_RECOGNIZER = "ner"


class FunctionRecognizer(EntityRecognizer):
    """A function of the project that finds spans, as a recognizer of Presidio."""

    def __init__(self, name: str, kinds: Sequence[str], find: Callable[[str, NlpArtifacts], list[Span]]) -> None:
        super().__init__(supported_entities=list(kinds), name=name, supported_language=_LANGUAGE)
        self._find = find

    def load(self) -> None:
        """Nothing is to be loaded."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts) -> list[RecognizerResult]:
        """Return what the function finds, with the score of a certain result."""
        return [RecognizerResult(span.kind, span.start, span.end, _CERTAIN) for span in self._find(text, nlp_artifacts)]


class NoContext(ContextAwareEnhancer):
    """Leaves scores as they are: the recognizers read the words around a value themselves."""

    def __init__(self) -> None:
        super().__init__(0, 0, 0, 0)

    def enhance_using_context(
        self, text: str, raw_results: list[RecognizerResult], *_: Any, **__: Any
    ) -> list[RecognizerResult]:
        """Return the results unchanged."""
        return raw_results


class PersonRecognizer(SpacyNlpEngine):
    """spaCy's entity recognizer alone, asked only about texts for which it pays."""

    def __init__(self, folder: Path) -> None:
        super().__init__(models=[{"lang_code": _LANGUAGE, "model_name": str(folder)}])
        self._folder = folder

    def load(self) -> None:
        """Load the recognizer without the parts that it doesn't read."""
        config = spacy.util.load_config(self._folder / "config.cfg")
        shared = _SHARED_LISTENER in str(config["components"][_RECOGNIZER])
        self.nlp: Any = {
            _LANGUAGE: spacy.load(self._folder, exclude=[part for part in _PARTS if part != "tok2vec" or not shared])
        }

    def artifacts(self, texts: Sequence[str]) -> Iterator[NlpArtifacts]:
        """Yield the entities of each text as Presidio's recognizers take them, without lemmas or keywords."""
        # spaCy cannot hash a lone surrogate, which JSON may carry; its replacement is one character long, too.
        clean = (text.encode("utf-8", "replace").decode("utf-8") for text in texts)
        return map(self._of, self._language.pipe(clean, batch_size=_BATCH))

    def nothing(self) -> NlpArtifacts:
        """Return what a text without entities has."""
        return self._of(self._language.make_doc(""))

    @property
    def _language(self) -> Language:
        language: Language = self.nlp[_LANGUAGE]
        return language

    def _of(self, doc: Doc) -> NlpArtifacts:
        people = [entity for entity in doc.ents if entity.label_ == _PERSON]
        return NlpArtifacts(people, doc, [], [], None, _LANGUAGE)


class Analyzer:
    """Finds spans of personal data in batches of texts.

    Args:
        folder: of the spaCy model.
    """

    def __init__(self, folder: Path) -> None:
        self._names = NameFinder(read_lexicon(folder))
        self._people = PersonRecognizer(folder)
        registry = RecognizerRegistry(supported_languages=[_LANGUAGE])
        registry.recognizers = [
            FunctionRecognizer(
                "StructuredRecognizer",
                sorted({recognizer.kind for recognizer in RECOGNIZERS}),
                lambda text, _: find_structured(text),
            ),
            FunctionRecognizer("AddressRecognizer", [ADDRESS], lambda text, _: find_addresses(text)),
            FunctionRecognizer("NameRecognizer", [NAME], self._find_names),
            *(recognizer(supported_language=_LANGUAGE) for recognizer in _PRESIDIO),
        ]
        self._engine = AnalyzerEngine(
            registry=registry,
            nlp_engine=self._people,
            supported_languages=[_LANGUAGE],
            context_aware_enhancer=NoContext(),
        )
        self._nothing = self._people.nothing()
        self._ours = {kind for recognizer in registry.recognizers[:3] for kind in recognizer.supported_entities}

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, which do not overlap."""
        asked: list[int] = []
        searched: list[int] = []
        for row, text in enumerate(texts):
            if self._names.worth_asking(text):
                asked.append(row)
            elif hints_of(text) or may_hold_address(text) or self._names.may_hold(text):
                searched.append(row)
        found: list[list[Span]] = [[] for _ in texts]
        for row, artifacts in zip(asked, self._people.artifacts([texts[row] for row in asked]), strict=True):
            found[row] = self._analyze(texts[row], artifacts)
        for row in searched:
            found[row] = self._analyze(texts[row], self._nothing)
        return found

    def _analyze(self, text: str, artifacts: NlpArtifacts) -> list[Span]:
        ranked = []
        for result in self._engine.analyze(text, _LANGUAGE, nlp_artifacts=artifacts):
            if result.entity_type in self._ours:
                span = Span(result.start, result.end, result.entity_type)
                ranked.append((RANKS[span.kind], span.start, -span.end, span))
            elif result.score >= _CERTAIN:
                # One in ten numbers passes such a check: bare digits are an identity only if they are nothing else.
                bare = not any(char.isalpha() for char in text[result.start : result.end])
                span = Span(result.start, result.end, _IDENTITY)
                ranked.append((len(RANKS) if bare else RANKS[_IDENTITY], span.start, -span.end, span))
        return first_come([span for *_, span in sorted(ranked)], text)

    def _find_names(self, text: str, artifacts: NlpArtifacts) -> list[Span]:
        return self._names.find(text, [(entity.start_char, entity.end_char) for entity in artifacts.entities])
