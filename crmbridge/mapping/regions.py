"""Chinese regions in one text <-> 省 (province), 市 (city), 区 (district)."""

from __future__ import annotations

import re
from typing import Any

from crmbridge.mapping.paths import native_text
from crmbridge.sdk.hookspecs import Codec

__all__ = ["zh_region_codec"]

Region = list[str | None]

_PROVINCE = (
    r"(?P<province>[^省市区州]{1,10}?(?:省|自治区|特别行政区)|(?:北京|上海|天津|重庆)市?(?=.*[区县]|$))"
)
_CITY = r"(?P<city>.{1,15}?(?:自治州|地区|市|盟))"
_DISTRICT = r"(?P<district>.{1,20}?(?:自治县|自治旗|新区|区|县|市|旗|镇))"
_JOINED = re.compile(f"{_PROVINCE}?{_CITY}?{_DISTRICT}?")
_SEPARATOR = re.compile(r"[\s/,，、|>-]+")


def zh_region_codec(argument: Any) -> Codec:
    """Use it for three fields at once: `"province, city, district": {path: area, as: zh_region}`.

    Reads 广东省深圳市南山区 and, with separators, 广东/深圳/南山. Writes them joined, or with the separator
    that is the argument: `as: {zh_region: "/"}`.
    """
    glue = "" if argument is None else str(argument)
    if glue and not _SEPARATOR.fullmatch(glue):
        raise ValueError(f"expected a separator such as / or a blank, found {native_text(argument)}")

    def encode(value: Any) -> str:
        text = glue.join(part for part in value if part)
        if _parts(text) != list(value):
            raise ValueError(
                f"{text!r} could not be told apart again: use a separator, as: {{zh_region: '/'}}"
            )
        return text

    return Codec(_decode, encode)


def _decode(value: Any) -> Region:
    found = _parts(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"expected 省, 市 and 区 as in 广东省深圳市南山区, found {native_text(value)}")
    return found


def _parts(text: str) -> Region | None:
    parts = [part for part in _SEPARATOR.split(text.strip()) if part]
    if len(parts) == 3:
        return list(parts)
    found = _JOINED.fullmatch("".join(parts))
    return [found["province"], found["city"], found["district"]] if found else None
