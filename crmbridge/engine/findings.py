"""What merging found and people should hear of: edits that were overruled, and what the owner of a document
is asked for. Each is told once. And copies that stay archived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crmbridge.engine.planinput import Note
from crmbridge.identity.link import Link, Statement
from crmbridge.identity.survive import Golden

__all__ = ["findings"]


def findings(golden: Golden, links: Sequence[Link]) -> Iterator[Note]:
    """links: those that `golden` was merged of."""
    for path, system, said in golden.overruled:
        yield Note("overruled", system, path, f"{said.value!r} lost", since=said.time)
    asked = {(system, path) for path, system, _ in golden.requests}
    for path, system, said in golden.requests:
        whole = "/".join(path.split("/")[:2])
        if whole == path or (system, whole) not in asked:  # an element is added or removed as a whole
            text = f"asks {_request(path, said, links)}, which its owner has to decide"
            yield Note("request", system, path, text, since=said.time)
    if any(link.status == "live" for link in links):
        yield from map(_still_archived, filter(_outlived_its_delete, links))


def _outlived_its_delete(link: Link) -> bool:
    """We archived it because of a delete elsewhere that counts no more."""
    return link.status == "archived" and link.deleted_by_us and not link.gone_at


def _still_archived(link: Link) -> Note:
    text = (
        f"{link.native_id} was archived here by us after a delete that was undone elsewhere; restore it here"
    )
    return Note("kept", link.system, "", text)


def _request(path: str, said: Statement, links: Sequence[Link]) -> str:
    if not path:
        return "to delete it"
    name, _, element_id = path.partition("/")
    if not element_id or "/" in element_id:
        return f"for {said.value!r}"
    if said.value is None:
        return "to remove it"
    link = next(link for link in links if link.record_id == said.origin)
    return f"to add {link.element(name, element_id)!r}"
