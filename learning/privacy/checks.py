"""Check digits and forms that tell a card, an account or an identity number from any other number."""

from __future__ import annotations

import re

_VERHOEFF_TIMES = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_PERMUTE = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def always(text: str) -> bool:
    """Accept every text: the pattern says enough."""
    return True


def digits_of(text: str) -> list[int]:
    """Return the decimal digits of a text in order."""
    return [int(char) for char in text if char.isdecimal()]


def luhn(text: str) -> bool:
    """Whether the digits pass the check-digit formula of ISO/IEC 7812-1."""
    digits = digits_of(text)
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def card(text: str) -> bool:
    """Whether the text is a payment card number: 13 to 19 digits that pass Luhn's check and are not all the same."""
    digits = digits_of(text)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(text)


def iban(text: str) -> bool:
    """Whether the text passes the mod-97 check of ISO 13616."""
    compact = re.sub(r"[\s-]", "", text).upper()
    if not 15 <= len(compact) <= 34 or not compact.isascii():
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def ssn(text: str) -> bool:
    """Whether area, group and serial are ones that the US Social Security Administration gives out."""
    area, group, serial = (int(part) for part in re.findall(r"\d+", text))
    return area not in (0, 666) and area < 900 and group > 0 and serial > 0


def nhs(text: str) -> bool:
    """Whether the ten digits pass the mod-11 check of an English NHS number."""
    digits = digits_of(text)
    rest = 11 - sum((10 - place) * digit for place, digit in enumerate(digits[:9])) % 11
    return len(digits) == 10 and rest % 11 == digits[9] and rest != 10


def steuer_id(text: str) -> bool:
    """Whether the eleven digits pass ISO 7064 MOD 11,10, as a German tax number does."""
    digits = digits_of(text)
    if len(digits) != 11 or digits[0] == 0:
        return False
    product = 10
    for digit in digits[:10]:
        product = 2 * ((digit + product) % 10 or 10) % 11
    return (11 - product) % 10 == digits[10]


def nir(text: str) -> bool:
    """Whether the key of a French social security number (INSEE) fits; Corsica's 2A and 2B count as 19 and 18."""
    compact = re.sub(r"\W", "", text).upper()
    number = compact[:-2].replace("2A", "19").replace("2B", "18")
    return number.isdecimal() and 97 - int(number) % 97 == int(compact[-2:])


def dni(text: str) -> bool:
    """Whether the letter of a Spanish DNI or NIE fits its number (mod 23)."""
    compact = re.sub(r"\W", "", text).upper()
    number = compact[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdecimal() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == compact[-1]


def verhoeff(text: str) -> bool:
    """Whether the digits pass Verhoeff's check (1969), as an Indian Aadhaar number does."""
    check = 0
    for place, digit in enumerate(reversed(digits_of(text))):
        check = int(_VERHOEFF_TIMES[check][int(_VERHOEFF_PERMUTE[place % 8][digit])])
    return check == 0


def address_v4(text: str) -> bool:
    """Whether four numbers are an IPv4 address, not a version such as 1.2.3.4567."""
    return all(int(part) < 256 for part in text.split("."))


def is_date(text: str) -> bool:
    """Whether the digits are a date, the day, the month or the year first."""
    return re.fullmatch(r"\(?\d{1,2}([./ -])\d{1,2}\1\d{2,4}|\d{4}([./-])\d{1,2}\2\d{1,2}", text) is not None


def no_amount(text: str) -> bool:
    """Whether digits in groups may be a telephone number: no dates, years, amounts or sizes."""
    if text.startswith(("+", "00")):
        return True
    groups = re.findall(r"\d+", text)
    if is_date(text):
        return False
    if re.search(r"\d\.\d{2}(?!\d|\.)", text) and len(groups) != 5:
        return False  # amounts; French numbers are five pairs
    if all(len(group) == 4 and group[:2] in ("19", "20") for group in groups):
        return False  # years
    if len(groups) == 1 and not text.startswith(("0", "(")) and len(text) != 10:
        return False  # without an area's zero or groups it is any number, unless as long as American ones are
    return max(map(len, groups)) >= 3 or (len(groups) == 5 and groups[0].startswith("0"))
