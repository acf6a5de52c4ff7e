"""What is counted at the end of a run, in words: one of it, and more."""

from __future__ import annotations

__all__ = ["counted", "finding"]

_FINDINGS = {
    "altered": ("value stored otherwise than sent", "values stored otherwise than sent"),
    "apart": ("differing value left as it is", "differing values left as they are"),
    "closed": ("difference in what may no longer change", "differences in what may no longer change"),
    "computed": ("value that systems compute differently", "values that systems compute differently"),
    "doubtful link": ("doubtful link", "doubtful links"),
    "held": ("value held, since it changes to and fro", "values held, since they change to and fro"),
    "impossible": ("write that can never be made", "writes that can never be made"),
    "kept": ("copy kept by a system that deletes none", "copies kept by systems that delete none"),
    "not-cleared": ("value kept, since the system needs one", "values kept, since the systems need one"),
    "overruled": ("edit that lost against another value", "edits that lost against other values"),
    "parked": ("write that waits for another record", "writes that wait for other records"),
    "possible duplicate": ("possible duplicate", "possible duplicates"),
    "request": ("request to the owner of a document", "requests to the owners of documents"),
    "reverted": ("value set back by an old copy", "values set back by an old copy"),
    "unit": ("amount in a unit that cannot be converted", "amounts in units that cannot be converted"),
    "unwritable": ("value that cannot be written", "values that cannot be written"),
}


def counted(count: int, one: str, more: str) -> str:
    """`1 dead letter`, `1,200 dead letters`."""
    return f"{count:,} {one if count == 1 else more}"


def finding(kind: str, count: int) -> str:
    """With the word by which `runs show` and the messages call it."""
    one, more = _FINDINGS.get(kind, (kind, kind))
    return counted(count, one, more) + ("" if kind == one else f" ({kind})")
