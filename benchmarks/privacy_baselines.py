"""What the project's redactor is compared with: the one that it replaced, and Presidio as it comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from learning.adapters.presidio_redactor import _NOT_USED, MODEL, _without, model_folder
from learning.privacy import Span, checks
from learning.privacy.spans import first_come

# As `learning/privacy.py` had them before; order matters.
_OLD: tuple[tuple[str, str, int, Callable[[str], bool]], ...] = (
    ("URL", r"\b(?:https?://|www\.)\S+", re.IGNORECASE, checks.always),
    ("EMAIL", r"(?<![\w.+'-])[\w.+'-]+\s?@\s?[\w-]+(?:\.[\w-]+)+", 0, checks.always),
    (
        "IBAN",
        r"\b[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?:\s[A-Z0-9]{4}){2,7}(?:\s[A-Z0-9]{1,3})?)\b",
        re.IGNORECASE,
        checks.iban,
    ),
    ("CARD", r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)", 0, checks.card),
    ("SSN", r"\b\d{3}-\d{2}-\d{4}\b", 0, checks.always),
    ("PHONE", r"(?<![\w#])(?:\+|00)?\(?\d(?:[ ()./-]{0,3}\d){6,14}(?!\d)", 0, checks.always),
    ("TICKET", r"\bT-\d{3,}\b", re.IGNORECASE, checks.always),
    ("ORDER", r"(?<!\d)#?\d{5,}(?!\d)", 0, checks.always),
    (
        "NAME",
        r"\b(?:[Mm]y name(?:['’]s| is)|[Tt]his is|I am|I['’]m|[Rr]egards,?|[Mm]r\.?|[Mm]rs\.?|[Mm]s\.?|[Dd]r\.?)\s+"
        r"(?P<value>[^\W\d_][\w'’-]{1,40}(?:\s+[^\W\d_][\w'’-]{1,40}){0,2})",
        0,
        lambda text: all(word[0].isupper() for word in text.split()),
    ),
)
# Presidio's kinds under the project's names; a kind that isn't here is compared only where everything counts.
_KINDS = {
    "PERSON": "NAME",
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "US_SSN": "SSN",
    "IP_ADDRESS": "IP",
    "URL": "URL",
    "UK_NHS": "ID",
    "US_ITIN": "ID",
    "US_PASSPORT": "ID",
    "US_DRIVER_LICENSE": "ID",
    "US_BANK_NUMBER": "ACCOUNT",
    "MEDICAL_LICENSE": "ID",
    "CRYPTO": "ACCOUNT",
}


def old_patterns(texts: Sequence[str]) -> list[list[Span]]:
    """Return what the former redactor found: its patterns in their order."""
    found = []
    for text in texts:
        spans = []
        for kind, pattern, flags, check in _OLD:
            compiled = re.compile(pattern, flags)
            group = "value" if "value" in compiled.groupindex else 0
            spans += [Span(*match.span(group), kind) for match in compiled.finditer(text) if check(match.group(group))]
        found.append(first_come(spans, text))
    return found


def presidio_default(everything: bool) -> Callable[[Sequence[str]], list[list[Span]]]:
    """Return Presidio's analyzer with its default recognizers and threshold on the project's spaCy model.

    Args:
        everything: also dates, places, nationalities and organizations, as it does by itself.
    """
    with _without(_NOT_USED):
        import tldextract.tldextract
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import SpacyNlpEngine

    # By itself it fetches the list of public suffixes; the one in its package does.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    spacy_engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": str(model_folder(MODEL))}])
    engine = AnalyzerEngine(nlp_engine=spacy_engine)

    def find(texts: Sequence[str]) -> list[list[Span]]:
        found = []
        for text in texts:
            found_here = sorted(engine.analyze(text, "en"), key=lambda result: (-result.score, result.start))
            spans = [
                Span(result.start, result.end, _KINDS.get(result.entity_type, "OTHER"))
                for result in found_here
                if everything or result.entity_type in _KINDS
            ]
            found.append(first_come(spans, text))
        return found

    return find
