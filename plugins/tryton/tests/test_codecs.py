"""The codecs for mappings of Tryton's streams."""

import pytest

from crmbridge_tryton import crmbridge_codecs

CODECS = crmbridge_codecs()


@pytest.mark.parametrize(
    ("name", "native", "canonical"),
    [
        ("tryton_identifier", "eu_vat", "vat"),
        ("tryton_identifier", "cn_vat", "cn.uscc"),
        ("tryton_identifier", "fr_siren", "fr.siren"),
        ("tryton_identifier", "eu_at_02", "eu.at_02"),
        ("tryton_locale", "zh_CN", "zh-CN"),
        ("tryton_unit", "u", "C62"),
        ("tryton_unit", "m²", "MTK"),
        ("tryton_unit", "Karton", "Karton"),
        ("tryton_contact", "https://example.org/0301234567", "https://example.org/0301234567"),
        ("tryton_contact", "max.0301234567@example.org", "max.0301234567@example.org"),
        ("tryton_contact", "+49 30 901820 ext. 5", "+49 30 901820 ext. 5"),
    ],
)
def test_there_and_back(name: str, native: str, canonical: str) -> None:
    assert CODECS[name].decode(native) == canonical
    assert CODECS[name].encode(canonical) == native


@pytest.mark.parametrize(
    ("shown", "e164"),
    [
        ("+49 30 901820", "+4930901820"),
        ("+1 415-555-2671", "+14155552671"),
        ("+86 21 6432 1234", "+862164321234"),
    ],
)
def test_phone_numbers_are_read_without_their_grouping(shown: str, e164: str) -> None:
    codec = CODECS["tryton_contact"]
    assert codec.decode(shown) == e164
    assert codec.decode(codec.encode(e164)) == e164


@pytest.mark.parametrize("scheme", ["shop-customer-no", "sku", "eu.vat", "gln"])
def test_a_scheme_that_tryton_has_no_type_for_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match="no type of identifier"):
        CODECS["tryton_identifier"].encode(scheme)
