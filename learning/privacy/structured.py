"""Personal data that has a form of its own: addresses on the net, cards, accounts, identity, telephone, orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from learning.privacy import checks
from learning.privacy.spans import HIDDEN, Span


@dataclass(frozen=True)
class Recognizer:
    """A kind of personal data: its pattern (group 'value' if only a part is personal) and a check.

    `hint` names what a text must hold for the pattern to be tried.
    """

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] = checks.always
    hint: str = "digit"


def _re(pattern: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile(pattern, flags)


# What stands between a word such as "order number" and the number itself.
_IS = (
    r"(?:\s{0,2}(?:number|nummer|num|no|nr|id|code|ref|reference|#|is|was|it's|its|are"
    r"|n°)\b\.?|\s{0,2}[:#=.-]){0,4}\s{0,2}"
)
_MIXED = r"(?=[a-z-]{0,12}\d)[a-z\d](?:-?[a-z\d]){3,29}(?![\w-])"  # four characters or more with a digit
_DATE = (
    r"\d{1,4}(?:st|nd|rd|th)?[\s./-]{1,2}(?:of\s)?(?:\d{1,2}|[a-z]{3,9})[\s,./-]{1,2}\d{2,4}\b"
    r"|[a-z]{3,9}\.?\s\d{1,2}(?:st|nd|rd|th)?,?\s\d{4}\b"
)
_NO_SECRET = (
    "a|an|and|any|as|at|been|being|but|by|can|cannot|cant|can't|changed?|compromised|correct"
    "|did|do|does|doesn't|doesnt|don't"
    "|email|emails|expired|for|forgotten|from|gone|hacked|has|have|here|i|if|in|incorrect"
    "|invalid|is|it|it's|its|just|keeps?"
    "|known|link|locked|lost|me|my|never|no|not|not-?working|now|ok|okay|old|on|or|out|page|please|pls|refused|rejected"
    "|required|reset|right|safe|same|saved|saying|secure|so|stolen|still|that|the|there|this"
    "|to|too|unknown|unsafe|valid"
    "|was|weak|what|when|where|which|why|with|working|wrong|you|your|always|blocked|never|only|really|very|also"
)
_SECRET_WORDS = "pass\\s?words?|pass\\s?code|passphrase|passwort|pwd|pw|pin|pin\\scode|api\\skey|access\\stoken|secret"
# After "is": with a digit or a sign in it, or one word at the end of what is said that is no participle or adverb.
_SECRET_LOOK = (
    r"\S{0,40}[\d@$#%&*_]|(?!\w{1,20}(?:ed|ing|ble|en)\b)[^\W\d_]{4,20}\s{0,2}(?:$|[.,;!]|and\b|but\b|please\b|pls\b)"
)
_MAIL_HOSTS = "gmail|googlemail|hotmail|yahoo|outlook|icloud|live|aol|gmx|web|proton(?:mail)?|ymail|msn|me"

# Order matters: what is found first is not looked at again (an IBAN is not a phone number). Each pattern is bounded
# or starts at the edge of a word, so that no message takes longer than its length.
RECOGNIZERS = (
    Recognizer("URL", _re(r"\b(?:https?://|ftp://|www\.)[^\s<>\ue000]+"), hint="dot"),
    Recognizer(
        "URL", _re(r"(?<![\w.@-])(?:[a-z\d-]{1,40}\.){1,4}[a-z]{2,12}/[^\s<>\ue000]*[?=#\d][^\s<>\ue000]*"), hint="dot"
    ),
    Recognizer("EMAIL", _re(r"(?<![\w.+'-])[\w.+'-]+\s?@\s?[\w-]+(?:\s?\.[\w-]+)+"), hint="at"),
    Recognizer("EMAIL", _re(r"(?<![\w.+'-])[\w.+'-]{2,}@[\w-]{3,}"), hint="at"),
    Recognizer(  # spelled out: "ann dot lee at gmail dot com"
        "EMAIL",
        _re(
            r"(?<![\w.+-])[\w.+-]{2,40}(?:\s(?:dot|underscore)\s[\w+-]{1,30}){0,3}"
            rf"(?:\sat\s(?:{_MAIL_HOSTS})|\s?(?:\sat\s|\(at\)|\[at\])\s?[\w-]{{2,30}}(?=\s?(?:\sdot\s|[(\[]dot)))"
            r"(?:\s?(?:\sdot\s|[(\[]dot[)\]]|\.)\s?[a-z]{2,10}){1,3}\b"
        ),
        hint="spelled",
    ),
    Recognizer(
        "SECRET",
        _re(r"(?<!\w)(?:eyJ[\w-]{8,}(?:\.[\w-]+){1,2}|(?:sk|pk|rk|ghp|gho|xox[abp])[_-][\w-]{10,})"),
        hint="key",
    ),
    Recognizer(
        "SECRET",
        _re(
            rf"\b(?:{_SECRET_WORDS})\b(?:\s(?:for|to|of|on)\s(?:the\s|my\s"
            rf"|this\s)?[\w-]{{2,20}}(?:\s(?!is\b|was\b)[\w-]{{2,20}})?){{0,2}}"
            rf"(?:\s{{0,2}}[:=]\s{{0,2}}[\"'“‘]?|\s{{1,2}}(?:is|was|it's)\s(?:set\sto\s"
            rf"|now\s)?(?:[\"'“‘]|(?={_SECRET_LOOK})))"
            rf"(?!(?:{_NO_SECRET})(?![\w@$#%&*+]))(?P<value>[^\s\ue000\"'”’]{{3,64}}(?<![.,;?]))"
        ),
        hint="secret",
    ),
    Recognizer(
        "SECRET",
        _re(
            r"\b(?:cvv2?|cvc2?|security\scode|otp|(?:verification|one[\s-]time|confirmation|login|sms)\s(?:code|pin))\b"
            + _IS
            + r"(?P<value>\d{3,8})\b"
        ),
    ),
    Recognizer(
        "IBAN",
        _re(r"\b[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?:[\s-][A-Z0-9]{4}){2,7}(?:[\s-][A-Z0-9]{1,3})?)\b"),
        checks.iban,
    ),
    Recognizer("IP", _re(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]?\d)"), checks.address_v4),
    Recognizer("IP", _re(r"(?<![\w:])(?:[\da-f]{1,4}:){4,7}(?::?[\da-f]{1,4})(?![\w:])")),
    Recognizer(
        "BIRTHDATE",
        _re(
            r"\b(?:date\sof\sbirth|d\.?o\.?b\.?|birth\s?da(?:y|te)|born)(?:\s(?:is|was|on|the)"
            r"|\s?[:=-]){0,3}\s{0,2}(?P<value>" + _DATE + ")"
        ),
    ),
    Recognizer("CARD", _re(r"(?<!\d)\d(?:[ .-]?\d){12,18}(?!\d)"), checks.card),
    Recognizer("SSN", _re(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")),
    Recognizer(
        "SSN", _re(r"\b(?:ssn|social\ssecurity)\b" + _IS + r"(?P<value>\d{3}[ .]?\d{2}[ .]?\d{4})\b"), checks.ssn
    ),
    # National identity numbers; bare digits need their check digit, and their name or their own grouping.
    Recognizer(
        "ID", _re(r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]\b")
    ),  # UK NINO
    Recognizer("ID", _re(r"\bnhs\b" + _IS + r"(?P<value>\d{3}[ -]?\d{3}[ -]?\d{4})\b"), checks.nhs),
    Recognizer(
        "ID",
        _re(r"\b(?:steuer|idnr|tin\b|tax)[\w-]{0,20}" + _IS + r"(?P<value>\d{2}\s?\d{3}\s?\d{3}\s?\d{3})\b"),
        checks.steuer_id,
    ),
    Recognizer(
        "ID", _re(r"\b[12]\s?\d{2}\s?(?:0[1-9]|1[0-2]|[2-9]\d)\s?(?:\d{2}|2[AB])\s?\d{3}\s?\d{3}\s?\d{2}\b"), checks.nir
    ),
    Recognizer("ID", _re(r"\b(?:\d{8}|[XYZ]-?\d{7})-?[A-Z]\b"), checks.dni),
    Recognizer("ID", _re(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b")),  # IT codice fiscale
    Recognizer("ID", _re(r"\b[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]\b")),  # IN PAN
    Recognizer("ID", _re(r"(?<![\d-])[2-9]\d{3}[ -]\d{4}[ -]\d{4}(?![\s-]?\d)"), checks.verhoeff),  # IN Aadhaar
    Recognizer(
        "ID",
        _re(r"\b(?:s\.?i\.?n\.?|social\sinsurance)\b" + _IS + r"(?P<value>\d{3}[ -]?\d{3}[ -]?\d{3})\b"),
        checks.luhn,
    ),
    Recognizer(
        "ID",
        _re(
            r"\b(?:passport|reisepass|personalausweis|ausweis\w{0,8}|id\scard|identity\scard"
            r"|national\sid|driv(?:er|ing)['’]?s?\slicen[cs]e"
            r"|licen[cs]e|aadhaar|pan|tfn|medicare|bsn|pesel|cpf|dni|nie|nino|national\sinsurance|nhs"
            r"|codice\sfiscale|tax\sid|tax\sfile)\b" + _IS + r"(?P<value>(?=[a-z -]{0,6}\d)[a-z\d]{1,20}"
            r"(?:[ .-](?=[a-z]{0,2}\d)[a-z\d]{1,12}){0,4})(?<=[a-z\d]{2})(?![\w-])"
        ),
        lambda text: sum(char.isdigit() for char in text) >= 5,
    ),
    Recognizer("ACCOUNT", _re(r"\bsort(?:\scode)?\b" + _IS + r"(?P<value>\d{2}[ -]?\d{2}[ -]?\d{2})\b")),
    Recognizer(
        "ACCOUNT",
        _re(
            r"\b(?:account|acct?|a/c|konto|customer|client|kunden|member(?:ship)?|loyalty|user)(?:nummer)?\b"
            + _IS
            + r"(?P<value>\d{2,6}(?:[ -]\d{2,6}){1,4}|"
            + _MIXED
            + ")"
        ),
        lambda text: sum(char.isdigit() for char in text) >= 4,
    ),
    Recognizer("TICKET", _re(r"\bT-\d{3,}\b")),
    Recognizer(
        "ORDER", _re(r"\b(?:1Z[A-Z\d]{16}|[A-Z]{2}\d{9}[A-Z]{2}|[A-Z]{4}\d{10,20})\b")
    ),  # UPS, postal union, parcels
    Recognizer(
        "ORDER",
        _re(
            r"\b(?:orders?|bestellung|commande|pedido|tracking|parcel|package|shipment|invoice|receipt"
            r"|booking|reference|ref|case|policy"
            r"|return|rma|transaction|confirmation|serial|consignment|waybill)\b(?:\s(?:number|no|nr"
            r"|id|code|ref)\b\.?)?"
            r"\s?(?:is|was|[:=]|#\s)?\s{0,2}(?P<value>#?" + _MIXED + ")"
        ),
        lambda text: (
            sum(char.isdigit() for char in text) >= 3
            and not checks.is_date(text)
            and not re.fullmatch(r"\d{1,4}[a-z]{0,9}", text, re.I)
        ),
    ),
    Recognizer(
        "ORDER",
        _re(
            r"\b(?:order|invoice|reference|ref|tracking|booking|case)\s?(?:number|no|nr|num|id"
            r"|#)\.?\s?(?:is|was|[:=]|#\s)?\s{0,2}(?P<value>#?\d{3,})\b"
        ),
    ),
    Recognizer(
        "PHONE",
        _re(r"(?<![\w#.,$€£-])(?:\+|00)?\s?\(?\d(?:[ ()./-]{0,3}\d){6,14}(?!\d)(?![.,]\d)(?!\s?[€$£%])"),
        checks.no_amount,
    ),
    Recognizer(
        "ORDER",
        _re(r"(?<![\w-])[A-Z\d](?:-?[A-Z\d]){7,33}(?![\w-])", 0),
        lambda text: sum(char.isdigit() for char in text) >= 6 and not checks.is_date(text),
    ),
    Recognizer("ORDER", _re(r"(?<![\w-])[A-Z]{1,4}-\d{5,}(?![\w-])")),
    Recognizer("ORDER", _re(r"(?<!\w)#\d{4,}(?!\d)")),
    Recognizer(
        "ORDER",
        _re(
            r"(?<![\d.,$€£])#?\d{5,}(?!\d)(?![.,]\d)(?!\s?(?:[€$£%]|euros?\b|dollars?\b|pounds?\b"
            r"|usd\b|eur\b|gbp\b|points?\b|mah\b|lumens?\b))"
        ),
    ),
)

_HINTS: dict[str, Callable[[str], object]] = {
    "key": re.compile(r"(?:eyJ|[a-z]{2,4}[_-])[\w-]{8}").search,
    "digit": re.compile(r"(?:\d[^\d]{0,3}){3}").search,
    "at": re.compile("@").search,
    "dot": re.compile(r"://|www\.|[a-z]\.[a-z]{2,12}/", re.IGNORECASE).search,
    "spelled": re.compile(r"\sat\s.{1,40}(?:\sdot\s|\.[a-z])|[\[(]at[\])]", re.IGNORECASE).search,
    "secret": re.compile(r"\bp(?:ass|in\b|wd?\b)|key|token|secret", re.IGNORECASE).search,
}


def hints_of(text: str) -> frozenset[str]:
    """Return the hints that the text holds; without any it has nothing with a form of its own."""
    return frozenset(hint for hint, holds in _HINTS.items() if holds(text))


def find_structured(text: str, recognizers: tuple[Recognizer, ...] = RECOGNIZERS) -> list[Span]:
    """Return the spans of `text` that have a form of their own; they don't overlap."""
    hints = hints_of(text)
    spans: list[Span] = []
    for recognizer in recognizers:
        if recognizer.hint in hints:
            for start, end in list(_places(recognizer, text)):
                spans.append(Span(start, end, recognizer.kind))
                text = text[:start] + HIDDEN * (end - start) + text[end:]
    return spans


def _places(recognizer: Recognizer, text: str) -> Iterator[tuple[int, int]]:
    """Yield where the values stand that pass the check.

    A pattern takes as much as it can, such as the expiry date behind a card's number: what fails the check is
    tried with less at its end, then from the next character on.
    """
    group = "value" if "value" in recognizer.pattern.groupindex else 0
    position = 0
    while match := recognizer.pattern.search(text, position):
        position = match.start() + 1
        while match:
            start, end = match.span(group)
            if recognizer.check(match.group(group)):
                yield start, end
                position = end
                break
            match = _shorter(recognizer.pattern, text, match)


def _shorter(pattern: re.Pattern[str], text: str, match: re.Match[str]) -> re.Match[str] | None:
    """Return the longest match at the same place that ends earlier, at the edge of a word."""
    for end in range(match.end() - 1, match.start(), -1):
        if not (text[end - 1].isalnum() and text[end].isalnum()):
            found = pattern.fullmatch(text, match.start(), end)
            if found:
                return found
    return None
