"""Only what changed of a record is taken up, observed and put back: the same as if all of it had been."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crmbridge.identity.link import Link, Reading, Stamp, Statement, observe
from crmbridge.identity.stored import dump, dump_part, kept, load, load_part
from tests.identity.records import PARTY, copies, record

TEXT = st.sampled_from([None, "a", "b", "茶"])
POINTS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["phone", "email"]),
            "value": st.sampled_from(["+49301", "+49302", "x@y.de"]),
        },
        optional={"id": st.sampled_from(["1", "2", "slot:phone"])},
    ),
    max_size=3,
    unique_by=lambda point: point.get("id") or (point["type"], point["value"]),
)
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"note": TEXT, "owner": TEXT, "display_name": TEXT, "contact_points": POINTS}
)


def fresh() -> Link:
    return Link(1, "shop", "customers", "n1")


@given(DOCUMENTS, st.lists(DOCUMENTS, max_size=3), st.booleans(), DOCUMENTS)
def test_a_part_is_observed_as_the_whole_is(
    first: dict[str, Any], later: list[dict[str, Any]], written: bool, last: dict[str, Any]
) -> None:
    link = record(1, **first)
    for number, doc in enumerate(later):
        observe(link, doc, Reading(PARTY, Stamp(10 + number), versioned=False))
    if written:
        copies(link, "note", Statement("b", 20, 2), held="B")
    seen, state = dump(link, PARTY)

    whole = load(fresh(), PARTY, kept(seen, state))
    reading = Reading(PARTY, Stamp(30), versioned=False)
    observe(whole, last, reading)

    held = json.loads(seen)
    names = [name for name, value in last.items() if name not in held or held[name] != value]
    found = kept(seen, state)
    part = load_part(fresh(), PARTY, found, names)
    partly = Reading(PARTY, Stamp(30), versioned=False)
    observe(part, {name: last[name] for name in names}, partly)

    together = load(fresh(), PARTY, kept(*dump_part(part, PARTY, found, names)))
    expected = load(fresh(), PARTY, kept(*dump(whole, PARTY)))
    assert (together.fields, together.elements) == (expected.fields, expected.elements)
    assert (partly.result.changed, partly.result.reverted) == (
        reading.result.changed,
        reading.result.reverted,
    )
