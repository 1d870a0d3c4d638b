"""Streets with their numbers, post codes and post boxes, as several countries write them."""

from __future__ import annotations

import re

from learning.privacy.spans import Span

KIND = "ADDRESS"
_WORD = r"[^\W\d_][\w'’.-]{0,30}"
# Words that name a street and hardly anything else ...
_STREET = (
    "street|str|st|road|rd|avenue|ave|av|lane|ln|boulevard|blvd|terrace|crescent|cres|mews|highway|hwy|parkway|pkwy"
)
# ... and those that are words of their own as well: they need a street's look or an address's context.
_PLACE = (
    "drive|dr|court|ct|way|close|place|pl|square|sq|gardens|gdns|grove|hill|park|row|circle"
    "|cir|trail|walk|quay|green|rise"
    "|view|heights|meadow|meadows|loop|alley|wharf|parade|esplanade|plaza"
)
_PLACE_CAPITALS = "|".join(place.capitalize() for place in _PLACE.split("|"))
# "2 items on the way", "5 minutes down the road", "20 euro st": such words are in no street's name.
_NO_STREET = (
    r"(?:a|an|about|across|after|ago|am|and|any|are|as|at|away|back|but|by|can|cm|could|day"
    r"|days|did|do|does|dollars?|down"
    r"|each|euros?|for|from|gb|get|go|got|had|has|have|hours?|hrs?|how|i|if|in|inch|inches"
    r"|into|is|it|items?|just|kg|km|left"
    r"|lost|m|me|meters?|metres?|miles?|min|mins|minutes?|months?|more|my|no|not|of|off|on|one"
    r"|only|or|orders?|our|out|over"
    r"|packages?|parcels?|people|percent|piece|pieces|pm|pounds?|same|seconds?|shirts?|since"
    r"|so|still|than|that|there|they|this"
    r"|times?|to|too|two|until|up|was|way|we|weeks?|were|what|when|where|which|will|with|x"
    r"|year|years|yet|you|your|out|arrived"
    r"|bought|came|please|pls|thanks|what's|it's|its|working|business|rd|nd|th|hour)(?![\w'-])"
)
_MIDDLE = rf"(?:(?!{_NO_STREET}){_WORD}\s){{1,3}}"
_UNIT = r"(?:,?\s(?:apt|apartment|flat|unit|suite|ste|floor|room|apto|#)\.?\s?#?\s?(?=[\w-]{0,3}\d|\w\b)[\w-]{1,6})?"
_NUMBER = r"(?<![\w.,#€$£-])\d{1,5}\s?(?:[a-z]\b)?(?:\s?[-/]\s?\d{1,5}[a-z]?\b)?,?\s"
_CAPITALS = r"(?:(?-i:[^\W\d_a-zà-ÿ])[\w'’.-]{1,30})"
_TOWN = rf"(?:,?\s(?:{_CAPITALS}\s?){{1,3}})?"  # between a street and its post code
_CODE = r"(?:[A-Z]{2}\s\d{5}(?:-\d{4})?|\d{5}(?:-\d{4})?|\d{4}(?:\s?[A-Z]{2})?|\d{2}-\d{3}|\d{3}\s\d{2})(?![\w-])"
_AFTER = rf"(?:\s(?:NE|NW|SE|SW|N|S|E|W)\b)?(?:,?{_TOWN},?\s{_CODE})?"
_UK_CODE = r"\b[A-Z]{1,2}\d[A-Z\d]?\s{0,2}\d[ABD-HJLNP-UW-Z]{2}\b"
_CA_CODE = r"\b[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z]\s?\d[ABCEGHJ-NPRSTV-Z]\d\b"
_LIVES = (
    r"\b(?:(?:i|we)\s(?:now\s)?live\s(?:at|in|on)|live\sat|moved\sto|address(?:\s(?:is|to|was)"
    r"|:)?|(?:deliver(?:ed)?|ship(?:ped)?|send|sent|delivery|redirect(?:ed)?"
    r"|change[d]?)(?:\s(?:it|this|that|my\s\w{3,10}|them))?\sto)\s(?:is\s|now\s)?"
)
_LATIN = (
    r"(?:(?:de|du|des|del|della|delle|dei|di|da|do|dos|das|d['’]|la|las|los|le|les|l['’]|san"
    r"|santa|saint|the|van|von|der)\s?)"
)


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_PATTERNS = (
    _re(rf"{_NUMBER}{_MIDDLE}(?:{_STREET})(?![\w'’])\.?{_UNIT}{_AFTER}"),
    _re(rf"{_NUMBER}the\s(?:{_STREET}|{_PLACE})\b(?=\s?,){_UNIT}{_AFTER}"),
    # "14 Maple Drive" in capitals, "14 maple drive" where an address is said to follow or a post code does.
    _re(rf"{_NUMBER}(?:{_CAPITALS}\s){{1,3}}(?-i:{_PLACE_CAPITALS})\b\.?{_UNIT}{_AFTER}"),
    _re(rf"{_LIVES}(?:the\s)?(?P<value>{_NUMBER}{_MIDDLE}(?:{_PLACE})\b\.?{_UNIT}{_AFTER})"),
    _re(
        rf"(?P<value>{_NUMBER}{_MIDDLE}(?:{_PLACE})\b\.?{_UNIT}),?"
        rf"(?:\s[^\W\d_]{{2,20}}){{0,2}},?\s(?:{_UK_CODE}|{_CA_CODE})"
    ),
    # German, Dutch and Nordic: the street's name and kind in one word or two, then the number.
    _re(
        r"\b(?:(?:am|an\sder|im|in\sder|zum|zur|auf\sdem)\s)?[^\W\d_][\w-]{1,30}(?:stra(?:ß|ss)e"
        r"|str\.?|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein"
        r"|gracht|kade|gatan|gata|vägen|veien|vej|gade|katu|tie)\s\d{1,4}\s?(?:[a-z]\b)?(?:\s?[-/]\s?\d{1,4}\b)?"
        + _AFTER
    ),
    _re(
        rf"\b{_CAPITALS}[\s-](?:{_CAPITALS}[\s-])?(?:Stra(?:ß|ss)e|Str\.?|Platz|Allee|Weg|Ring|Ufer"
        rf"|Damm)\s\d{{1,4}}\s?(?:[a-z]\b)?{_AFTER}"
    ),
    re.compile(
        rf"\b[Aa](?:m|n\sder|uf\sder|uf\sdem)\s{_CAPITALS}\s\d{{1,4}}\b{_AFTER}|\b(?:[Zz]u[mr]"
        rf"|[Ii]m)\s{_CAPITALS}\s\d{{1,4}}\b{_AFTER}"
    ),
    # Romance and Slavic: the kind first; French with the number before it.
    _re(
        r"(?<![\w.,#-])\d{1,4}(?:\s?(?:bis|ter|quater))?,?\s(?:rue|avenue|av\.?|boulevard|bd\.?"
        r"|place|chemin|allée|allee|impasse|quai|cours|route|square)\s"
        rf"{_LATIN}{{0,2}}(?:{_CAPITALS}[\s-]?){{1,4}}{_AFTER}"
    ),
    _re(
        rf"(?<![\w.,#-])\d{{1,4}}(?:\s?(?:bis|ter))?,?\s(?:rue|impasse|chemin"
        rf"|quai)\s{_LATIN}{{0,2}}{_WORD}(?:\s{_LATIN}{{0,2}}(?!{_NO_STREET}){_WORD})?{_AFTER}"
    ),
    _re(
        r"\b(?:calle|c/|avenida|avda\.?|paseo|plaza|rua|ulica|ul\.|viale|piazza|corso|corso|largo|travessa|carrer)\s?"
        rf"{_LATIN}{{0,2}}(?:{_WORD}\s?){{1,4}}?,?\s?(?:n[ºo°.]{{0,2}}\s?)?\d{{1,4}}\s?(?:[a-z]\b)?"
        rf"(?:/\d{{1,4}}\b)?(?:,?\s\d{{1,2}}\s?[ºª°]\s?\w?\b)?{_AFTER}"
    ),
    re.compile(rf"\b[Vv]ia\s(?:(?:del|della|dei|di|d['’])\s?)?(?:{_CAPITALS}\s?){{1,3}},?\s?\d{{1,4}}\b{_AFTER}"),
    _re(
        r"\b(?:p\.?\s?o\.?\s?box|postfach|apartado|boîte\spostale|casella\spostale)\s(?:no\.?\s"
        r"|number\s|#)?\d{1,6}(?:\s\d{2,3}){0,2}\b"
    ),
    _re(_UK_CODE),
    _re(_CA_CODE),
    re.compile(r"\b[ACDEFHKNPRTVWXY]\d[\dW]\s?(?=[A-Z]{0,3}\d)[\dACDEFHKNPRTVWXY]{4}\b"),  # Ireland
    _re(
        r"\b(?:zip(?:\s?code)?|post(?:al)?\s?code|postcode|plz|code\spostal|eircode|pincode"
        r"|pin\scode)\b(?:\s(?:is|was|to|now)|\s?[:=]){0,2}\s"
        r"(?P<value>(?=[a-z]{0,2}\d)[a-z\d]{3,6}(?:[ -](?=[a-z]{0,3}\d)[a-z\d]{2,4})?)\b"
    ),
    _re(r"\b(?:flat|apartment|apt\.?|unit)\s(?:no\.?\s|number\s|#)?(?=\w{0,3}\d)\w{1,5}\b(?=,?\s\ue000)"),
)
_DIGIT = re.compile(r"\d")
_HINT = re.compile(
    rf"\b(?:{_STREET}|{_PLACE}|rue|chemin|allée|allee|impasse|quai|cours|route|calle|c/|avda"
    rf"|avenida|paseo|rua|ulica|ul|viale|via|piazza"
    r"|corso|largo|travessa|carrer|box|postfach|apartado|postale|am|an\sder|auf\sder|im|zum"
    r"|zur|zip|post\s?code|postal|plz|eircode|pincode|pin|flat|apartment|apt|unit)\b"
    r"|(?:stra(?:ß|ss)e|str\.?|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gracht"
    r"|kade|gatan|gata|vägen|veien|vej|gade|katu|tie)\s\d"
    r"|\b[a-z]{1,2}\d[a-z\d]?\s{0,2}[a-z\d]{3}|\bpostcode",
    re.IGNORECASE,
)


def may_hold_address(text: str) -> bool:
    """Whether the text has a digit and a word of an address: cheap, and never wrong when it says no."""
    return _DIGIT.search(text) is not None and _HINT.search(text) is not None


def find_addresses(text: str) -> list[Span]:
    """Return the addresses of `text`, longest kind of pattern first; they may overlap."""
    if not may_hold_address(text):
        return []
    spans = []
    for pattern in _PATTERNS:
        group = "value" if "value" in pattern.groupindex else 0
        spans += [Span(*match.span(group), KIND) for match in pattern.finditer(text)]
    return spans
