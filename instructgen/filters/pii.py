"""Personal data: e-mail, phone, bank account, payment card, network address, national numbers; by form and checksum.

    {"instruction": "Who is it?", "output": "Call Ann: +49 30 901820"}   ->  phone

Numbers with a checksum are only found when it fits: a random 16-digit number passes Luhn's once in ten, a random IBAN
once in 97. What is reserved for documentation (example.com, 555-01xx, 192.0.2.0/24) is nobody's and is passed over.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

from instructgen.filters.sensitive import Action, Sensitive, Span

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-])")
_EXAMPLE_MAIL = re.compile(
    r"@(?:[\w-]+\.)*(?:example\.(?:com|org|net)|example|test|invalid|localhost|(?:your|my)?(?:company|domain|"
    r"email)\.com)$",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"(?<![\w.+#/-])(?<!\d )(?:(?:\+|00 ?(?=[1-9]))\d{1,3}[ .-]?(?:\(0\)[ ]?)?"
    r"(?:\(?\d{1,5}\)?[ .-]?){2,6}\d|"
    r"(?:\+?1[ .-])?(?:\([2-9]\d\d\)[ .-]?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}|"
    r"0[1-9](?:[ .]\d\d){4}|0\d{2,5}[ /-]\d{3,4}[ -]?\d{3,5})(?![\w-]|\.\d)"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])")
"""How an IBAN begins; its country says where it ends, so the capitals of a next word do not matter."""
_CARD = re.compile(
    r"(?<![\d.,-])(?:(?<!\d )\d{4}(?P<gap>[ -])\d{4}(?P=gap)\d{4}(?P=gap)\d{1,7}(?! \d{4}(?![\d/-]))|"
    r"(?<!\d )3\d{3}(?P<six>[ -])\d{6}(?P=six)\d{4,5}|\d{13,19})"
    r"(?![\d-]|[.,]\d)"
)
"""Written as cards are: in fours, American Express and Diners as 4-6-5 and 4-6-4, or without gaps; a date or a check
number may follow, another four digits not: a row of a times table is no card."""
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.])")
_VERSION = re.compile(r"(?:\bv|version|release|section|chapter)[ ]?$", re.IGNORECASE)
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
_NOT_ISSUED_SSN = {"078051120", "219099999", "123456789"}


def luhn(digits: str) -> bool:
    """Tell whether a number passes Luhn's checksum.

    Example: luhn("4242424242424242") -> True
    """
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if at % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban(text: str) -> bool:
    """Tell whether a text is an IBAN: length of its country, remainder 1 by 97 (ISO 13616, SWIFT's registry)."""
    plain = re.sub(r"[ -]", "", text).upper()
    if len(plain) != _IBAN_LENGTHS.get(plain[:2]):
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where IBANs begin and end: as many letters and digits as the country has, spaces or hyphens between."""
    for found in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(found.group()[:2].upper(), 0)
        at, taken = found.end(), 4
        while taken < length and at < len(text):
            at += text[at] in " -"
            if not text[at : at + 1].isascii() or not text[at : at + 1].isalnum():
                break
            at, taken = at + 1, taken + 1
        if taken == length and not text[at : at + 1].isalnum() and iban(text[found.start() : at]):
            yield found.start(), at


_BRANDS = (
    (re.compile(r"4"), (13, 16, 19)),  # Visa
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"30[0-5]|3[689]"), tuple(range(14, 20))),  # Diners Club
    (re.compile(r"35(?:2[89]|[3-8])"), tuple(range(16, 20))),  # JCB
    (re.compile(r"6(?:011|4[4-9]|5|2)"), tuple(range(16, 20))),  # Discover, UnionPay
    (re.compile(r"50|5[6-9]|6"), tuple(range(13, 20))),  # Maestro
)
"""First digits and numbers of digits of card brands (ISO/IEC 7812 ranges as the brands publish them)."""


def card(text: str) -> bool:
    """Tell whether a text is a payment card number: a brand's first digits and length, Luhn, not one digit repeated."""
    digits = _digits(text)
    known = any(first.match(digits) and len(digits) in lengths for first, lengths in _BRANDS)
    return known and len(set(digits)) > 1 and luhn(digits)


def us_ssn(text: str) -> bool:
    """Tell whether a US social security number may have been issued."""
    digits = _digits(text)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    valid = area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"
    return valid and digits not in _NOT_ISSUED_SSN


def es_dni(text: str) -> bool:
    """Tell whether a Spanish DNI or NIE has its right letter (remainder by 23)."""
    plain = text.upper().replace("-", "").replace(" ", "")
    number = plain[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return plain[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def fr_nir(text: str) -> bool:
    """Tell whether a French NIR has its right key (97 minus the remainder by 97)."""
    plain = text.replace(" ", "").replace("2A", "19").replace("2B", "18")
    return int(plain[13:]) == 97 - int(plain[:13]) % 97


def br_cpf(text: str) -> bool:
    """Tell whether a Brazilian CPF has its two right check digits."""
    digits = _digits(text)
    for length in (9, 10):
        total = sum(
            int(digit) * weight for digit, weight in zip(digits[:length], range(length + 1, 1, -1), strict=True)
        )
        if (total * 10 % 11) % 10 != int(digits[length]):
            return False
    return len(set(digits)) > 1


_ODD_VALUES = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
_ODD = {chr(65 + at): value for at, value in enumerate(_ODD_VALUES)} | {str(at): _ODD_VALUES[at] for at in range(10)}
"""Weights of letters and digits in odd places of an Italian codice fiscale."""


def it_cf(text: str) -> bool:
    """Tell whether an Italian codice fiscale has its right last letter."""
    plain = text.upper()
    total = sum(
        _ODD[each] if at % 2 == 0 else (int(each) if each.isdigit() else ord(each) - 65)
        for at, each in enumerate(plain[:15])
    )
    return plain[15] == chr(65 + total % 26)


_TIMES = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_TURN = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")


def in_aadhaar(text: str) -> bool:
    """Tell whether an Indian Aadhaar number passes Verhoeff's checksum and does not begin with 0 or 1."""
    state = 0
    digits = _digits(text)
    for at, digit in enumerate(reversed(digits)):
        state = int(_TIMES[state][int(_TURN[at % 8][int(digit)])])
    return state == 0 and digits[0] not in "01"


def _any(_text: str) -> bool:
    return True


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


_NATIONAL: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), us_ssn),
    (
        re.compile(
            r"\b(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D]\b"
        ),
        _any,
    ),
    (re.compile(r"\b(?:\d{8}|[XYZ]-?\d{7})[ -]?[A-HJ-NP-TV-Z]\b"), es_dni),
    (re.compile(r"\b[12][ ]?\d{2}[ ]?(?:0[1-9]|1[0-2])[ ]?(?:\d{2}|2[AB])[ ]?\d{3}[ ]?\d{3}[ ]?\d{2}\b"), fr_nir),
    (re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), br_cpf),
    (re.compile(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b"), it_cf),
    (re.compile(r"(?<![\d-])(?<!\d )[2-9]\d{3}[ -]\d{4}[ -]\d{4}(?![ -]?\d)"), in_aadhaar),
)


class Pii(Sensitive):
    """Find personal data by form and checksum.

    Example: "My card is 4111 1111 1111 1111" -> card; the same with a last digit 2 is no card.
    """

    reasons: ClassVar[dict[str, str]] = {
        "email": "an e-mail address, other than at domains reserved for examples",
        "phone": "a phone number in international or North American form",
        "iban": "a bank account number with its right checksum",
        "card": "a payment card number with its right checksum",
        "ip": "a public network address",
        "national_id": "a national number (US, UK, ES, FR, IT, BR, IN), with its checksum where it has one",
    }
    actions: ClassVar[dict[str, Action]] = {"email": "flag", "phone": "flag", "ip": "flag"}

    kind: Literal["pii"] = "pii"

    def spans(self, text: str) -> Iterator[Span]:
        """Yield personal data; each finder looks only where its cheapest sign is."""
        if "@" in text:
            for found in _EMAIL.finditer(text):
                if not _EXAMPLE_MAIL.search(found.group()):
                    yield Span("email", *found.span())
        if ":" in text:
            yield from (Span("ip", *found.span()) for found in _IPV6.finditer(text) if _public(found.group()))
        if not _HAS_NUMBER.search(text):
            return
        taken = bytearray(len(text))
        for start, end in _ibans(text):
            taken[start:end] = bytes([1]) * (end - start)
            yield Span("iban", start, end)
        for kind, pattern, fits in _NUMBERS:
            for found in pattern.finditer(text):
                start, end = found.span()
                if fits(found.group()) and not any(taken[start:end]):
                    taken[start:end] = bytes([1]) * (end - start)
                    yield Span(kind, start, end)
        for found in _IPV4.finditer(text):
            if _public(found.group()) and not _VERSION.search(text, max(0, found.start() - 10), found.start()):
                yield Span("ip", *found.span())


_HAS_NUMBER = re.compile(r"\d[\d ().-]{4,}\d|\d{6}|[A-Za-z]{2}\d{2}|\d\.\d{1,3}\.\d")


def _public(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global and str(address) not in ("1.2.3.4", "8.8.8.8", "8.8.4.4", "1.1.1.1")


def _phone(text: str) -> bool:
    """Tell whether a text of phone form is one: 7 to 15 digits (E.164), not one of the numbers reserved for fiction."""
    digits = _digits(text)
    fiction = (
        "555" in (digits[-7:-4], digits[-10:-7]) or digits.endswith(("1234567890", "4567890")) or set(digits) == {"0"}
    )
    return 7 <= len(digits) <= 15 and not fiction and len(set(digits)) > 2


_NUMBERS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("card", _CARD, card),
    *(("national_id", pattern, fits) for pattern, fits in _NATIONAL),
    ("phone", _PHONE, _phone),
)
