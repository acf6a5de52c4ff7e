"""Names and codes of countries <-> ISO 3166-1 alpha-2, by the names in Unicode CLDR (through Babel)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from crmbridge.mapping.paths import native_text
from crmbridge.sdk.hookspecs import Codec

__all__ = ["country_codec"]

LANGUAGES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "da", "sv", "fi", "nb", "hu", "ro", "el", "tr",
    "ru", "uk", "ar", "he", "fa", "hi", "th", "vi", "id", "ja", "ko", "zh_Hans", "zh_Hant",
)  # fmt: skip
"""Languages whose names of countries are understood."""

# What people write and CLDR does not list.
_EVERYDAY = {
    "uk": "GB", "u.k.": "GB", "great britain": "GB", "britain": "GB", "england": "GB", "scotland": "GB",
    "wales": "GB", "northern ireland": "GB", "grossbritannien": "GB", "schottland": "GB", "nordirland": "GB",
    "grande-bretagne": "GB", "grande bretagne": "GB", "angleterre": "GB", "écosse": "GB",
    "gran bretaña": "GB", "gran bretagna": "GB", "英国": "GB", "英國": "GB", "大不列颠": "GB", "英格兰": "GB",
    "usa": "US", "u.s.a.": "US", "u.s.": "US", "united states of america": "US", "the united states": "US",
    "america": "US", "vereinigte staaten von amerika": "US", "amerika": "US", "états-unis d'amérique": "US",
    "etats-unis": "US", "estados unidos de américa": "US", "ee. uu.": "US", "eeuu": "US", "美国": "US",
    "美國": "US", "美利坚合众国": "US",
    "holland": "NL", "the netherlands": "NL", "hollande": "NL", "pays bas": "NL", "荷兰": "NL", "荷蘭": "NL",
    "bundesrepublik deutschland": "DE", "federal republic of germany": "DE", "德国": "DE",
    "oesterreich": "AT", "republik österreich": "AT", "die schweiz": "CH", "瑞士": "CH",
    "schweizerische eidgenossenschaft": "CH", "tschechei": "CZ", "tschechische republik": "CZ", "eire": "IE",
    "republic of ireland": "IE", "republik irland": "IE", "法国": "FR", "法國": "FR",
    "volksrepublik china": "CN", "vr china": "CN", "chine populaire": "CN", "中國": "CN",
    "republik korea": "KR", "republic of korea": "KR", "corée": "KR", "大韩民国": "KR",
    "russische föderation": "RU", "weissrussland": "BY", "vae": "AE", "阿联酋": "AE", "birma": "MM",
    "burma": "MM", "ivory coast": "CI", "mazedonien": "MK", "macedonia": "MK", "moldawien": "MD",
    "slowakische republik": "SK", "slovak republic": "SK", "日本国": "JP",
    "uae": "AE", "korea": "KR", "south korea": "KR", "韩国": "KR",
    "p.r. china": "CN", "pr china": "CN", "people's republic of china": "CN", "prc": "CN",
    "中华人民共和国": "CN", "中国大陆": "CN", "hong kong": "HK", "香港": "HK", "macau": "MO", "macao": "MO",
    "澳门": "MO", "澳門": "MO", "taiwan": "TW", "台湾": "TW", "台灣": "TW", "czech republic": "CZ",
    "brd": "DE", "russian federation": "RU", "viet nam": "VN", "turkey": "TR",
}  # fmt: skip

# Codes that ISO 3166-1 leaves to their users, but for Kosovo's, and that of a union of countries.
_NO_COUNTRY = re.compile("AA|EU|Q[M-Z]|X[A-JL-Z]|ZZ")


def country_codec(argument: Any) -> Codec:
    """`as: iso_country`: codes and names in many languages -> alpha-2; written as alpha-2.

    `as: {iso_country: alpha-3}` writes alpha-3, `as: {iso_country: de}` the name in that language.
    """
    if argument in (None, "alpha-2"):
        return Codec(_decode, _alpha2)
    if argument == "alpha-3":
        return Codec(_decode, lambda value: _written(_alpha3(), value, "alpha-3 code"))
    names = _names(str(argument))
    return Codec(_decode, lambda value: _written(names, value, f"name in {argument!r}"))


def _decode(value: Any) -> str:
    text = unicodedata.normalize("NFKC", str(value)).strip()
    upper = text.upper()
    if len(upper) == 2 and upper in _names("en"):
        return upper
    code = _by_name().get(text.casefold())
    if code is None:
        raise ValueError(f"is no country: {native_text(value)}; use a code (DE) or map the name with values:")
    return code


def _alpha2(value: Any) -> str:
    if value not in _names("en"):
        raise ValueError(f"is no ISO 3166-1 alpha-2 code: {native_text(value)}")
    return str(value)


def _written(table: Mapping[str, str], value: Any, form: str) -> str:
    if value not in table:
        raise ValueError(f"has no {form}: {native_text(value)}")
    return table[value]


@cache
def _names(language: str) -> Mapping[str, str]:
    """alpha-2 -> name in the language, for every country of ISO 3166-1."""
    from babel import Locale, UnknownLocaleError

    try:
        territories = Locale.parse(language.replace("-", "_")).territories
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError(f"unknown language {language!r}; use alpha-2, alpha-3 or a tag like de") from error
    return {code: territories[code] for code in _alpha3() if code in territories}


@cache
def _alpha3() -> Mapping[str, str]:
    """alpha-2 -> alpha-3."""
    from babel.core import get_global

    found: dict[str, str] = {}
    for alias, codes in sorted(get_global("territory_aliases").items()):
        if len(alias) == 3 and alias.isalpha() and len(codes) == 1 and not _NO_COUNTRY.fullmatch(codes[0]):
            found.setdefault(codes[0], alias)
    # CLDR also lists the codes of states that are no more, and these come first in the alphabet.
    return {**found, "DE": "DEU", "MM": "MMR"}


@cache
def _by_name() -> Mapping[str, str]:
    """Folded name, alpha-3 code or everyday name -> alpha-2; a name that means two countries is left out."""
    found: dict[str, str | None] = {}
    for language in LANGUAGES:
        for code, name in _names(language).items():
            folded = unicodedata.normalize("NFKC", name).casefold()
            found[folded] = code if found.get(folded, code) == code else None
    codes = {alpha3.casefold(): code for code, alpha3 in _alpha3().items()}
    return {**{name: code for name, code in found.items() if code}, **codes, **_EVERYDAY}
