"""Forms of values that only Tryton has: `as: tryton_contact` and the like in mappings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crmbridge.sdk.hookspecs import Codec

__all__ = ["CODECS"]

_PHONE = re.compile(r"\+[0-9][0-9 ().-]{5,25}")
_CUSTOMARY = {"eu_vat": "vat", "cn_vat": "cn.uscc"}
_NATIONAL = re.compile(r"[a-z]{2}_[a-z0-9_]+")
# Symbols of Tryton's own units -> UN/ECE Recommendation 20.
_UNITS = {
    "u": "C62",
    "g": "GRM",
    "kg": "KGM",
    "oz": "ONZ",
    "lb": "LBR",
    "c": "CTM",
    "mm": "MMT",
    "cm": "CMT",
    "m": "MTR",
    "km": "KMT",
    "in": "INH",
    "ft": "FOT",
    "yd": "YRD",
    "mi": "SMI",
    "cm²": "CMK",
    "m²": "MTK",
    "in²": "INK",
    "ft²": "FTK",
    "yd²": "YDK",
    "a": "ARE",
    "ha": "HAR",
    "cm³": "CMQ",
    "m³": "MTQ",
    "in³": "INQ",
    "ft³": "FTQ",
    "l": "LTR",
    "gal": "GLL",
    "s": "SEC",
    "min": "MIN",
    "h": "HUR",
    "d": "DAY",
    "J": "JOU",
    "MJ": "3B",
    "kW⋅h": "KWH",
    "MW⋅h": "MWH",
}
_SYMBOLS = {code: symbol for symbol, code in _UNITS.items()}


def _contact(value: Any) -> str:
    """Tryton shows phone numbers grouped (`+49 30 901820`): without the grouping they are E.164."""
    text = str(value)
    return "+" + re.sub(r"[^0-9]", "", text) if _PHONE.fullmatch(text) else text


def _scheme(value: Any) -> str:
    """`eu_vat` -> `vat`, `fr_siren` -> `fr.siren`."""
    kind = str(value)
    return _CUSTOMARY.get(kind) or kind.replace("_", ".", 1)


def _type(value: Any) -> str:
    scheme = str(value)
    for kind, customary in _CUSTOMARY.items():
        if scheme == customary:
            return kind
    kind = scheme.replace(".", "_", 1)
    if not _NATIONAL.fullmatch(kind) or kind in _CUSTOMARY:
        raise ValueError(f"Tryton has no type of identifier for {scheme!r}")
    return kind


def _locale(value: Any) -> str:
    return str(value).replace("_", "-")


def _language(value: Any) -> str:
    return str(value).replace("-", "_")


def _unit(value: Any) -> str:
    return _UNITS.get(str(value), str(value))


def _symbol(value: Any) -> str:
    return _SYMBOLS.get(str(value), str(value))


CODECS: Mapping[str, Codec] = {
    "tryton_contact": Codec(_contact, str),
    "tryton_identifier": Codec(_scheme, _type),
    "tryton_locale": Codec(_locale, _language),
    "tryton_unit": Codec(_unit, _symbol),
}
"""By the name that mappings use.

tryton_contact: phone numbers. tryton_identifier: types of party identifiers <-> schemes.
tryton_locale: `zh_CN` <-> `zh-CN`. tryton_unit: symbols of units <-> UN/ECE Recommendation 20; a unit of
the company's own keeps its symbol.
"""
