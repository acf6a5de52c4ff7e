"""JSON without binary fractions: what is 12345678901234567.89 on the wire is that very Decimal here."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec

__all__ = ["decode", "encode"]

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder()
_BOM = b"\xef\xbb\xbf"
# 1E+999999999 is twelve characters of JSON and a gigabyte in plain notation.
_MOST_DIGITS = 400


def decode(text: bytes) -> Any:
    """The value: str, int, bool, None, Decimal (numbers with a fraction or an exponent), list, dict.

    A byte order mark at the start is skipped. Raises ValueError, saying where the text stops being JSON.
    """
    try:
        return _DECODER.decode(text.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def encode(value: Any) -> bytes:
    """UTF-8 JSON. A Decimal becomes a number with all its digits in plain notation, never `1.5E+2`.

    Raises ValueError for what JSON can't say: NaN, infinities, lone surrogates, values of other types.
    """
    try:
        return _ENCODER.encode(_plain(value))
    except (TypeError, UnicodeEncodeError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS:
            raise ValueError(f"the number {value} cannot be written as JSON")
        return msgspec.Raw(format(value, "f").encode("ascii"))
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the number {value} cannot be written as JSON")
    return value
